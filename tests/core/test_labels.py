from __future__ import annotations

import pickle
import unicodedata

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import coo_matrix, csc_matrix, csr_array, csr_matrix

from smalltext_core import LABEL_IGNORED, LABEL_UNLABELED, LabelNames, csr_to_list, list_to_csr, marked_rows
from smalltext_core.errors import InvalidInputError

characters = st.characters(exclude_categories=["Cs"])
names_in_any_script = st.lists(
    st.text(characters, min_size=1).map(lambda name: unicodedata.normalize("NFC", name).strip()).filter(bool),
    unique=True,
    max_size=8,
)
rows_of_three = st.lists(st.none() | st.just(LABEL_IGNORED) | st.lists(st.integers(0, 2), unique=True).map(sorted))


@given(rows_of_three)
def test_lists_of_class_numbers_survive_the_matrix(rows):
    matrix = list_to_csr(rows, 3)
    assert (type(matrix), matrix.shape, matrix.dtype) == (csr_matrix, (len(rows), 3), np.int32)
    assert csr_to_list(matrix) == rows
    assert marked_rows(matrix).tolist() == [not isinstance(row, list) for row in rows]


def test_unlabelled_differs_from_no_class_applies():
    matrix = list_to_csr([None, [], LABEL_UNLABELED, LABEL_IGNORED], 2)
    assert marked_rows(matrix).tolist() == [True, False, True, True]
    assert csr_to_list(matrix) == [None, [], None, LABEL_IGNORED]


def test_repeated_class_numbers_in_any_order_count_once():
    assert list_to_csr([[2, 0, 2], np.array([1, 1]), {1}], 3).toarray().tolist() == [
        [1, 0, 1],
        [0, 1, 0],
        [0, 1, 0],
    ]


@pytest.mark.parametrize("row", [[3], [-1], [0, 3], 0, 1.5, [0.5], [1.0], "01", ["0"], [None], True], ids=repr)
def test_invalid_class_numbers_are_refused(row):
    with pytest.raises(InvalidInputError, match=r"^labels: got "):
        list_to_csr([[0], row], 3)


def test_a_matrix_with_entries_out_of_order_reads_in_order():
    matrix = csr_matrix((np.array([1, 1]), np.array([2, 0]), np.array([0, 2])), shape=(1, 3))
    assert csr_to_list(matrix) == [[0, 2]]


@pytest.mark.parametrize("matrix", [csr_matrix, csr_array])
def test_markers_are_found_wherever_they_stand_in_a_row(matrix):
    y = matrix(np.array([[1, 0, LABEL_UNLABELED], [0, LABEL_IGNORED, 0], [1, 1, 0], [0, 0, 0]]))
    assert marked_rows(y).tolist() == [True, True, False, False]


def test_markers_are_distinct_from_class_numbers():
    assert {LABEL_UNLABELED, LABEL_IGNORED} == {-1, -2}
    assert marked_rows(np.array([], dtype=int)).tolist() == []


@given(names_in_any_script, st.data())
def test_names_survive_encoding(names, data):
    label_names = LabelNames(tuple(names))
    labels = data.draw(st.lists(st.sampled_from(names)) if names else st.just([]))
    y = label_names.encode(labels)
    assert (y.dtype, y.shape) == (np.int32, (len(labels),))
    assert label_names.decode(y) == labels
    assert [label_names.number(name) for name in names] == list(range(len(names)))


@given(names_in_any_script, st.data())
def test_lists_of_names_survive_encoding(names, data):
    label_names = LabelNames(tuple(names))
    row = st.lists(st.sampled_from(names), unique=True).map(lambda row: sorted(row, key=names.index))
    labels = data.draw(st.lists(row if names else st.just([])))
    y = label_names.encode_multi_label(labels)
    assert y.shape == (len(labels), len(names))
    assert label_names.decode(y) == labels


