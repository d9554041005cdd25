"""Pairs of texts: kinds, numbers, frequencies and memory."""

from __future__ import annotations

import sys
import tracemalloc
import warnings
from collections import Counter
from itertools import count, islice

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from smalltext_core import list_to_csr
from smalltext_core.errors import InvalidInputError
from smalltext_setfit.sampler import SAMPLING_STRATEGIES, PairSampler

EIGHT_EIGHT_ONE = np.array([0] * 8 + [1] * 8 + [2])
SEVERAL = list_to_csr([[0], [0, 1], [1], [], [], [2], [0, 1, 2]], num_classes=3)


def source(y, weights=None, seed=1, **options):
    return PairSampler(y, weights, np.random.default_rng(seed), **{"pairs_per_text": 1000, **options})


def drawn(pair_source, batch_size=16):
    """Return the counts of the positive and of the negative pairs in an epoch."""
    positive, negative = Counter(), Counter()
    for batch in pair_source.epoch(batch_size):
        for first, second, label in zip(batch.first, batch.second, batch.labels, strict=True):
            (positive if label else negative)[frozenset((int(first), int(second)))] += 1
    return positive, negative


def every_pair(count):
    return {frozenset((first, second)) for first in range(count) for second in range(first)}


def test_unique_draws_each_pair_of_different_texts_once():
    positive, negative = drawn(source(EIGHT_EIGHT_ONE, sampling_strategy="unique"))
    assert set(positive) | set(negative) == every_pair(17)
    assert set(positive.values()) == set(negative.values()) == {1}
    assert all(len({int(EIGHT_EIGHT_ONE[row]) for row in pair}) == 1 for pair in positive)
    assert all(len({int(EIGHT_EIGHT_ONE[row]) for row in pair}) == 2 for pair in negative)


def test_oversampling_repeats_the_rarer_kind_after_all_of_it_was_drawn():
    positive, negative = drawn(source(EIGHT_EIGHT_ONE, sampling_strategy="oversampling"))
    assert (positive.total(), negative.total()) == (80, 80)
    assert len(positive) == 56
    assert set(positive.values()) == {1, 2}


def test_undersampling_draws_as_many_of_the_other_kind_as_there_are_of_the_rarer():
    positive, negative = drawn(source(EIGHT_EIGHT_ONE, sampling_strategy="undersampling"))
    assert (positive.total(), len(positive)) == (negative.total(), len(negative)) == (56, 56)


def test_num_iterations_is_the_number_of_each_kind_for_every_text():
    positive, negative = drawn(source(EIGHT_EIGHT_ONE, num_iterations=3))
    assert (positive.total(), negative.total()) == (51, 51)


def test_texts_take_turns():
    positive, negative = drawn(source(np.repeat([0, 1, 2], 20), num_iterations=1))
    both = (positive, negative)
    of_positive, of_negative = (Counter(row for pair in kind.elements() for row in pair) for kind in both)
    assert len(of_positive) == 60
    assert max(of_positive.values()) <= 4
    assert max(of_negative.values()) <= 4


def test_both_kinds_are_mixed_evenly():
    batches = list(source(EIGHT_EIGHT_ONE, sampling_strategy="oversampling").epoch(16))
    assert {float(batch.labels.sum()) for batch in batches} == {8}


# With random batches, 30 to 31 of the 32 texts would be distinct.
@pytest.mark.parametrize(("classes", "most"), [(2, 22), (8, 29)])
def test_the_pairs_of_a_batch_share_texts(classes, most):
    batches = list(source(np.repeat(np.arange(classes), 64), num_iterations=5).epoch(16))
    distinct = [len(np.unique([batch.first, batch.second])) for batch in batches[:-1]]
    assert 16 <= np.mean(distinct) < most
    assert {len(batch) for batch in batches[:-1]} == {16}


def test_no_pair_is_twice_in_a_batch_whose_pairs_share_texts():
    for batch in source(np.repeat([0, 1], 20), num_iterations=8).epoch(16):
        pairs = {frozenset(pair) for pair in zip(batch.first.tolist(), batch.second.tolist(), strict=True)}
        assert len(pairs) == len(batch)


