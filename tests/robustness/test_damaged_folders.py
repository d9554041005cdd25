"""A saved model with one wrong value is loaded and predicts, or is rejected by an error of smalltext.

Each damaged folder is opened in another process, to detect crashes.
"""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import pytest

from robustness import backends
from robustness.damage import damage
from security.opening import opened
from smalltext_core import create_classifier
from smalltext_testing.sample_data import training_texts

SHORT = {"sklearn": 80, "kimcnn": 60, "transformers": 40, "setfit": 40, "embeddings": 40}
"""The number of damaged folders in default test runs, by backend."""
LONG = 1000
_AT_ONCE = 400
"""The number of folders that one process opens; imports take longer than the folders."""


def saved(name: str, room: Path, *, multi_label: bool) -> Path:
    """Return the folder of a valid model, saved by the installed versions."""
    classifier = create_classifier(name, 3, multi_label=multi_label, seed=1, **backends.parameters(name))
    classifier.fit(training_texts(3, multi_label=multi_label)).save(room / f"sound-{multi_label}")
    return room / f"sound-{multi_label}"


def outcomes(room: Path, *damaged: tuple[str, Path, range]) -> dict[tuple[str, str], str]:
    """Return the results for damaged copies of models, by backend and change; each model comes with its seeds."""
    found = {}
    waiting = [(name, sound, seed) for name, sound, seeds in damaged for seed in seeds]
    for first in range(0, len(waiting), _AT_ONCE):
        part = waiting[first : first + _AT_ONCE]
        folders = [Path(shutil.copytree(sound, room / f"{name}-{seed}")) for name, sound, seed in part]
        changes = [
            (name, f"{seed}: {damage(folder, seed)}")
            for (name, _, seed), folder in zip(part, folders, strict=True)
        ]
        found |= dict(zip(changes, opened(folders), strict=True))
        for folder in folders:
            shutil.rmtree(folder)
    return found


def expect_known_errors(found: dict[tuple[str, str], str], record_property) -> None:
    kinds = Counter(outcome.partition(":")[0][:80] for outcome in found.values())
    record_property("outcomes", dict(kinds))
    unknown = {
        change: outcome
        for change, outcome in found.items()
        if outcome.startswith(("foreign", "the process")) or not outcome
    }
    assert not unknown, "\n".join(f"{change}\n    {outcome[:400]}" for (_, change), outcome in unknown.items())
    assert kinds["predicted"], "no folder was loaded at all, so that nothing was tested"
    assert len(kinds) > 1, "no folder was refused at all, so that nothing was tested"


DAMAGED = [name for name in backends.NAMES if name in SHORT]


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """The results for damaged folders of each backend, which are opened together, since imports take longest."""
    damaged = []
    rooms = {name: tmp_path_factory.mktemp(name) for name in DAMAGED}
    for name, room in rooms.items():
        damaged += [
            (name, saved(name, room, multi_label=False), range(SHORT[name] * 2 // 3)),
            (name, saved(name, room, multi_label=True), range(10**6, 10**6 + SHORT[name] // 3)),
        ]
    return outcomes(tmp_path_factory.mktemp("damaged"), *damaged)


@pytest.mark.slow
@pytest.mark.parametrize("name", DAMAGED)
def test_a_wrong_value_is_refused_or_harmless(name, found, record_property):
    expect_known_errors({change: end for change, end in found.items() if change[0] == name}, record_property)


@pytest.mark.nightly
@pytest.mark.parametrize("name", DAMAGED)
def test_a_thousand_wrong_values_are_refused_or_harmless(name, tmp_path, record_property):
    found = outcomes(
        tmp_path, (name, saved(name, tmp_path, multi_label=False), range(2 * 10**6, 2 * 10**6 + LONG))
    )
    expect_known_errors(found, record_property)
