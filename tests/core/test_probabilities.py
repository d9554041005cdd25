from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_matrix

from smalltext_core import ProbabilisticClassifier, TextDataset
from smalltext_core.errors import InvalidInputError
from smalltext_core.probabilities import empty_probabilities, place_columns, to_labels


def test_no_texts_have_empty_probabilities_and_empty_labels():
    proba = empty_probabilities(3)
    assert (proba.shape, proba.dtype) == ((0, 3), np.float32)
    single, multi = to_labels(proba, multi_label=False), to_labels(proba, multi_label=True)
    assert (single.shape, single.dtype) == ((0,), np.int32)
    assert (type(multi), multi.shape, multi.dtype) == (csr_matrix, (0, 3), np.int32)


def test_a_class_that_was_never_seen_has_a_column_of_zeros():
    proba = place_columns(np.array([[0.25, 0.75], [1.0, 0.0]]), np.array([3, 1]), num_classes=4)
    assert proba.dtype == np.float32
    assert proba.tolist() == [[0, 0.75, 0, 0.25], [0, 0, 0, 1.0]]
    assert place_columns(np.empty((0, 2)), np.array([0, 1]), num_classes=4).shape == (0, 4)


def test_the_most_probable_class_wins_and_the_first_of_equals():
    labels = to_labels(np.array([[0.2, 0.5, 0.3], [0.5, 0.5, 0.0]], dtype=np.float32), multi_label=False)
    assert (labels.tolist(), labels.dtype, labels.shape) == ([1, 0], np.int32, (2,))


@pytest.mark.parametrize("threshold", [0.0, 0.1, 0.5, 0.9])
@given(rows=st.lists(st.lists(st.floats(0, 1, width=32), min_size=2, max_size=2), max_size=5))
def test_multi_label_predictions_are_the_classes_above_the_threshold(threshold, rows):
    proba = np.array(rows, dtype=np.float32).reshape(-1, 2)
    labels = to_labels(proba, multi_label=True, threshold=threshold)
    assert (type(labels), labels.dtype, labels.shape) == (csr_matrix, np.int32, proba.shape)
    assert (labels.toarray() == (proba > threshold)).all()
    assert (labels.data == 1).all()


@pytest.mark.parametrize("threshold", [None, "0.5", -0.1, 1.0, float("nan"), [0.5], True], ids=repr)
def test_a_threshold_out_of_range_is_refused(threshold):
    proba = np.array([[0.2, 0.8]], dtype=np.float32)
    with pytest.raises(InvalidInputError, match="multi_label_threshold"):
        to_labels(proba, multi_label=True, threshold=threshold)
    assert to_labels(proba, multi_label=False, threshold=threshold).tolist() == [1]


class TrainedMeanwhile(ProbabilisticClassifier):
    """Gets the thresholds of another model while it predicts, as if another thread trained it."""

    num_classes, multi_label = 2, True
    multi_label_threshold_ = np.array([0.5, 0.5])

    def fit(self, train_set):
        return self

    def predict_proba(self, data_set):
        self.multi_label_threshold_ = np.array([0.9, 0.2])
        return np.array([[0.6, 0.3]] * len(data_set), dtype=np.float32)


def test_labels_follow_from_the_thresholds_of_the_model_that_gave_the_probabilities():
    labels = TrainedMeanwhile().predict(TextDataset(["a fine film"]))
    assert labels.toarray().tolist() == [[1, 0]]
