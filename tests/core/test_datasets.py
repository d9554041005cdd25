from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import coo_matrix, csr_matrix

from smalltext_core import LABEL_IGNORED, LABEL_UNLABELED, Dataset, LabelNames, TextDataset, list_to_csr
from smalltext_core.errors import InvalidInputError


def test_a_dataset_holds_its_own_texts_and_labels():
    texts, labels = ["a", "b"], np.array([0, 1])
    dataset = TextDataset(texts, labels)
    texts[0], labels[0] = "changed", 9
    assert (dataset.x, dataset.y.tolist(), len(dataset)) == (["a", "b"], [0, 1], 2)
    assert isinstance(dataset, Dataset)
    assert not dataset.is_view


def test_a_dataset_without_labels_is_unlabelled():
    assert TextDataset(["a", "b"]).y.tolist() == [LABEL_UNLABELED, LABEL_UNLABELED]


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16, np.int32, np.uint32, np.int64])
def test_whole_numbers_of_any_width_are_labels(dtype):
    y = TextDataset(["a", "b"], np.array([0, 200 if dtype is not np.int8 else 100], dtype=dtype)).y
    assert y.dtype in (np.int32, np.int64)
    assert y[1] >= 100


@pytest.mark.parametrize(
    ("y", "found"),
    [
        ([0.0, 1.0], "float64"),
        ([True, False], "bool"),
        (["spam", "ham"], "<U4"),
        ([0, None], "object"),
        ([[0], [1]], r"shape \(2, 1\)"),
        (0, r"shape \(\)"),
        ([0], "1 labels"),
        ([0, -3], "the label -3"),
        (csr_matrix([[2, 0], [0, 1]]), "a matrix entry of 2"),
        (csr_matrix([[0.5, 0], [0, 1]]), "a matrix entry of 0.5"),
        (csr_matrix([[1, 0]]), "1 labels"),
    ],
    ids=str,
)
def test_invalid_labels_are_refused_by_name(y, found):
    with pytest.raises(InvalidInputError, match=f"^y: got .*{found}"):
        TextDataset(["a", "b"], y)


@pytest.mark.parametrize("x", ["one text", b"bytes", None, 3])
def test_invalid_sequences_of_texts_are_refused(x):
    with pytest.raises(InvalidInputError, match=r"^x: got .*a sequence of strings"):
        TextDataset(x)


@pytest.mark.parametrize("guest", [None, float("nan"), 3, b"bytes", ["a"]], ids=repr)
def test_an_object_among_the_texts_is_refused_with_its_row(guest):
    with pytest.raises(InvalidInputError, match=r"^x: got .* at row 1; allowed: strings"):
        TextDataset(["a", guest])


def test_any_iterable_of_any_strings_is_plain_texts():
    assert TextDataset(text for text in ("a", "")).x == ["a", ""]
    assert {type(text) for text in TextDataset(np.array(["ein Text", "\U0001f600 \ud800 \x00"])).x} == {str}


def test_y_can_be_set_on_a_clone_and_not_to_another_length():
    dataset = TextDataset(["a", "b", "c"])
    clone = dataset[[0, 2]].clone()
    clone.y = [1, 0]
    assert clone.y.tolist() == [1, 0]
    assert dataset.y.tolist() == [-1, -1, -1]
    with pytest.raises(InvalidInputError, match=r"^y: got 3 labels; allowed: as many as there are texts, 2"):
        clone.y = [0, 1, 1]
    assert clone.y.tolist() == [1, 0]


def test_y_can_be_set_to_whole_numbers_that_are_kept_as_floats():
    dataset = TextDataset(["a", "b", "c"]).clone()
    dataset.y = np.array([1.0, -1.0, 0.0])
    assert dataset.y.tolist() == [1, LABEL_UNLABELED, 0]
    assert np.issubdtype(dataset.y.dtype, np.integer)


@pytest.mark.parametrize("strange", [0.5, np.nan, -np.inf])
def test_y_cannot_be_set_to_floats_that_are_not_whole_numbers(strange):
    dataset = TextDataset(["a", "b"], [0, 1]).clone()
    with pytest.raises(InvalidInputError, match="whole numbers"):
        dataset.y = np.array([1.0, strange])
    assert dataset.y.tolist() == [0, 1]


def test_setting_y_takes_a_copy():
    dataset, labels = TextDataset(["a"]), np.array([1])
    dataset.y = labels
    labels[0] = 5
    assert dataset.y.tolist() == [1]


def test_a_clone_of_unlabelled_texts_can_become_multi_label():
    clone = TextDataset(["a", "b"]).clone()
    clone.y = list_to_csr([[0, 2], None], 3)
    assert clone.is_multi_label
    assert clone.target_labels.tolist() == [0, 1, 2]


def test_target_labels_follow_the_labels_unless_they_are_set():
    dataset = TextDataset(["a", "b", "c"], [0, 2, LABEL_UNLABELED])
    assert dataset.target_labels.tolist() == [0, 1, 2]
    dataset.y = [0, 4, LABEL_IGNORED]
    assert dataset.target_labels.tolist() == [0, 1, 2, 3, 4]
    assert dataset[:1].clone().target_labels.tolist() == [0]


