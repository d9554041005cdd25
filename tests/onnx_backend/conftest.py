from __future__ import annotations

import numpy as np
import pytest

from smalltext_core import TextDataset
from smalltext_onnx import OnnxClassifier
from smalltext_testing.sample_data import training_texts, unseen_texts, unusual_texts
from smalltext_transformers import TransformerBasedClassification
from transformers_backend.tiny_models import tiny_model

TEXTS = TextDataset(
    [*unseen_texts(3).x, *unusual_texts().x[:2], *unusual_texts().x[4:], "a", "goal " * 30, "goal recipe " * 90]
)
"""Texts of many lengths and scripts: none, one token, and more than models take."""


@pytest.fixture
def agree():
    """Return a function that exports a classifier and compares it with what was exported."""

    def compare(classifier, limit=1e-5, **options):
        exported = OnnxClassifier.from_classifier(classifier, **options)
        labels, proba = exported.predict(TEXTS, return_proba=True)
        expected_labels, expected = classifier.predict(TEXTS, return_proba=True)
        np.testing.assert_allclose(proba, expected, rtol=0, atol=limit)
        if exported.multi_label:
            assert (labels != expected_labels).nnz == 0
        else:
            np.testing.assert_array_equal(labels, expected_labels)
        assert proba.dtype == np.float32
        assert exported.settings.export["largest_difference"] <= 1e-4
        return exported

    return compare


@pytest.fixture(scope="session")
def fitted():
    """A classifier of three classes with a calibration; no test may change it."""
    parameters = {"num_epochs": 3, "mini_batch_size": 4, "lr": 0.01, "calibration": "auto", "seed": 1}
    train_set = training_texts(3, multi_label=False)
    return TransformerBasedClassification(tiny_model(num_hidden_layers=1), 3, **parameters).fit(train_set)


@pytest.fixture(scope="session")
def exported(fitted):
    """Its export; no test may change it."""
    return OnnxClassifier.from_classifier(fitted)


@pytest.fixture(scope="session")
def folder(exported, tmp_path_factory):
    """The folder of the export; no test may change it."""
    place = tmp_path_factory.mktemp("exported") / "model"
    exported.save(place)
    return place
