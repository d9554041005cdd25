from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from smalltext_core import LABEL_IGNORED, LABEL_UNLABELED, TextDataset, list_to_csr
from smalltext_core.errors import InvalidInputError, NotFittedError
from smalltext_core.validation import (
    check_class_weight,
    check_flag,
    check_num_classes,
    check_seed,
    check_thresholds,
    prediction_data,
    training_data,
)


def labelled(y=(0, 1, 2)) -> TextDataset:
    return TextDataset([f"text {row}" for row in range(len(y))], list(y))


def several(rows=((0,), (1, 2), ()), columns=3) -> TextDataset:
    return TextDataset([f"text {row}" for row in range(len(rows))], list_to_csr(rows, columns))


def refused(argument, train_set, weights=None, *, num_classes=3, multi_label=False) -> str:
    with pytest.raises(InvalidInputError) as caught:
        training_data(train_set, weights, num_classes=num_classes, multi_label=multi_label)
    assert caught.value.argument == argument
    return str(caught.value)


def test_valid_data_is_returned_unchanged():
    for dataset, multi_label in ((labelled(), False), (several(), True)):
        checked, weights = training_data(dataset, num_classes=3, multi_label=multi_label)
        assert checked is dataset
        assert weights is None


@pytest.mark.parametrize("train_set", [["a"], "text", None, (["a"], [0])], ids=repr)
def test_other_objects_than_datasets_are_refused(train_set):
    assert "TextDataset(texts, labels)" in refused("train_set", train_set)


def test_an_empty_training_set_is_refused():
    assert "at least one labelled text" in refused("train_set", TextDataset([], []))
    assert "at least one labelled text" in refused("train_set", labelled()[[]])


@pytest.mark.parametrize("multi_label", [False, True])
def test_more_names_than_classes_are_refused_since_no_model_could_be_saved_with_them(multi_label):
    plain = several() if multi_label else labelled()
    dataset = TextDataset(plain.x, plain.y, label_names=["a", "b", "c", "d"])
    message = refused("train_set.label_names", dataset, multi_label=multi_label)
    assert "got 4 names; allowed: up to 3" in message


@pytest.mark.parametrize("label", [3, 100])
def test_a_label_outside_the_classes_is_refused(label):
    dataset = labelled()
    dataset.y = [0, label, 2]
    message = refused("train_set.y", dataset)
    assert f"the label {label}; allowed: class numbers from 0 to 2" in message
    assert "num_classes=3" in message


@pytest.mark.parametrize("columns", [2, 4])
def test_a_matrix_with_another_number_of_columns_is_refused(columns):
    message = refused("train_set.y", several([[0], [1]], columns), multi_label=True)
    assert f"{columns} columns" in message
    assert "num_classes=3" in message


@pytest.mark.parametrize("marker", [LABEL_UNLABELED, LABEL_IGNORED])
def test_rows_without_a_label_are_refused_and_the_first_is_named(marker):
    assert "2 unlabelled or ignored texts, the first at row 1" in refused(
        "train_set.y", labelled([0, marker, marker])
    )
    dataset = several([[0], marker, marker])
    assert "the first at row 1" in refused("train_set.y", dataset, multi_label=True)


def test_a_text_that_no_class_applies_to_is_labelled():
    dataset = several([[], []])
    assert training_data(dataset, num_classes=3, multi_label=True)[0] is dataset


def test_the_wrong_kind_of_labels_is_refused_both_ways():
    assert "multi_label=True" in refused("train_set.y", labelled(), multi_label=True)
    assert "multi_label=False" in refused("train_set.y", several())


def test_none_among_the_texts_is_refused_even_if_it_came_later():
    dataset = labelled()
    dataset.x[2] = None
    assert "None at row 2" in refused("train_set", dataset)


@pytest.mark.parametrize(
    ("weights", "found"),
    [
        ([1, 2], r"shape (2,)"),
        ([[1, 2, 3]], "shape (1, 3)"),
        (1.0, "shape ()"),
        ([1, np.nan, 1], "nan at row 1"),
        ([1, None, 1], "nan at row 1"),
        ([1, 1, np.inf], "inf at row 2"),
        ([-0.5, 1, 1], "-0.5 at row 0"),
        ([0, 0, 0], "zeros only"),
        (["a", "b", "c"], "['a', 'b', 'c']"),
        ([1, 1j, 1], "1j"),
        ({"a": 1}, "a mapping (dict) with 1 keys"),
        ({1.0, 2.0, 3.0}, "a set, which has no order"),
        ("111", "one string"),
        (np.ma.array([1, 1, 1], mask=[False, True, False]), "a masked weight at row 1"),
        ([1, 10**400, 1], "[1, a number of 1,329 bits, 1]"),
    ],
    ids=str,
)
def test_invalid_weights_are_refused(weights, found):
    message = refused("weights", labelled(), weights)
    assert found in message
    assert "finite numbers, 0 or above, not all zero, one for each text" in message


