from __future__ import annotations

import pickle
import re
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from smalltext_core.errors import InvalidInputError
from smalltext_torch.batching import Ragged, RaggedDataset, make_batch, prediction_batches, training_batches

CPU = torch.device("cpu")
SEQUENCES = st.lists(st.lists(st.integers(1, 1000), max_size=9), max_size=12)


@given(SEQUENCES)
def test_sequences_are_stored_unchanged(sequences: list[list[int]]) -> None:
    texts = Ragged.from_sequences(sequences)

    assert [texts[row].tolist() for row in range(len(texts))] == sequences
    assert texts.lengths.tolist() == [len(sequence) for sequence in sequences]


def test_sequences_lie_in_one_flat_int32_array() -> None:
    texts = Ragged.from_sequences([[1, 2], [], [3]])

    assert texts.tokens.dtype == np.int32
    assert texts.tokens.tolist() == [1, 2, 3]
    assert texts.offsets.tolist() == [0, 2, 2, 3]


@pytest.mark.parametrize("offsets", [[], [0, 2], [0, 3, 2, 4], [1, 4]])
def test_offsets_that_do_not_fit_are_refused(offsets: list[int]) -> None:
    with pytest.raises(InvalidInputError, match=re.escape(f"offsets: got {offsets}; allowed: increasing numbers")):
        Ragged(np.arange(4), np.array(offsets, dtype=np.int64))


@pytest.mark.parametrize(
    "tokens",
    [
        [1.5],
        [True],
        ["1"],
        [None],
        np.array([2**32 + 5]),
        np.array([2**31], dtype=np.uint32),
        np.array([np.nan]),
        np.array(["2026-11-28"], dtype="datetime64[D]"),
        torch.tensor([1.7]),
        [2**70],
        [[1], [2, 3]],
        [[1, 2]],
        "12",
    ],
    ids=repr,
)
def test_anything_but_integers_is_refused_instead_of_rounded(tokens: Any) -> None:
    with pytest.raises(InvalidInputError, match="^sequences: got .* allowed: .*integers"):
        Ragged.from_sequences([[1], tokens])
    with pytest.raises(InvalidInputError, match="^tokens: got .* allowed: .*integers"):
        Ragged(tokens, np.array([0, 1]))
    with pytest.raises(InvalidInputError, match="^offsets: got .* allowed: .*integers"):
        Ragged(np.array([0]), np.array([0, 0.5]))


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int64, np.uint64])
def test_integers_of_any_type_are_taken(dtype: Any) -> None:
    texts = Ragged(np.array([5, 6], dtype=dtype), np.array([0, 2], dtype=dtype))
    sequences = Ragged.from_sequences([np.array([5], dtype=dtype), [], torch.tensor([6])])
    assert texts.tokens.tolist() == sequences.tokens.tolist() == [5, 6]
    assert texts.tokens.dtype == sequences.tokens.dtype == np.int32


@pytest.mark.parametrize("x", [[[1], [2, 3]], np.ones((2, 3), dtype=np.int32), None])
def test_a_dataset_of_anything_but_a_ragged_is_refused(x: Any) -> None:
    with pytest.raises(InvalidInputError, match=r"^x: got .* allowed: a Ragged. .*Ragged.from_sequences"):
        RaggedDataset(x, [0, 1])


@given(SEQUENCES, st.data())
def test_rows_are_taken_in_the_requested_order(sequences: list[list[int]], data: st.DataObject) -> None:
    rows = data.draw(st.lists(st.sampled_from(range(len(sequences))))) if sequences else []

    taken = Ragged.from_sequences(sequences).take(np.array(rows, dtype=np.intp))

    assert [taken[row].tolist() for row in range(len(taken))] == [sequences[row] for row in rows]


@pytest.mark.parametrize("rows", [range(1, 3), range(3, 3), range(2, -1, -1), range(0, 3, 2)])
def test_ranges_of_rows_are_taken(rows: range) -> None:
    sequences = [[1], [2, 3], [4, 5, 6]]

    taken = Ragged.from_sequences(sequences).take(rows)

    assert [taken[row].tolist() for row in range(len(taken))] == [sequences[row] for row in rows]


def test_neighbours_are_taken_without_a_copy() -> None:
    texts = Ragged.from_sequences([[1], [2, 3], [4]])

    assert np.shares_memory(texts.take(range(1, 3)).tokens, texts.tokens)


def test_truncation_keeps_the_beginning() -> None:
    texts = Ragged.from_sequences([[1, 2, 3], [4], []])

    assert texts.truncated(2).tokens.tolist() == [1, 2, 4]
    assert texts.truncated(3) is texts