def test_batches_early_in_an_epoch_share_no_more_texts_than_those_after_them():
    epochs = [list(source(np.repeat([0, 1], 20), seed=seed, num_iterations=4).epoch(16)) for seed in range(40)]
    distinct = np.array([[len(np.unique([b.first, b.second])) for b in batches] for batches in epochs])
    assert abs(distinct[:, :4].mean() - distinct[:, 4:8].mean()) < 1


def test_a_further_epoch_draws_in_another_order():
    pair_source = source(np.repeat([0, 1], 20), num_iterations=1)
    first, second = (np.concatenate([b.first for b in pair_source.epoch(8)]) for _ in range(2))
    assert (first != second).any()


def test_texts_with_a_common_label_are_positive_pairs_and_unlabelled_texts_form_none():
    positive, negative = drawn(source(SEVERAL, sampling_strategy="unique"))
    rows = SEVERAL.toarray() > 0
    assert set(positive) == {pair for pair in every_pair(7) if (rows[min(pair)] & rows[max(pair)]).any()}
    assert set(negative) == every_pair(7) - set(positive) - {frozenset((3, 4))}
    assert set(positive.values()) == set(negative.values()) == {1}


@pytest.mark.parametrize("strategy", SAMPLING_STRATEGIES)
def test_one_text_of_each_class_gives_only_negative_pairs(strategy):
    positive, negative = drawn(source(np.arange(4), sampling_strategy=strategy))
    assert not positive
    assert set(negative) == every_pair(4)


def test_no_pairs_where_there_are_none():
    assert source(list_to_csr([[0]], num_classes=1)).counts.drawn == 0


@pytest.mark.parametrize("y", [np.array([0, 0, 0, 1, 1, 2]), SEVERAL], ids=["single-label", "multi-label"])
def test_with_weights_pairs_are_drawn_in_proportion(y):
    weights = np.array([1.0, 2, 3, 4, 5, 6, 7])[: y.shape[0]]
    possible = drawn(source(y, sampling_strategy="unique"))
    weighted = drawn(source(y, weights, num_iterations=1000, pairs_per_text=10**6))
    for pairs, found in zip(possible, weighted, strict=True):
        share = {pair: np.prod([weights[row] for row in pair]) for pair in pairs}
        expected = np.array([share[pair] for pair in pairs]) / sum(share.values())
        seen = np.array([found[pair] for pair in pairs]) / found.total()
        assert set(found) == set(pairs)
        np.testing.assert_allclose(seen, expected, atol=0.02)


def test_weights_that_are_all_the_same_change_nothing():
    plain, same = (drawn(source(EIGHT_EIGHT_ONE, weights)) for weights in (None, np.full(17, 3.0)))
    assert plain == same


@pytest.mark.parametrize("weights", [[1e-9, 1, 1, 1], [1e9, 1, 1, 1], [1e-300, 1, 1, 1]])
def test_weights_of_any_size_are_drawn_with(weights):
    positive, negative = drawn(source(np.array([0, 0, 1, 1]), np.array(weights), num_iterations=5))
    assert positive.total() == negative.total() == 20