@pytest.mark.parametrize(
    "ones", [[1, 1, 1], (1.0, 1.0, 1.0), np.ones(3, dtype=np.float32), np.ones(3, dtype=bool)]
)
def test_weights_of_one_are_converted_to_none(ones):
    dataset = labelled()
    assert training_data(dataset, ones, num_classes=3, multi_label=False) == (dataset, None)


def test_a_weight_of_zero_leaves_the_text_out():
    checked, weights = training_data(labelled(), [2, 0, 1], num_classes=3, multi_label=False)
    assert (checked.x, checked.is_view) == (["text 0", "text 2"], True)
    assert (weights.tolist(), weights.dtype) == ([4 / 3, 2 / 3], np.float64)
    assert training_data(labelled(), [1, 0, 1], num_classes=3, multi_label=False)[1] is None


def test_weights_of_any_scale_have_a_mean_of_one():
    for scale in (1e-300, 1.0, 1e300):
        _, weights = training_data(labelled(), [scale, scale, 4 * scale], num_classes=3, multi_label=False)
        assert weights == pytest.approx([0.5, 0.5, 2.0])


def test_weights_share_no_memory_with_the_caller():
    given = np.array([2.0, 1.0, 1.0])
    training_data(labelled(), given, num_classes=3, multi_label=False)
    assert given.tolist() == [2.0, 1.0, 1.0]


def test_a_validation_set_is_checked_under_its_own_name():
    check = partial(training_data, multi_label=False, argument="validation_set")
    assert check(labelled(), num_classes=3)[0].x[0] == "text 0"
    with pytest.raises(InvalidInputError, match=r"^validation_set: got an empty dataset"):
        check(TextDataset([], []), num_classes=3)
    with pytest.raises(InvalidInputError, match=r"^validation_set\.y: got the label 2"):
        check(labelled(), num_classes=2)


def test_predicting_before_fitting_is_refused_first():
    with pytest.raises(NotFittedError, match="fit"):
        prediction_data(None, fitted=False, classifier="Majority")


def test_prediction_requires_a_dataset_of_texts_and_ignores_its_labels():
    for dataset in (labelled([-1, 7, -2]), TextDataset([]), several()):
        assert prediction_data(dataset, fitted=True, classifier=None) is dataset
    with pytest.raises(InvalidInputError, match=r"^data_set: got list"):
        prediction_data(["a"], fitted=True, classifier=None)
    broken = labelled()
    broken.x[0] = None
    with pytest.raises(InvalidInputError, match=r"^data_set: got None at row 0"):
        prediction_data(broken, fitted=True, classifier=None)


def test_the_number_of_classes_is_a_whole_number_of_two_or_more():
    assert check_num_classes(np.int64(2), multi_label=False) == 2
    assert check_num_classes(1, multi_label=True) == 1
    for wrong in (1, 0, -1, 2.0, True, None, "2"):
        with pytest.raises(InvalidInputError, match=r"^num_classes: got .*2 or above"):
            check_num_classes(wrong, multi_label=False)


def test_a_seed_is_none_or_valid_for_every_generator():
    assert [check_seed(seed) for seed in (None, 0, np.int64(3), 2**32 - 1)] == [None, 0, 3, 2**32 - 1]
    for wrong in (-1, 2**32, 1.0, True, "1", np.random.default_rng(0)):
        with pytest.raises(InvalidInputError, match=r"^seed: got "):
            check_seed(wrong)


def test_a_flag_is_true_or_false_and_not_a_string():
    assert [check_flag("multi_label", value) for value in (True, False, np.True_)] == [True, False, True]
    for wrong in ("no", "false", 1, None):
        with pytest.raises(InvalidInputError, match=r"^multi_label: got .*True or False"):
            check_flag("multi_label", wrong)


@pytest.mark.parametrize(
    "wrong",
    [
        *("equal", 2, [1, 2], np.array([1.0, 2.0])),
        *({5: 1.0}, {-1: 1.0}, {0: 0.0}, {0: float("nan")}, {"a": -1}, {True: 2.0}),
    ],
    ids=repr,
)
def test_invalid_class_weights_are_refused(wrong):
    with pytest.raises(
        InvalidInputError, match=r"^class_weight: got .*'balanced', or a mapping from class numbers"
    ):
        check_class_weight(wrong, num_classes=2)


def test_thresholds_are_auto_or_one_number_or_one_for_each_class():
    assert check_thresholds("auto", 2) == "auto"
    assert [check_thresholds(value, 2) for value in (0, np.float32(0.25))] == [0.0, 0.25]
    assert [check_thresholds(value, 2) for value in ([0.1, 0], np.array([0.1, 0]))] == [(0.1, 0.0)] * 2
    for wrong in (
        1,
        -0.1,
        float("nan"),
        "0.5",
        None,
        True,
        [0.1],
        [0.1, 0.2, 0.3],
        [0.1, 1],
        [[0.1], [0.2]],
        [True, 0],
    ):
        with pytest.raises(InvalidInputError, match=r"^multi_label_threshold: got "):
            check_thresholds(wrong, 2)
