"""Known defects of small-text 1.4.1 in datasets, labels and inputs."""

from __future__ import annotations

import copy

import numpy as np
import pytest
from scipy.sparse import csc_matrix, csr_array, csr_matrix

from smalltext_core import LABEL_IGNORED, LABEL_UNLABELED, TextDataset, csr_to_list, list_to_csr
from smalltext_core.errors import InvalidInputError, NotFittedError
from smalltext_core.probabilities import empty_probabilities, place_columns, to_labels
from smalltext_core.validation import class_weights, prediction_data, training_data

TEXTS = ["a", "b", "c", "d"]


def refused(train_set, weights=None, *, num_classes=3, multi_label=False):
    with pytest.raises(InvalidInputError) as caught:
        training_data(train_set, weights, num_classes=num_classes, multi_label=multi_label)
    return caught.value


def test_weights_stay_with_their_texts_where_some_are_left_out():
    kept, weights = training_data(TextDataset(TEXTS, [0, 1, 2, 0]), [1, 0, 3, 4], num_classes=3, multi_label=False)
    assert list(zip(kept.x, weights.tolist(), strict=True)) == [("a", 3 / 8), ("c", 9 / 8), ("d", 12 / 8)]


def test_a_column_is_a_class_number_and_not_a_position():
    proba = place_columns(np.array([[0.1, 0.9]]), np.array([0, 2]), num_classes=3)
    assert proba.shape == (1, 3)
    assert to_labels(proba, multi_label=False).tolist() == [2]


@pytest.mark.parametrize("y", [[0] * 4, [0, 0, 0, 2]])
def test_an_absent_class_or_a_single_one_gives_finite_balanced_weights(y):
    weights = class_weights("balanced", np.array(y), num_classes=3)
    assert np.isfinite(weights).all()
    assert (weights > 0).all()
    assert weights[1] == 1


def test_empty_predictions_have_one_dimension():
    assert to_labels(empty_probabilities(3), multi_label=False).shape == (0,)


def test_types_match_the_documentation():
    for multi_label in (False, True):
        assert to_labels(np.array([[0.2, 0.8]], dtype=np.float32), multi_label).dtype == np.int32
    assert place_columns(np.array([[1.0]]), np.array([0]), 2).dtype == np.float32


def test_a_boolean_mask_selects_the_rows_that_it_marks():
    view = TextDataset(TEXTS, [0, 1, 2, 3])[np.array([False, True, False, True])]
    assert (len(view), view.x, view.y.tolist()) == (2, ["b", "d"], [1, 3])


def test_a_numpy_int_is_an_int():
    view = TextDataset(TEXTS, [0, 1, 2, 3])[np.int64(2)]
    assert (len(view), view.x, view.y.tolist()) == (1, ["c"], [2])


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, TextDataset.clone])
def test_a_copy_of_a_multi_label_dataset_is_multi_label(copied):
    assert copied(TextDataset(["a"], csr_matrix([[1, 1]]))).is_multi_label


def test_a_view_of_a_view_can_be_cloned():
    clone = TextDataset(TEXTS, [0, 1, 2, 3])[[3, 1, 0]][1:].clone()
    clone.y = [5, 4]
    assert (clone.x, clone.y.tolist(), clone.target_labels.max()) == (["b", "a"], [5, 4], 5)


def test_the_label_of_one_text_has_one_dimension():
    view = TextDataset(TEXTS, [0, 1, 2, 3])[1]
    assert view.y.shape == view.clone().y.shape == (1,)


def test_labels_outside_the_target_labels_are_refused():
    with pytest.raises(InvalidInputError, match="the label 1"):
        TextDataset(TEXTS, [0, 1, 2, 3], target_labels=[0])


def test_labels_of_a_sparse_matrix_outside_the_target_labels_are_refused():
    dataset = TextDataset(["a"], csr_matrix([[1, 0, 0]]), target_labels=[0, 1])
    with pytest.raises(InvalidInputError, match="the label 2"):
        dataset.y = csr_matrix([[0, 0, 1]])


def test_target_labels_may_have_gaps():
    dataset = TextDataset(["a", "b"], list_to_csr([[0], [5]], 6), target_labels=[0, 5])
    assert dataset.target_labels.tolist() == [0, 5]
    assert csr_to_list(dataset[[1]].clone().y) == [[5]]


