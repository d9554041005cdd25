"""Saved models that are trained quickly, and texts for them."""

from __future__ import annotations

import pytest

import smalltext_core as st

GOOD, BAD = ("a good film", "fine acting", "a good plot"), ("a bad film", "dull acting", "a dull plot")


def save_model(folder, *, good="good"):
    """Save a classifier of two classes, ``bad`` and `good`."""
    train_set = st.TextDataset.from_labels([*GOOD, *BAD], [good] * 3 + ["bad"] * 3)
    st.create_classifier("sklearn", num_classes=2).fit(train_set).save(folder)
    return str(folder)


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    """The folder of a single-label model."""
    return save_model(tmp_path_factory.mktemp("models") / "model")


@pytest.fixture(scope="session")
def multi_label_model(tmp_path_factory):
    """The folder of a multi-label model."""
    texts = [*GOOD, *BAD, "hello"] * 4
    labels = [["good", "long"]] * 3 + [["bad"]] * 3 + [[]]
    folder = tmp_path_factory.mktemp("models") / "multi"
    train_set = st.TextDataset.from_labels(texts, labels * 4)
    st.create_classifier("sklearn", num_classes=3, multi_label=True).fit(train_set).save(folder)
    return str(folder)
