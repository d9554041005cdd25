from __future__ import annotations

import pytest

from setfit_backend.tiny_sentence_transformers import tiny_sentence_transformer
from smalltext_core import TextDataset, list_to_csr
from smalltext_setfit import SetFitClassification
from smalltext_testing.sample_data import training_texts

QUICK = {"num_iterations": 2, "body_learning_rate": 5e-3, "head_learning_rate": 0.1}
"""Arguments for short training with setfit."""

BOTH_HEADS = pytest.mark.parametrize(
    "use_differentiable_head", [False, True], ids=["regression", "differentiable"]
)


@pytest.fixture
def make():
    """Return a function that creates a classifier with a tiny model; keywords change its parameters."""

    def classifier(num_classes=2, model=None, **parameters):
        given = {"mini_batch_size": 16, "seed": 1, **parameters}
        given["trainer_kwargs"] = {**QUICK, **(parameters.get("trainer_kwargs") or {})}
        return SetFitClassification(model or tiny_sentence_transformer(), num_classes, **given)

    return classifier


@pytest.fixture
def topics():
    """Return 12 texts of two topics, whose classes have names."""
    return training_texts(2, multi_label=False)


@pytest.fixture
def labelled_twice():
    texts = training_texts(2, multi_label=False)
    return TextDataset(texts.x, list_to_csr([[0], [0, 1], [], [1]] * 3, num_classes=2))


@pytest.fixture(scope="session")
def fitted():
    """A fitted classifier of two classes; no test may change it."""
    classifier = SetFitClassification(
        tiny_sentence_transformer(), 2, mini_batch_size=16, trainer_kwargs=QUICK, seed=1
    )
    return classifier.fit(training_texts(2, multi_label=False))