def test_predicting_before_fitting_raises_not_fitted():
    with pytest.raises(NotFittedError, match="Majority is not fitted yet"):
        prediction_data(TextDataset(["a"]), fitted=False, classifier="Majority")


def test_an_empty_training_set_is_refused():
    assert refused(TextDataset([], [])).argument == "train_set"


def test_one_text_is_a_training_set():
    dataset = TextDataset(["a"], [1])
    assert training_data(dataset, [2.0], num_classes=3, multi_label=False)[1] is None


def test_labels_beyond_the_classes_are_refused():
    assert refused(TextDataset(TEXTS, [0, 1, 2, 3])).argument == "train_set.y"


def test_labels_beyond_the_classes_are_not_dropped_from_multi_label_either():
    assert refused(TextDataset(["a"], list_to_csr([[0, 3]], 4)), multi_label=True).argument == "train_set.y"


def test_weights_may_be_a_list():
    checked = training_data(TextDataset(TEXTS, [0, 1, 2, 0]), [1, 2, 3, 4], num_classes=3, multi_label=False)[1]
    assert checked.tolist() == [0.4, 0.8, 1.2, 1.6]


def test_infinite_weights_are_refused():
    assert refused(TextDataset(TEXTS, [0, 1, 2, 0]), [1, 2, np.inf, 4]).argument == "weights"


def test_ignored_texts_in_training_are_refused_by_name():
    error = refused(TextDataset(TEXTS, [0, LABEL_IGNORED, 2, 0]))
    assert "unlabelled or ignored" in error.given


def test_unlabelled_is_not_the_same_as_no_class_applies():
    assert "row 1" in refused(TextDataset(["a", "b"], list_to_csr([[], None], 3)), multi_label=True).given
    dataset = TextDataset(["a", "b"], list_to_csr([[], [0]], 3))
    assert training_data(dataset, num_classes=3, multi_label=True)[0] is dataset


def test_a_multi_label_set_without_any_label_is_a_dataset():
    dataset = TextDataset(["a", "b"], csr_matrix((2, 3), dtype=int))
    assert dataset.target_labels.tolist() == [0, 1, 2]
    assert dataset[0].clone().is_multi_label


def test_none_is_not_a_text():
    with pytest.raises(InvalidInputError, match="None at row 1"):
        TextDataset(["a", None])


def test_multi_label_texts_for_a_single_label_classifier_are_refused():
    assert "multi-label" in refused(TextDataset(["a"], list_to_csr([[0]], 3))).given


def test_single_label_texts_for_a_multi_label_classifier_are_refused():
    assert "single-label" in refused(TextDataset(["a"], [0]), multi_label=True).given


def test_explicit_zeros_in_a_matrix_are_not_labels():
    matrix = csr_matrix((np.array([1, 0, 1]), np.array([0, 2, 1]), np.array([0, 2, 3])), shape=(2, 3))
    assert csr_to_list(matrix) == [[0], [1]]
    assert TextDataset(["a", "b"], matrix).y.nnz == 2


def test_s01_an_unlabelled_text_does_not_become_a_class():
    assert refused(TextDataset(TEXTS, [0, 1, LABEL_UNLABELED, 1])).argument == "train_set.y"
    assert TextDataset(TEXTS, [0, 1, LABEL_UNLABELED, 1]).target_labels.tolist() == [0, 1]


def test_s03_long_texts_stay_plain_strings_in_a_list():
    dataset = TextDataset(np.array(["a" * 20_000, "b"], dtype=object))
    assert type(dataset.x) is list
    assert [len(text) for text in dataset[:].clone().x] == [20_000, 1]


def test_s12_the_texts_of_a_view_are_a_list_of_strings():
    assert TextDataset(TEXTS)[np.array([0, 2])].x == ["a", "c"]


@pytest.mark.parametrize("kind", [csr_array, csc_matrix])
def test_every_sparse_kind_is_multi_label_and_not_only_csr_matrix(kind):
    dataset = TextDataset(["a"], kind(np.array([[0, 1]])))
    assert dataset.is_multi_label
    assert type(dataset.y) is csr_matrix
