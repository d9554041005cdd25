"""Whatever is passed to a public call, only exceptions for users come out, and no process crashes or hangs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from robustness import backends
from robustness.random_calls import HANG_SECONDS

TESTS = Path(__file__).parents[1]
SHORT = {"sklearn": 60, "kimcnn": 60, "transformers": 30, "setfit": 30}
NIGHTLY, BATCH = 20_000, 1_000


def failures(name: str, first: int, count: int, folder: Path) -> list[str]:
    """Make random calls in a process, and return what went wrong, each with the command that repeats it."""
    command = [sys.executable, "-m", "robustness.random_calls", name]
    folder.mkdir()
    process = subprocess.run(
        [*command, str(first), str(count), str(folder)],
        cwd=TESTS,
        env={**os.environ, "PYTHONPATH": str(TESTS), "HF_HUB_OFFLINE": "1", "HOME": str(folder)},
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS * count,  # a call that hangs ends the process itself; this is for a stopped one
    )
    found = [json.loads(line) for line in (folder / "found").read_text(encoding="utf-8").splitlines()]
    wrong = [f"{' '.join(command[1:])} {one['seed']}: {one['kind']}\n{one['traceback']}" for one in found]
    now = (folder / "now").read_text(encoding="utf-8")
    if process.returncode or now != "done":
        end = f"ended with {process.returncode}\n{process.stderr[-2_000:]}"
        wrong.append(f"{' '.join(command[1:])} {now}: the process {end}")
    return wrong


@pytest.mark.parametrize("name", backends.NAMES)
def test_random_calls_end_in_results_or_exceptions_for_users(name, tmp_path):
    assert failures(name, 0, SHORT[name], tmp_path / "results") == []


@pytest.mark.nightly
@pytest.mark.parametrize("name", backends.NAMES)
def test_twenty_thousand_random_calls_do(name, tmp_path, record_property):
    wrong, verdicts = [], Counter()
    for first in range(0, NIGHTLY, BATCH):
        folder = tmp_path / str(first)
        wrong += failures(name, first, BATCH, folder)
        if (folder / "verdicts").exists():  # it did not crash
            verdicts.update(json.loads((folder / "verdicts").read_text(encoding="utf-8")))
    record_property("outcomes", dict(verdicts))
    assert wrong == []


def test_a_call_that_raises_something_else_is_found(monkeypatch):
    from robustness import random_calls

    def broken(rng, name):
        raise KeyError("not for users")

    monkeypatch.setattr(random_calls, "CALLS", {broken: 1})
    outcome = random_calls.call("sklearn", 0)
    assert (outcome.kind, outcome.verdict) == ("broken", "foreign")
    assert "KeyError" in outcome.traceback


def test_a_message_that_writes_all_of_a_value_is_found(monkeypatch):
    from robustness import random_calls, random_values
    from smalltext_core.errors import InvalidInputError

    def wordy(rng, name):
        raise InvalidInputError("values", repr(random_values.ENTRIES), "less")

    monkeypatch.setattr(random_calls, "CALLS", {wordy: 1})
    assert "WrittenInFullError" in random_calls.call("sklearn", 0).traceback


def test_a_process_that_crashes_is_found(tmp_path, monkeypatch):
    folder = tmp_path / "site"
    folder.mkdir()
    crash = "import os, robustness.random_calls as calls\ncalls.call = lambda name, seed: os.abort()\n"
    (folder / "crashing.py").write_text(f"{crash}calls.main('sklearn', 7, 1, __import__('pathlib').Path.cwd())\n")
    process = subprocess.run(
        [sys.executable, "-m", "crashing"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": f"{folder}{os.pathsep}{TESTS}"},
        capture_output=True,
    )
    assert process.returncode != 0
    assert (tmp_path / "now").read_text() == "7"
