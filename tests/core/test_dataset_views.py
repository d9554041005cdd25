from __future__ import annotations

import copy
import pickle
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from scipy.sparse import csr_matrix

from smalltext_core import TextDataset, list_to_csr
from smalltext_core.errors import InvalidInputError, ReadOnlyError

TEXTS = [f"text {number}" for number in range(10)]
NUMBERS = np.arange(10)


def single() -> TextDataset:
    return TextDataset(TEXTS, NUMBERS)


def multi() -> TextDataset:
    return TextDataset(TEXTS, list_to_csr([[number % 3] if number % 4 else [] for number in range(10)], 3))


INDICES = {
    "int": (3, [3]),
    "negative int": (-1, [9]),
    "numpy int": (np.int64(4), [4]),
    "zero-dimensional array": (np.array(5), [5]),
    "slice": (slice(2, 5), [2, 3, 4]),
    "slice from the end": (slice(-3, None), [7, 8, 9]),
    "slice with a step": (slice(1, 9, 3), [1, 4, 7]),
    "reversed slice": (slice(None, None, -1), list(range(9, -1, -1))),
    "reversed slice with a step": (slice(8, 1, -3), [8, 5, 2]),
    "empty slice": (slice(4, 4), []),
    "slice beyond the end": (slice(8, 100), [8, 9]),
    "reversed slice before the start": (slice(-100, None, -1), []),
    "list": ([7, 0, 7], [7, 0, 7]),
    "list with negatives": ([-1, 0], [9, 0]),
    "empty list": ([], []),
    "tuple": ((1, 2), [1, 2]),
    "range": (range(6, 2, -2), [6, 4]),
    "int array": (np.array([5, 1]), [5, 1]),
    "unsigned array": (np.array([5, 1], dtype=np.uint8), [5, 1]),
    "small signed array": (np.array([-1, 5], dtype=np.int8), [9, 5]),
    "unsigned scalar": (np.uint64(5), [5]),
    "boolean mask": (NUMBERS % 2 == 0, [0, 2, 4, 6, 8]),
    "boolean list": ([True] + [False] * 9, [0]),
    "mask of nothing": (np.zeros(10, dtype=bool), []),
}


@pytest.mark.parametrize("make", [single, multi])
@pytest.mark.parametrize(("index", "rows"), INDICES.values(), ids=INDICES.keys())
def test_every_kind_of_index_selects_texts_and_labels_alike(make, index, rows):
    dataset = make()
    view = dataset[index]
    assert view.is_view
    assert len(view) == len(rows)
    assert view.x == [TEXTS[row] for row in rows]
    assert view.y.shape[0] == len(rows)
    if dataset.is_multi_label:
        assert_array_equal(view.y.toarray(), dataset.y.toarray()[rows])
    else:
        assert_array_equal(view.y, dataset.y[rows])


def test_an_int_gives_a_view_of_one_text_whose_labels_keep_their_dimension():
    assert single()[3].y.shape == (1,)
    assert multi()[3].y.shape == (1, 3)


@pytest.mark.parametrize(
    "index",
    [10, -11, [0, 10], np.array([-11]), np.array([2**64 - 1], dtype=np.uint64), np.uint64(2**63), np.int8(-11)],
)
def test_a_row_that_does_not_exist_raises_index_error(index):
    with pytest.raises(IndexError, match="out of range for a dataset of 10 texts"):
        single()[index]


@pytest.mark.parametrize(
    "index",
    [
        None,
        "0",
        1.0,
        True,
        ...,
        {0},
        [0.5],
        ["a"],
        [True, 2],
        [[1], [2, 3]],
        (3, np.True_),
        np.zeros(3, dtype=bool),
        np.array([[0, 1]]),
        np.array([0.0]),
    ],
    ids=repr,
)
def test_invalid_indices_are_refused_by_name(index):
    with pytest.raises(InvalidInputError, match=r"^indices: ") as caught:
        single()[index]
    assert caught.value.argument == "indices"


slices = st.slices(10)
row_lists = st.lists(st.integers(0, 9), max_size=12)


@given(first=slices, second=slices | row_lists, third=slices | row_lists, several=st.booleans())
def test_nested_views_equal_nested_lists(first, second, third, several):
    dataset = multi() if several else single()
    view, expected = dataset, list(range(10))
    for index in (first, second, third):
        if isinstance(index, list):
            index = [row for row in index if row < len(expected)]
            expected = [expected[row] for row in index]
        else:
            expected = expected[index]
        view = view[index]
    assert len(view) == len(expected)
    assert view.x == [TEXTS[row] for row in expected]
    assert view.y.shape[0] == len(expected)
    assert_array_equal(
        view.y.toarray() if several else view.y, dataset.y[expected].toarray() if several else expected
    )


def test_a_reversed_view_sliced_past_its_end_is_empty_in_texts_and_labels():
    view = single()[::-1][10:]
    assert (len(view), view.x, view.y.shape) == (0, [], (0,))


