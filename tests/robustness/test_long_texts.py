"""Every backend trains on and predicts texts of a million characters of any kind."""

from __future__ import annotations

import resource
import sys

import pytest

from robustness import backends, children
from smalltext_core import TextDataset

CHARACTERS = 1_000_000
LONG = {
    "words": "goal recipe rocket ",
    "one word": "x",
    "Chinese": "\u4eca",
    "signs": "!",
}
BY_DEFAULT = ("words", "one word")
MEBIBYTES = 1_500


def long_text(unit):
    return (unit * (CHARACTERS // len(unit) + 1))[:CHARACTERS]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="measures memory as Linux does")
@pytest.mark.parametrize(
    "unit",
    [
        pytest.param(unit, id=name, marks=[] if name in BY_DEFAULT else pytest.mark.nightly)
        for name, unit in LONG.items()
    ],
)
@pytest.mark.parametrize("name", backends.NAMES)
def test_a_million_characters_are_trained_on_and_labelled(name, unit):
    """The child is killed, and the test fails, if it does not end within minutes."""
    factory = backends.factory(name)
    texts = TextDataset([*backends.TRAIN_SET.x, long_text(unit)], [*backends.TRAIN_SET.y.tolist(), 0])

    def work():
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        proba = factory.new().fit(texts).predict_proba(texts)
        return proba.shape, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024

    shape, grown = children.in_a_child(work)
    assert shape == (len(texts), 3)
    assert grown < MEBIBYTES
