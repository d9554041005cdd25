"""The number of our files that are involved in the calls of a user, which a reader has to follow."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from robustness import backends
from smalltext_core import TextDataset


def train_set() -> TextDataset:
    """Return a new dataset: the tokens of one that another backend has read are cached, which skips a file."""
    texts = ["a fine film", "fine acting here", "a dull film", "a dull plot"] * 6
    return TextDataset(texts, [1, 1, 0, 0] * 6)


def unlabelled() -> TextDataset:
    return TextDataset(["a fine plot", "acting"])


FILES = {
    "sklearn": {"fit": 8, "predict_proba": 6},
    "embeddings": {"fit": 12, "predict_proba": 9},
    "kimcnn": {"fit": 20, "predict_proba": 13},
    "setfit": {"fit": 23, "predict_proba": 14},
    "transformers": {"fit": 24, "predict_proba": 12},
}
"""For each backend by name, the maximum number of files in our packages, which may only be lowered.

Two of the files for predictions of setfit belong to the embedding cache. One of the files of embeddings, kimcnn,
setfit and transformers is shared by all packages that tokenize texts (decision 55)."""


def files_of(call: Callable[[], Any]) -> set[str]:
    """Return the files of our packages with a function that a call runs; importing a module does not count."""
    found: set[str] = set()

    def profile(frame: FrameType, event: str, _: object) -> None:
        ours = frame.f_globals.get("__name__", "").startswith("smalltext_")
        if event == "call" and ours and frame.f_code.co_name != "<module>":
            found.add(Path(frame.f_code.co_filename).as_posix())
            found.discard("<string>")  # generated methods of dataclasses

    before = sys.getprofile()
    sys.setprofile(profile)
    try:
        call()
    finally:
        sys.setprofile(before)
    return found


@pytest.mark.parametrize("name", FILES)
def test_calls_run_through_few_files(name):
    classifier, labelled, texts = backends.factory(name).new(), train_set(), unlabelled()
    found = {"fit": files_of(lambda: classifier.fit(labelled))}
    found["predict_proba"] = files_of(lambda: classifier.predict_proba(texts))
    for method, most in FILES[name].items():
        assert len(found[method]) <= most, "\n".join(sorted(found[method]))


def test_without_calibration_fit_of_sklearn_runs_through_six_files():
    from sklearn.linear_model import LogisticRegression

    from smalltext_sklearn import SklearnClassifier

    classifier, labelled = SklearnClassifier(LogisticRegression(), num_classes=2), train_set()
    found = files_of(lambda: classifier.fit(labelled))
    assert len(found) <= 6, "\n".join(sorted(found))


def test_files_are_counted():
    labelled = train_set()
    assert [Path(path).name for path in files_of(lambda: labelled.x)] == ["dataset.py"]
