from __future__ import annotations

import functools

import pytest

from smalltext_core import TextDataset, list_to_csr
from smalltext_testing.sample_data import training_texts
from smalltext_transformers import TransformerBasedClassification
from transformers_backend.tiny_models import tiny_model

QUICK = {"num_epochs": 2, "mini_batch_size": 12, "lr": 0.01, "seed": 1}
"""Parameters of a classifier that is trained quickly."""


@pytest.fixture
def make():
    """Return a function that creates a classifier with a tiny model; keywords change its parameters."""

    def classifier(num_classes=2, model=None, **parameters):
        return TransformerBasedClassification(model or tiny_model(), num_classes, **{**QUICK, **parameters})

    return classifier


def _topics():
    texts = training_texts(2, multi_label=False)
    return TextDataset(texts.x * 3, list(texts.y) * 3, label_names=["football", "cooking"])


@pytest.fixture
def topics():
    """Return 36 texts of two topics."""
    return _topics()


@pytest.fixture(scope="session")
def trained():
    """Return a function that trains a classifier over an architecture, once; no test may change it."""

    @functools.cache
    def classifier(architecture):
        return TransformerBasedClassification(
            tiny_model(architecture), 2, **{**QUICK, "num_epochs": 1, "mini_batch_size": 4}
        ).fit(_topics())

    return classifier


@pytest.fixture
def labelled_twice():
    texts = training_texts(2, multi_label=False)
    return TextDataset(texts.x * 2, list_to_csr([[0], [0, 1], [], [1]] * 6, num_classes=2))


@pytest.fixture(scope="session")
def fitted():
    """A fitted classifier of two classes; no test may change it."""
    return TransformerBasedClassification(tiny_model(), 2, **QUICK).fit(training_texts(2, multi_label=False))


@pytest.fixture(scope="session")
def learned():
    """A fitted classifier of three classes with high accuracy; no test may change it."""
    parameters = {**QUICK, "num_epochs": 12, "mini_batch_size": 4}
    return TransformerBasedClassification(tiny_model(), 3, **parameters).fit(training_texts(3, multi_label=False))
