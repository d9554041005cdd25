"""Labels cannot be changed through arrays that a dataset returns, only by setting `y`."""

from __future__ import annotations

import copy
import pickle
from contextlib import suppress

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy.sparse import coo_matrix, csr_matrix

from smalltext_core import LABEL_UNLABELED, TextDataset, list_to_csr
from smalltext_core.errors import InvalidInputError
from smalltext_core.validation import prediction_data, training_data

TEXTS = ["a", "b", "c"]


def single():
    return TextDataset(TEXTS, np.array([0, 1, 2]))


def multi():
    return TextDataset(TEXTS, list_to_csr([[0, 2], [1], []], 3))


def write_an_entry(y):
    y[0, 2] = 0


def add_an_entry(y):
    y[2, 1] = 1


def replace_a_row(y):
    y[1] = csr_matrix([[1, 1, 1]])


def write_the_data(y):
    y.data[:] = 7


def write_the_columns(y):
    y.indices[:] = 0


def write_the_rows(y):
    y.indptr[:] = 0


def multiply(y):
    y *= 3


def replace_the_data(y):
    y.data = y.data * 7


def cut_off(y):
    y.resize(1, 3)


def unlock(y):
    y.data.flags.writeable = True
    y.data[:] = 7


def set_the_diagonal(y):
    y.setdiag(0)


MATRIX_WRITES = [
    *(write_an_entry, add_an_entry, replace_a_row, write_the_data, write_the_columns, write_the_rows, multiply),
    *(replace_the_data, cut_off, unlock, set_the_diagonal),
]


def write_a_number(y):
    y[0] = 1


def write_a_marker(y):
    y[1] = -5


def write_an_identifier(y):
    y[2] = 10**9


def unlock_array(y):
    y.flags.writeable = True
    y[0] = 2


def add_to_it(y):
    y += 1


def sort_it(y):
    y[::-1].sort()


ARRAY_WRITES = [write_a_number, write_a_marker, write_an_identifier, unlock_array, add_to_it, sort_it]


def ways(dataset):
    return {
        "dataset": dataset,
        "clone": dataset.clone(),
        "view": dataset[:],
        "rows": dataset[[0, 1, 2]],
        "clone of a view": dataset[::-1][::-1].clone(),
        "deepcopy": copy.deepcopy(dataset),
        "pickle": pickle.loads(pickle.dumps(dataset)),
        "pickle of a view": pickle.loads(pickle.dumps(dataset[:])),
    }


@pytest.mark.parametrize(
    ("make", "write"),
    [(multi, write) for write in MATRIX_WRITES] + [(single, write) for write in ARRAY_WRITES],
    ids=lambda one: one.__name__,
)
@pytest.mark.parametrize("way", list(ways(single())))
@pytest.mark.filterwarnings("ignore:Changing the sparsity structure")
def test_writing_to_labels_does_not_change_a_dataset(make, write, way):
    dataset = make()
    expected = csr_matrix(dataset.y).toarray()
    given = ways(dataset)[way]
    with suppress(ValueError):  # numpy reports that the memory is read-only
        write(given.y)
    for each in (given, dataset, dataset[:]):
        assert_array_equal(csr_matrix(each.y).toarray(), expected)
    train_set, _ = training_data(given, num_classes=3, multi_label=make is multi)
    y = train_set.y
    if make is multi:
        assert (y.data == 1).all()
        assert y.nnz == expected.sum()


@pytest.mark.parametrize("make", [single, multi])
def test_labels_share_no_memory_with_the_caller(make):
    y = make().y.copy()
    dataset = TextDataset(TEXTS, y)
    clone = dataset.clone()
    dataset.y = y
    (y.data if make is multi else y)[:] = 0
    for each in (dataset, clone):
        assert_array_equal(csr_matrix(each.y).toarray(), csr_matrix(make().y).toarray())


def test_stored_zeros_and_duplicate_entries_have_the_values_of_the_matrix():
    y = coo_matrix(([1, 0, 1], ([0, 0, 1], [1, 2, 0])), shape=(3, 3)).tocsr()
    y[0, 1] = 0
    dataset = TextDataset(TEXTS, y)
    assert dataset.y.nnz == 1
    assert_array_equal(dataset.y.toarray(), y.toarray())
    with pytest.raises(InvalidInputError, match=r"^y: got a matrix entry of 2"):
        TextDataset(TEXTS, coo_matrix(([1, 1], ([0, 0], [1, 1])), shape=(3, 3)))