def test_explicit_target_labels_are_kept_and_enforced():
    dataset = TextDataset(["a", "b"], [1, 3], target_labels=[3, 1, 5, 3])
    assert dataset[:1].clone().target_labels.tolist() == [1, 3, 5]
    with pytest.raises(
        InvalidInputError, match=r"^y: got the label 2; allowed: one of target_labels, \[1, 3, 5\]"
    ):
        dataset.y = [1, 2]
    dataset.target_labels = [1, 2, 3]
    dataset.y = [1, 2]


@pytest.mark.parametrize("targets", [[0.5], [-1, 0], ["a"], [[0]], 3], ids=repr)
def test_invalid_target_labels_are_refused(targets):
    with pytest.raises(InvalidInputError, match=r"^target_labels: "):
        TextDataset(["a"], [0], target_labels=targets)


def test_target_labels_that_leave_a_label_out_are_refused_and_change_nothing():
    dataset = TextDataset(["a", "b"], [0, 1])
    with pytest.raises(InvalidInputError, match=r"^y: got the label 1"):
        dataset.target_labels = [0]
    assert dataset.target_labels.tolist() == [0, 1]


def test_the_columns_of_a_multi_label_matrix_are_its_target_labels():
    assert TextDataset(["a"], csr_matrix([[1, 0, 0]])).target_labels.tolist() == [0, 1, 2]


def test_label_names_travel_with_views_and_clones():
    dataset = TextDataset.from_labels(["a", "b", "c"], ["ham", "spam", "ham"])
    for twin in (dataset[:1], dataset[:1].clone(), dataset[::-1][0].clone()):
        assert twin.label_names == LabelNames(("ham", "spam"))
        assert twin.target_labels.tolist() == [0, 1]


def test_a_label_without_a_name_is_refused():
    with pytest.raises(InvalidInputError, match=r"^y: got the label 2; allowed: 0 to 1"):
        TextDataset(["a"], [2], label_names=["ham", "spam"])


def test_multi_label_names_become_a_matrix():
    dataset = TextDataset.from_labels(["a", "b", "c"], [["x", "y"], [], ["y"]])
    assert dataset.is_multi_label
    assert dataset.y.toarray().tolist() == [[1, 1], [0, 0], [0, 1]]


@pytest.mark.parametrize(
    ("labels", "found"),
    [
        (["ham", None], "None at row 1"),
        (["ham", float("nan")], "nan at row 1"),
        ([["x"], [None]], "None at row 1"),
        ([["x"], None], "None at row 1"),
        ([["x"], "y"], "'y' at row 1"),
        ("ab", "one string"),
        (["x", ["y"]], r"\['y'\]"),
    ],
    ids=str,
)
def test_invalid_names_are_refused_by_from_labels(labels, found):
    with pytest.raises(InvalidInputError, match=f"^labels: got {found}"):
        TextDataset.from_labels(["a", "b"], labels)


def test_from_labels_with_given_names_keeps_their_order_and_refuses_others():
    dataset = TextDataset.from_labels(["a", "b"], ["spam", "ham"], label_names=["spam", "ham", "eggs"])
    assert dataset.y.tolist() == [0, 1]
    with pytest.raises(InvalidInputError, match=r"^labels: got 'tea'; allowed: one of 'spam', 'ham'"):
        TextDataset.from_labels(["a"], ["tea"], label_names=["spam", "ham"])
    with pytest.raises(InvalidInputError, match=r"^labels: got 'spam' for a text"):
        dataset.label_names.encode_multi_label(["spam"])


def test_from_labels_of_a_subclass_returns_the_subclass():
    class Tickets(TextDataset):
        pass

    tickets = Tickets.from_labels(["urgent", "later"], ["now", "later"])
    for each in (tickets, tickets[:1], tickets[:1].clone(), TextDataset.from_labels(["a"], ["b"])):
        assert type(each) is (TextDataset if each.x == ["a"] else Tickets)
        assert each.label_names is not None
    assert tickets.label_names.decode(tickets.y) == ["now", "later"]
    assert TextDataset(["a"]).label_names is None


@pytest.mark.parametrize("y", [None, [], csr_matrix((0, 3), dtype=int)], ids=["none", "list", "csr"])
def test_an_empty_dataset_is_a_dataset(y):
    dataset = TextDataset([], y)
    assert (len(dataset), dataset.x, list(dataset)) == (0, [], [])
    assert dataset[:].clone().y.shape == dataset.y.shape
    assert len(dataset[[]]) == 0
    assert "n=0" in repr(dataset)


def test_repr_shows_size_kind_classes_and_view():
    assert repr(TextDataset(["a", "b"], [0, 1])) == "TextDataset(n=2, single-label, 2 classes)"
    assert (
        repr(TextDataset(["a"], csr_matrix([[1, 0, 1]]))[:0]) == "TextDataset(n=0, multi-label, 3 classes, view)"
    )


def test_every_sparse_format_becomes_csr():
    assert type(TextDataset(["a"], coo_matrix([[1, 0]])).y) is csr_matrix


def test_a_dataset_class_must_implement_row_selection():
    with pytest.raises(TypeError, match="abstract"):
        Dataset([])