def test_a_sliced_view_shares_the_memory_of_the_labels():
    dataset = single()
    assert np.shares_memory(dataset[2:8][::2].y, dataset.y)


@pytest.mark.parametrize("index", [slice(0, 50_000), slice(None, None, -1), slice(1, None, 7), 12_345])
def test_making_a_view_costs_nothing_that_grows_with_the_dataset(index):
    dataset = TextDataset(["text"] * 100_000, np.zeros(100_000, dtype=np.int64))
    dataset[index]  # creates everything that is created only once
    tracemalloc.start()
    view = dataset[index][::-1]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert view.is_view
    assert peak < 10_000


def test_a_view_of_k_rows_costs_k_row_numbers_and_no_text():
    dataset = TextDataset(["text"] * 100_000, np.zeros(100_000, dtype=np.int64))
    rows = np.arange(0, 1_000)
    dataset[rows]
    tracemalloc.start()
    view = dataset[rows]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(view) == 1_000
    assert peak < 100_000


def test_the_texts_of_a_view_are_those_of_the_dataset_not_copies():
    dataset = single()
    assert all(mine is theirs for mine, theirs in zip(dataset[2:4].x, dataset.x[2:4], strict=True))


@pytest.mark.parametrize("make", [single, multi])
@pytest.mark.parametrize("index", [slice(None), slice(0, 3), [0, 1], 0])
def test_a_view_cannot_be_changed(make, index):
    dataset = make()
    view = dataset[index]
    with pytest.raises(ReadOnlyError, match="clone"):
        view.y = np.zeros(len(view), dtype=int)
    with pytest.raises(ReadOnlyError, match="clone"):
        view.target_labels = [0]
    with pytest.raises(AttributeError):
        view.x = ["other"]
    with pytest.raises(ValueError, match="read-only"):
        (view.y.data if dataset.is_multi_label else view.y)[:] = 1


@pytest.mark.parametrize("make", [single, multi])
def test_reading_a_view_does_not_lock_the_dataset(make):
    dataset = make()
    assert dataset[:].y is not None
    dataset.y = dataset.y.copy()


def test_attributes_of_target_labels_can_be_set_without_changing_the_dataset():
    dataset = TextDataset(["a", "b"], [0, 1], target_labels=[0, 1])
    for twin in (dataset, dataset[:1], dataset.clone()):
        targets = twin.target_labels
        targets.shape = (2, 1)
        with pytest.raises(ValueError, match="WRITEABLE"):
            targets.flags.writeable = True
        assert twin.target_labels.shape == dataset.target_labels.shape == (2,)


def test_target_labels_cannot_be_changed_through_views_and_clones():
    dataset = TextDataset(["a", "b"], [0, 1], target_labels=[0, 1, 2])
    for twin in (dataset[:1], dataset.clone()):
        with pytest.raises(ValueError, match="read-only"):
            twin.target_labels[0] = 9
    assert dataset.target_labels.tolist() == [0, 1, 2]


@pytest.mark.parametrize("make", [single, multi])
def test_a_clone_of_a_nested_view_is_independent(make):
    dataset = make()
    clone = dataset[2:8][[0, 3]].clone()
    assert not clone.is_view
    assert clone.x == [TEXTS[2], TEXTS[5]]
    clone.y = [1, 0]
    clone.x[0] = "changed"
    assert clone.y.tolist() == [1, 0]
    assert dataset.x == TEXTS
    assert dataset.y.shape[0] == 10


def test_a_view_of_a_view_reaches_the_storage_at_once():
    view = single()
    for _ in range(5_000):
        view = view[:]
    assert pickle.loads(pickle.dumps(view)).x == TEXTS


@pytest.mark.parametrize("again", [copy.deepcopy, lambda kept: pickle.loads(pickle.dumps(kept))])
@pytest.mark.parametrize("make", [single, multi])
@pytest.mark.parametrize("index", [None, slice(2, 5), [4, 4, 1], 0])
def test_datasets_and_views_survive_pickle_and_deepcopy(again, make, index):
    kept = make() if index is None else make()[index]
    twin = again(kept)
    assert type(twin) is TextDataset
    assert (twin.x, twin.is_view, repr(twin)) == (kept.x, kept.is_view, repr(kept))
    assert_array_equal(csr_matrix(twin.y).toarray(), csr_matrix(kept.y).toarray())


def test_a_view_stays_read_only_in_another_process():
    with pytest.raises(ReadOnlyError):
        pickle.loads(pickle.dumps(single()[:3])).y = [0, 0, 0]


def test_iterating_gives_a_view_of_each_text_in_order():
    assert [(view.x, view.y.tolist()) for view in single()[4:6]] == [(["text 4"], [4]), (["text 5"], [5])]
    assert [view.x[0] for view in reversed(single())] == TEXTS[::-1]