def test_a_damaged_matrix_is_refused():
    y = list_to_csr([[0], [1], [2]], 3)
    y.indices[1] = 99
    with pytest.raises(InvalidInputError, match=r"^y: got a damaged sparse matrix"):
        TextDataset(TEXTS, y)


@pytest.mark.parametrize(
    ("y", "found"),
    [
        ([10**10, 1, 0], "the label 10000000000 at row 0"),
        ([0, 1, 1_000_000], "the label 1000000 at row 2"),
        (np.array([2**64 - 1, 0, 1], dtype=np.uint64), "the label 18446744073709551615 at row 0"),
        ([2**64 - 1, 0, 1], "values of type float64"),
        ([0, 10**100, 1], r"the label a number of 333 bits at row 1"),
        (csr_matrix((3, 10**9), dtype=int), "1000000000 columns"),
        (np.ma.array([0, 1, 2], mask=[0, 1, 0]), "a masked label at row 1"),
        ([[0], [1, 2], []], r"\[\[0\], \[1, 2\], \[\]\]"),
        ({0, 1, 2}, "a set, which has no order"),
        ({"a": 0}, r"a mapping \(dict\)"),
        (np.array([0, True, 1.5], dtype=object), "values of type object"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_labels_that_are_not_class_numbers_are_refused_immediately(y, found):
    with pytest.raises(InvalidInputError, match=f"^y: got {found}"):
        TextDataset(TEXTS, y)
    dataset = single()
    with pytest.raises(InvalidInputError, match=f"^y: got {found}"):
        dataset.y = y
    assert dataset.y.tolist() == [0, 1, 2]
    assert len(repr(dataset)) < 100


def test_class_numbers_have_a_limit_everywhere():
    assert len(TextDataset(["a"], [999_999]).target_labels) == 1_000_000
    for argument, make in {
        "target_labels": lambda: TextDataset(["a"], [0], target_labels=[0, 10**10]),
        "num_classes": lambda: list_to_csr([[0]], 10**10),
    }.items():
        with pytest.raises(InvalidInputError, match=f"^{argument}: got "):
            make()


def test_labels_of_any_kind_of_sequence_are_class_numbers():
    import pandas as pd
    import polars as pl
    import pyarrow as pa

    numbers = [2, 0, LABEL_UNLABELED]
    for y in (
        (number for number in numbers),
        pd.Series(numbers),
        pd.Series(numbers, dtype="Int64"),
        pl.Series(numbers),
        pa.array(numbers),
        np.array(numbers, dtype=object),
        tuple(numbers),
    ):
        assert TextDataset(iter(TEXTS), y).y.tolist() == numbers


def tables():
    import datasets
    import pandas as pd
    import polars as pl
    import pyarrow as pa

    columns = {"text": ["a", "b"], "label": ["x", "y"]}
    frame = pl.DataFrame(columns)
    return [
        *(pd.DataFrame(columns), frame, frame.lazy(), pa.table(columns), datasets.Dataset.from_dict(columns)),
        *(columns, columns.items(), set("ab"), frozenset("ab"), columns.keys()),
        *(np.array([["a"], ["b"]]), np.array("a"), "ab", b"ab", bytearray(b"ab"), csr_matrix((2, 2)), 3, None),
    ]


@pytest.mark.parametrize("given", tables(), ids=lambda given: type(given).__name__)
def test_invalid_sequences_of_texts_or_labels_are_refused_with_advice(given):
    for argument, make in {
        "x": lambda: TextDataset(given),
        "labels": lambda: TextDataset.from_labels(["a", "b"], given),
        "names": lambda: TextDataset(["a", "b"], label_names=given) if given is not None else TextDataset(3),
    }.items():
        with pytest.raises(InvalidInputError, match="got") as caught:
            make()
        assert caught.value.argument in (argument, "x")
        assert len(str(caught.value)) < 500
    with pytest.raises(InvalidInputError, match=r"^x: got "):
        TextDataset.from_labels(given, ["a", "b"])
    if type(given).__name__ in ("DataFrame", "LazyFrame", "Table", "Dataset"):
        with pytest.raises(InvalidInputError, match=r"such as df\['text'\]"):
            TextDataset(given)


def test_an_error_shows_a_part_of_the_value():
    for given in (["x" * 10**6, 3], [["y" * 10**6] * 10], [{"z" * 10**6: 1}], [b"b" * 10**6], [10**10000]):
        with pytest.raises(InvalidInputError) as caught:
            TextDataset(given)
        assert len(str(caught.value)) < 400
        with pytest.raises(InvalidInputError) as caught:
            TextDataset(["a"] * len(given), given)
        assert len(str(caught.value)) < 600


def test_texts_changed_in_place_are_checked_when_they_are_used():
    for change in (lambda x: x.append("d"), lambda x: x.__setitem__(0, None)):
        dataset = single()
        change(dataset.x)
        with pytest.raises(InvalidInputError, match=r"^train_set: got "):
            training_data(dataset, num_classes=3, multi_label=False)
        with pytest.raises(InvalidInputError, match=r"^data_set: got "):
            prediction_data(dataset, fitted=True, classifier="x")


@pytest.mark.parametrize("change", [lambda x: x.insert(0, "z"), lambda x: x.pop(), lambda x: x.append("d")])
def test_views_of_texts_changed_in_place_are_refused_too(change):
    dataset = single()
    view = dataset[[2]]
    change(dataset.x)
    with pytest.raises(InvalidInputError, match=r"^train_set: got \d texts and 3 labels"):
        training_data(view, num_classes=3, multi_label=False)
    with pytest.raises(InvalidInputError, match=r"^data_set: got \d texts and 3 labels"):
        prediction_data(view, fitted=True, classifier="x")


@pytest.mark.parametrize("scale", [7, 1e-8, 1e-300, 1e300, 5e-324])
def test_only_the_ratios_of_weights_count(scale):
    _, weights = training_data(single(), [1 * scale, 2 * scale, 3 * scale], num_classes=3, multi_label=False)
    assert weights.tolist() == pytest.approx([0.5, 1, 1.5])
    assert training_data(single(), [scale] * 3, num_classes=3, multi_label=False)[1] is None


def test_weights_may_differ_by_any_factor():
    train_set, weights = training_data(single(), [1e-320, 1, 1e300], num_classes=3, multi_label=False)
    assert (weights > 0).all()
    assert len(train_set) == len(weights) == 3
    assert weights.tolist() == pytest.approx([0, 0, 3])


def test_weights_may_be_a_generator_or_a_series_and_no_table():
    import pandas as pd

    for given in (iter([1, 3]), pd.Series([1, 3]), (1, 3)):
        assert training_data(single()[:2], given, num_classes=3, multi_label=False)[1].tolist() == [0.5, 1.5]
    with pytest.raises(InvalidInputError, match=r"^weights: got a table"):
        training_data(single(), pd.DataFrame({"w": [1, 2, 3]}), num_classes=3, multi_label=False)


def test_a_shape_as_in_small_text_also_gives_a_matrix():
    expected = [[1, 0, 1], [0, 1, 0]]
    assert list_to_csr([[0, 2], [1]], (2, 3)).toarray().tolist() == expected
    assert list_to_csr([[0, 2], [1]], shape=(2, 3)).toarray().tolist() == expected
    for wrong in [((3, 3),), ((2,),), ((2, 3, 4),), ("ab",), (-1,), (1.5,), (None,)]:
        with pytest.raises(InvalidInputError, match=r"^(num_classes|shape): got "):
            list_to_csr([[0, 2], [1]], *wrong)


@pytest.mark.parametrize(
    "wrong",
    [
        ["1", "2", "3"],
        [1, "2", 3],
        np.array([1, "2", 3], dtype=object),
        np.array([1, 2, 3], dtype=complex),
        np.array([1, 2, 3], dtype="M8[D]"),
        np.array([1, 2, 3], dtype="m8[D]"),
        [b"1", b"2", b"3"],
    ],
    ids=repr,
)
def test_weights_are_numbers_and_nothing_that_numpy_would_convert(wrong):
    with pytest.raises(InvalidInputError, match=r"^weights: got .*; allowed: finite numbers"):
        training_data(single(), wrong, num_classes=3, multi_label=False)