@pytest.mark.parametrize("weights", [[1e-300] * 3 + [1e300] * 3, [1e300, 1e-300] * 3])
def test_weights_of_which_whole_classes_have_next_to_none_are_drawn_with(weights):
    positive, negative = drawn(source(np.array([0, 0, 0, 1, 1, 1]), np.array(weights), num_iterations=200))
    heavy = {row for row in range(6) if weights[row] == 1e300}
    assert set(positive) == {pair for pair in every_pair(6) if pair <= heavy and (max(pair) < 3 or min(pair) > 2)}
    assert negative.total() == 1200
    assert all(len({row // 3 for row in pair}) == 2 for pair in negative)


def test_a_text_with_a_huge_weight_does_not_exclude_the_others():
    y = np.array([0, 0, 0, 1, 1])
    positive, negative = drawn(
        source(y, np.array([1e200, 1.0, 3.0, 1.0, 1.0]), num_iterations=1000, pairs_per_text=10**4)
    )
    assert set(positive) == {frozenset((0, 1)), frozenset((0, 2))}
    assert positive[frozenset((0, 2))] / positive.total() == pytest.approx(3 / 4, abs=0.02)
    assert set(negative) == {frozenset((0, 3)), frozenset((0, 4))}


@pytest.mark.parametrize("several", [False, True], ids=["single-label", "multi-label"])
def test_drawing_a_pair_takes_no_more_calls_where_there_are_thousands_of_weighted_texts(several):
    """The amount of work is counted in function calls, which do not depend on the machine."""

    def calls_of_three_hundred_batches(texts):
        rng = np.random.default_rng(0)
        y = csr_matrix(rng.random((texts, 4)) < 0.3, dtype=int) if several else rng.integers(0, 4, texts)
        weights, calls = rng.random(texts) + 0.1, count()
        sys.setprofile(lambda *_: next(calls))
        try:
            batches = source(y, weights, pairs_per_text=40).epoch(16)
            assert sum(len(batch) for batch in islice(batches, 300)) == 4_800
        finally:
            sys.setprofile(None)
        return next(calls)

    assert calls_of_three_hundred_batches(5_000) < calls_of_three_hundred_batches(400) + 20 * 5_000


def test_the_same_generator_gives_the_same_pairs():
    assert drawn(source(EIGHT_EIGHT_ONE, seed=3)) == drawn(source(EIGHT_EIGHT_ONE, seed=3))


@pytest.mark.parametrize("strategy", SAMPLING_STRATEGIES)
def test_the_limit_grows_with_the_texts_and_is_reported(strategy):
    y = np.repeat([0, 1], 50)
    limited = source(y, sampling_strategy=strategy, pairs_per_text=4)
    with pytest.warns(
        UserWarning, match=rf"400 of [\d,]+ pairs of 100 texts \({strategy}\).*raise pairs_per_text"
    ):
        limited.warn_of_limit()
    positive, negative = drawn(limited)
    assert positive.total() + negative.total() == 400
    assert abs(positive.total() - negative.total()) <= (10 if strategy == "unique" else 0)


def test_num_iterations_beyond_the_limit_are_reported():
    with pytest.warns(UserWarning, match=r"400 of 1,000 pairs of 100 texts \(num_iterations=5\)"):
        source(np.repeat([0, 1], 50), num_iterations=5, pairs_per_text=4).warn_of_limit()


def test_nothing_is_reported_within_the_limit():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        source(np.repeat([0, 1], 50), num_iterations=20, pairs_per_text=40).warn_of_limit()


@pytest.mark.parametrize(
    ("options", "argument"),
    [
        ({"sampling_strategy": "all"}, "sampling_strategy"),
        ({"num_iterations": 0}, "num_iterations"),
        ({"pairs_per_text": 0}, "pairs_per_text"),
    ],
)
def test_invalid_arguments_are_refused(options, argument):
    with pytest.raises(InvalidInputError, match=argument):
        source(EIGHT_EIGHT_ONE, **options)


@pytest.mark.parametrize("kind", ["single-label", "multi-label", "weighted"])
def test_twenty_thousand_texts_take_memory_in_proportion_to_their_number(kind):
    def peak(count):
        rng = np.random.default_rng(0)
        y = (
            rng.integers(0, 5, count)
            if kind != "multi-label"
            else csr_matrix(rng.random((count, 8)) < 0.2, dtype=int)
        )
        weights = rng.random(count) + 0.1 if kind == "weighted" else None
        tracemalloc.start()
        pair_source = source(y, weights, pairs_per_text=40)
        for number, _ in enumerate(pair_source.epoch(32)):
            if number == 50:
                break
        size = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return size

    large = peak(20_000)
    assert large < 20 * max(peak(2_000), 1 << 20)
    assert large < 32 << 20
