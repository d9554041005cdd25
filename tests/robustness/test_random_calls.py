"""Public calls with any arguments raise only exceptions for users, and no process crashes or hangs."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pytest

import fork_server
from robustness import backends

TESTS = Path(__file__).parents[1]
SHORT = {"sklearn": 60, "kimcnn": 60, "transformers": 30, "setfit": 30, "embeddings": 60}
NIGHTLY, BATCH = 20_000, 1_000


def failures(counts: Mapping[str, int], first: int, folder: Path) -> list[str]:
    """Make random calls of backends in a process; return the errors, with the commands that reproduce them."""
    command = ["-m", "robustness.random_calls"]
    for name, count in counts.items():
        (folder / name).mkdir(parents=True)
        command += [name, str(first), str(count), str(folder / name)]
    process = fork_server.run(
        command,
        cwd=TESTS,
        env={**os.environ, "PYTHONPATH": str(TESTS), "HF_HUB_OFFLINE": "1", "HOME": str(folder)},
    )
    errors = process.stderr.decode("utf-8", "replace")[-2_000:]
    wrong = []
    for name in counts:
        repeat = f"{' '.join(command[:2])} {name}"
        now = folder / name / "now"
        if not now.exists():
            wrong.append(f"{repeat}: no call was made")
            continue
        found = [json.loads(line) for line in (folder / name / "found").read_text(encoding="utf-8").splitlines()]
        wrong += [f"{repeat} {one['seed']}: {one['kind']}\n{one['traceback']}" for one in found]
        if now.read_text(encoding="utf-8") != "done":
            end = f"ended with {process.returncode}\n{errors}"
            wrong.append(f"{repeat} {now.read_text(encoding='utf-8')}: the process {end}")
    if process.returncode and not wrong:
        wrong.append(f"after the last call the process ended with {process.returncode}\n{errors}")
    return wrong


def test_random_calls_end_in_results_or_exceptions_for_users(tmp_path):
    """One process imports all backends, which takes longer than the calls; nightly, there is one per backend."""
    assert failures({name: SHORT[name] for name in backends.NAMES}, 0, tmp_path / "results") == []


@pytest.mark.nightly
@pytest.mark.parametrize("name", backends.NAMES)
def test_twenty_thousand_random_calls_do(name, tmp_path, record_property):
    wrong, verdicts = [], Counter()
    for first in range(0, NIGHTLY, BATCH):
        folder = tmp_path / str(first)
        wrong += failures({name: BATCH}, first, folder)
        if (folder / name / "verdicts").exists():  # it did not crash
            verdicts.update(json.loads((folder / name / "verdicts").read_text(encoding="utf-8")))
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
    process = fork_server.run(
        ["-m", "crashing"], cwd=tmp_path, env={**os.environ, "PYTHONPATH": f"{folder}{os.pathsep}{TESTS}"}
    )
    assert process.returncode != 0
    assert (tmp_path / "now").read_text() == "7"