def test_names_that_occur_are_collected_and_sorted_by_code_point():
    assert LabelNames.of(["ä", "z", "Ham", "日本", "ham", "z"]).names == ("Ham", "ham", "z", "ä", "日本")
    assert LabelNames.of([["b"], [], ["a", "b"]]).names == ("a", "b")
    assert LabelNames.of(name for name in np.array(["b", "a"])).names == ("a", "b")


def test_names_are_stored_as_plain_strings():
    assert {type(name) for name in LabelNames(np.array(["a", "b"])).names} == {str}


@pytest.mark.parametrize(
    "names",
    ["spam", ["a", None], ["a", "b", "a"], {"a", "b"}, {0: "a"}],
    ids=["text", "not a name", "a name twice", "set", "mapping"],
)
def test_invalid_names_are_refused(names):
    with pytest.raises(InvalidInputError, match=r"^names: got "):
        LabelNames(names)


@pytest.mark.parametrize("stranger", ["tea", None, 1, ["ham"], float("nan")], ids=repr)
def test_an_unknown_name_is_refused_and_the_known_ones_are_listed(stranger):
    with pytest.raises(InvalidInputError, match=r"^labels: got .*; allowed: one of 'ham', 'spam'"):
        LabelNames(("ham", "spam")).number(stranger)


def test_a_long_list_of_names_is_cut_short_in_the_message():
    with pytest.raises(InvalidInputError, match="and 980 more"):
        LabelNames(tuple(f"class {number}" for number in range(1000))).number("tea")


@pytest.mark.parametrize(
    "y",
    [
        np.array([0, LABEL_UNLABELED]),
        np.array([LABEL_IGNORED]),
        np.array([2]),
        list_to_csr([None], 2),
        list_to_csr([[2]], 3),
    ],
    ids=["unlabelled", "ignored", "too high", "unlabelled row", "column without a name"],
)
def test_class_numbers_without_a_name_are_not_decoded(y):
    with pytest.raises(InvalidInputError, match=r"^y: got .*class numbers from 0 to 1"):
        LabelNames(("ham", "spam")).decode(y)


@pytest.mark.parametrize(
    "y",
    [
        *([0, 1], (0, 1), iter([0, 1]), np.array([0, 1], dtype=object), np.array([0, 1], dtype=np.uint8)),
        *(pd.Series([0, 1]), pl.Series([0, 1]), pa.array([0, 1])),
    ],
    ids=lambda y: type(y).__module__,
)
def test_class_numbers_in_any_container_are_decoded(y):
    assert LabelNames(("ham", "spam")).decode(y) == ["ham", "spam"]


@pytest.mark.parametrize("matrix", [csr_matrix, csr_array, csc_matrix, coo_matrix])
def test_matrices_in_any_format_are_decoded(matrix):
    assert LabelNames(("ham", "spam")).decode(matrix([[1, 1], [0, 0], [0, 1]])) == [["ham", "spam"], [], ["spam"]]


@pytest.mark.parametrize(
    "y",
    [
        *(None, 1, "01", [0.0, 1.0], np.array([0.2, 0.8]), np.array([True, False]), [[0], [1]], np.array(1)),
        *(np.eye(2), csr_matrix([[0.5, 0.5]]), csr_matrix([[2, 0]]), [0, None], {"a": 0}, {0, 1}),
        *(pd.DataFrame({"y": [0, 1]}), np.ma.array([0, 1], mask=[0, 1])),
    ],
    ids=repr,
)
def test_what_is_no_class_number_is_not_decoded(y):
    with pytest.raises(InvalidInputError, match="^y: got "):
        LabelNames(("ham", "spam")).decode(y)


def test_names_compare_hash_and_pickle():
    names = LabelNames(("a", "b"))
    assert pickle.loads(pickle.dumps(names)) == names == LabelNames(["a", "b"])
    assert len({names, LabelNames(("a", "b"))}) == 1
    with pytest.raises(AttributeError):
        names.names = ()