def test_a_batch_is_padded_to_its_own_longest_text() -> None:
    texts = Ragged.from_sequences([[1, 2, 3, 4], [5], [6, 7]])

    batch = make_batch(texts, np.array([2, 1]), CPU, padding=9)

    assert batch.tokens.tolist() == [[6, 7], [5, 9]]
    assert batch.lengths.tolist() == [2, 1]
    assert batch.mask.tolist() == [[True, True], [True, False]]


def test_a_batch_of_empty_texts_is_one_token_wide() -> None:
    batch = make_batch(Ragged.from_sequences([[], []]), np.array([0, 1]), CPU)

    assert batch.tokens.shape == (2, 1)
    assert not batch.mask.any()


def test_a_batch_may_be_widened_to_a_multiple_within_the_longest_text_of_all() -> None:
    texts = Ragged.from_sequences([range(10), [5], range(5), range(4)])

    widths = [make_batch(texts, np.array(rows), CPU, multiple=4).tokens.shape[1] for rows in ([1], [2], [3], [0])]

    assert widths == [4, 8, 4, 10]


@given(st.lists(st.integers(0, 50), min_size=1, max_size=200), st.integers(1, 20))
def test_training_batches_hold_every_text_once(lengths: list[int], size: int) -> None:
    batches = training_batches(np.array(lengths), size, np.random.default_rng(0))

    assert sorted(np.concatenate(batches).tolist()) == list(range(len(lengths)))
    assert len(batches) == -(-len(lengths) // size)
    assert max(map(len, batches)) <= size


def test_training_batches_contain_texts_of_similar_length() -> None:
    lengths = np.random.default_rng(0).integers(1, 100, 2000)

    batches = training_batches(lengths, 25, np.random.default_rng(0))

    padded = sum(len(rows) * lengths[rows].max() for rows in batches)
    assert padded < 1.15 * lengths.sum()


@pytest.mark.parametrize("count", [64, 2000])
def test_training_batches_differ_from_epoch_to_epoch(count: int) -> None:
    lengths = np.random.default_rng(0).integers(1, 30, count)
    order = np.random.default_rng(0)

    first, second = ({frozenset(rows) for rows in training_batches(lengths, 16, order)} for _ in range(2))

    assert not first & second


def test_long_texts_are_not_always_last() -> None:
    lengths = np.arange(1000)

    firsts = [training_batches(lengths, 10, np.random.default_rng(seed))[0].mean() for seed in range(20)]

    assert min(firsts) < 300
    assert max(firsts) > 700


def test_the_same_generator_gives_the_same_training_batches() -> None:
    lengths = np.random.default_rng(0).integers(1, 30, 100)

    one, other = (training_batches(lengths, 8, np.random.default_rng(3)) for _ in range(2))

    assert all((a == b).all() for a, b in zip(one, other, strict=True))


@given(st.lists(st.integers(0, 50), max_size=200), st.integers(1, 100))
def test_prediction_batches_hold_every_text_once_within_the_budget(lengths: list[int], budget: int) -> None:
    array = np.array(lengths, dtype=np.int64)

    batches = list(prediction_batches(array, budget))

    assert sorted(row for rows in batches for row in rows) == list(range(len(lengths)))
    assert all(len(rows) == 1 or len(rows) * max(array[rows].max(), 1) <= budget for rows in batches)


def test_prediction_batches_are_as_full_as_they_can_be() -> None:
    batches = list(prediction_batches(np.full(10, 3), token_budget=12))

    assert [len(rows) for rows in batches] == [4, 4, 2]


def test_prediction_batches_leave_room_for_widening() -> None:
    batches = list(prediction_batches(np.full(10, 3), token_budget=12, multiple=4))

    assert [len(rows) for rows in batches] == [3, 3, 3, 1]


def test_a_dataset_of_sequences_is_sliced_and_pickled() -> None:
    dataset = RaggedDataset(Ragged.from_sequences([[1], [2, 3], [4]]), [0, 1, 0])

    view = pickle.loads(pickle.dumps(dataset))[[2, 1]]

    assert [view.x[row].tolist() for row in range(2)] == [[4], [2, 3]]
    assert view.y.tolist() == [0, 1]


def test_a_clone_of_a_view_shares_nothing_that_could_be_changed():
    dataset = RaggedDataset(Ragged.from_sequences([[1, 2], [3], []]), [0, 1, 0])
    for clone in (dataset.clone(), dataset[:2].clone(), dataset[[0, 2]].clone()):
        clone.y = [1] * len(clone)
        with pytest.raises(ValueError, match="read-only"):
            clone.x.tokens[:] = 9
    assert dataset.x.tokens.tolist() == [1, 2, 3]
    assert dataset.y.tolist() == [0, 1, 0]
