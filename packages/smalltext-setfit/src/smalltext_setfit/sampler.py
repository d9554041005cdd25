"""Sampling of the positive and negative pairs of texts for contrastive training.

A pair is positive if its texts have a label in common, and negative otherwise. Pairs are drawn on demand, so that
memory is linear in the number of texts. Only counting takes quadratic time, and only if nearly every text has a
different combination of labels.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smalltext_core.labels import Labels, is_multi_label
from smalltext_core.validation import check_choice, check_count
from smalltext_setfit._weighted_pairs import WeightedPairSampler
from smalltext_torch.progress import stacklevel_of_caller

Rows = NDArray[np.intp]
Mask = NDArray[np.bool_]

SAMPLING_STRATEGIES = ("oversampling", "undersampling", "unique")

BATCHES_PER_DRAW = 8
"""Number of batches whose pairs are drawn together, unless nearly every text occurs in each batch anyway."""


@dataclass(frozen=True)
class PairBatch:
    """A batch of pairs of texts.

    Parameters
    ----------
    first, second : ndarray of intp, shape (n,)
        The rows of the two texts.
    labels : ndarray of float32, shape (n,)
        1 for positive pairs, 0 for negative ones.
    """

    first: Rows
    second: Rows
    labels: NDArray[np.float32]

    def __len__(self) -> int:
        """Return the number of pairs."""
        return len(self.first)


@dataclass(frozen=True)
class PairCounts:
    """The number of pairs of an epoch.

    Parameters
    ----------
    positive, negative : int
        The number of pairs of each kind that are drawn.
    requested : int
        The number of pairs of the sampling strategy, before `pairs_per_text` limits it.
    """

    positive: int
    negative: int
    requested: int

    @property
    def drawn(self) -> int:
        """The total number of pairs."""
        return self.positive + self.negative


class LabelCombinations:
    """The distinct combinations of labels of texts; in single-label problems, the classes.

    Parameters
    ----------
    y : ndarray of int, shape (n,), or csr_matrix, shape (n, num_classes)

    Attributes
    ----------
    of_text : ndarray of intp, shape (n,)
        The number of the combination of each text.
    counts : ndarray of int64
        The number of texts of each combination.
    """

    def __init__(self, y: Labels) -> None:
        indicators = y.astype(np.bool_).toarray() if is_multi_label(y) else y[:, None] == np.unique(y)
        self._bits, of_text = np.unique(np.packbits(indicators, axis=1), axis=0, return_inverse=True)
        self.of_text: Rows = of_text.reshape(-1)
        self.counts: NDArray[np.int64] = np.bincount(self.of_text, minlength=len(self._bits))
        self._empty: Mask = np.asarray(~self._bits.any(axis=1))

    def positive(self, number: int) -> Mask:
        """Return which combinations have a label in common with this one."""
        shared: Mask = (self._bits & self._bits[number]).any(axis=1)
        return shared

    def negative(self, number: int) -> Mask:
        """Return which combinations have no label in common with this one; texts without labels form no pairs."""
        related: Mask = self.positive(number) | (self._empty & self._empty[number])
        return np.logical_not(related)

    def common_label(self, first: Rows, second: Rows) -> NDArray[np.intp]:
        """Return the lowest common label of the texts of each pair, or -1."""
        shared = np.unpackbits(self._bits[self.of_text[first]] & self._bits[self.of_text[second]], axis=1)
        return np.where(shared.any(axis=1), shared.argmax(axis=1), -1)

    def both_unlabeled(self, first: Rows, second: Rows) -> Mask:
        """Return for each pair whether neither text has a label."""
        empty: Mask = self._empty[self.of_text]
        return np.logical_and(empty[first], empty[second])

    def texts_by_label(self) -> list[tuple[int, Rows]]:
        """Return each label together with the rows that have it."""
        indicators = np.unpackbits(self._bits, axis=1).astype(np.bool_)
        labels = np.flatnonzero(indicators.any(axis=0))
        return [(int(label), np.flatnonzero(indicators[self.of_text, label])) for label in labels]

    def count_pairs(self) -> tuple[int, int]:
        """Return the numbers of positive and negative pairs."""
        positive = negative = 0
        for number, count in enumerate(self.counts.tolist()):
            with_itself = 0 if self._empty[number] else count
            positive += count * int(self.counts[self.positive(number)].sum()) - with_itself
            negative += count * int(self.counts[self.negative(number)].sum())
        return positive // 2, negative // 2


def count_pairs(
    combinations: LabelCombinations, sampling_strategy: str, num_iterations: int | None, pairs_per_text: int
) -> PairCounts:
    """Return the numbers of pairs to draw in an epoch.

    Parameters
    ----------
    combinations : LabelCombinations
        The labels of the training texts.
    sampling_strategy : {"oversampling", "undersampling", "unique"}
        Repeat pairs of the rarer kind to match the number of the other kind; draw only as many of the more
        frequent kind as there are of the rarer one; or draw each pair once.
    num_iterations : int or None
        The number of pairs of each kind per text, instead of a sampling strategy.
    pairs_per_text : int
        The maximum number of pairs per text, of both kinds in total.
    """
    positive, negative = combinations.count_pairs()
    texts = int(combinations.counts.sum())
    if num_iterations is not None:
        requested = [num_iterations * texts if possible else 0 for possible in (positive, negative)]
    elif sampling_strategy == "unique" or not (positive and negative):
        requested = [positive, negative]
    else:
        choose = max if sampling_strategy == "oversampling" else min
        requested = [choose(positive, negative)] * 2
    total, limit = sum(requested), pairs_per_text * texts
    if total <= limit:
        return PairCounts(requested[0], requested[1], total)
    of_positive = max(round(limit * requested[0] / total), 1) if requested[0] else 0
    return PairCounts(of_positive, limit - of_positive, total)


class PairSampler:
    """Draws the pairs of each epoch from a random number generator.

    Without weights each pair is drawn once before any is repeated, and texts take turns, so that texts with the
    same labels occur about equally often. With weights a pair is drawn in proportion to the product of the weights
    of its texts. A text is never paired with itself: it is encoded once, so its distance to itself is always 0.

    Parameters
    ----------
    y : ndarray of int, shape (n,), or csr_matrix, shape (n, num_classes)
    weights : ndarray of float64, shape (n,), or None
        All above 0; None and equal weights are the same.
    rng : numpy.random.Generator
    sampling_strategy : {"oversampling", "undersampling", "unique"}, default="oversampling"
    num_iterations : int, optional
    pairs_per_text : int, default=40
        See `count_pairs`.

    Attributes
    ----------
    counts : PairCounts

    Raises
    ------
    InvalidInputError
        If an argument has the wrong type or is out of range.

    Examples
    --------
    >>> sampler = PairSampler(np.array([0, 0, 1, 1]), None, np.random.default_rng(0), sampling_strategy="unique")
    >>> sampler.counts
    PairCounts(positive=2, negative=4, requested=6)
    >>> [len(batch) for batch in sampler.epoch(batch_size=4)]
    [4, 2]
    """

    def __init__(
        self,
        y: Labels,
        weights: NDArray[np.float64] | None,
        rng: np.random.Generator,
        *,
        sampling_strategy: str = "oversampling",
        num_iterations: int | None = None,
        pairs_per_text: int = 40,
    ) -> None:
        check_choice("sampling_strategy", sampling_strategy, SAMPLING_STRATEGIES)
        if num_iterations is not None:
            check_count("num_iterations", num_iterations)
        self._rng = rng
        self._strategy = sampling_strategy if num_iterations is None else f"num_iterations={num_iterations}"
        self._pairs_per_text = check_count("pairs_per_text", pairs_per_text)
        labels = LabelCombinations(y)
        self._num_texts = len(labels.of_text)
        self.counts = count_pairs(labels, sampling_strategy, num_iterations, pairs_per_text)
        if weights is None or (weights == weights[0]).all():
            positive, negative = _positive_pairs(labels, rng), _negative_pairs(labels, rng)
        else:
            positive, negative = (
                iter(WeightedPairSampler(labels.of_text, partners, weights, rng))
                for partners in (labels.positive, labels.negative)
            )
        self._positive, self._negative = _PairStream(positive), _PairStream(negative)

    def warn_of_limit(self) -> None:
        """Warn if fewer pairs are drawn than the sampling strategy requests."""
        if self.counts.drawn == self.counts.requested:
            return
        warnings.warn(
            f"{self.counts.drawn:,} of {self.counts.requested:,} pairs of {self._num_texts:,} texts "
            f"({self._strategy}) are drawn in an epoch, since pairs_per_text={self._pairs_per_text}; "
            "raise pairs_per_text to draw more of them.",
            UserWarning,
            stacklevel=stacklevel_of_caller(),
        )

    def texts_per_batch(self, batch_size: int) -> float:
        """Return the expected number of distinct texts of a batch of pairs."""
        count, drawn = self._num_texts, 2 * min(batch_size, self.counts.drawn)
        return count * (1 - (1 - 1 / count) ** drawn)

    def batches_per_epoch(self, batch_size: int) -> int:
        """Return the number of batches of an epoch."""
        return -(-self.counts.drawn // batch_size)

    def epoch(self, batch_size: int) -> Iterator[PairBatch]:
        """Draw the pairs of an epoch in batches with the same proportion of positive and negative pairs.

        If there are many texts, the pairs of several batches are drawn together, and assigned to batches such that
        the pairs of a batch share texts.
        """
        total = self.counts.drawn
        stops = [min(stop + batch_size, total) for stop in range(0, total, batch_size)]
        positive_until = [0, *(stop * self.counts.positive // total for stop in stops)]
        sizes = np.diff([[0, *stops], positive_until])
        sizes[0] -= sizes[1]
        together = BATCHES_PER_DRAW if self._num_texts > 2 * batch_size else 1
        for first in range(0, len(stops), together):
            yield from self._draw(sizes[:, first : first + together])

    def _draw(self, sizes: NDArray[np.intp]) -> Iterator[PairBatch]:
        """Draw batches with the given numbers of negative and positive pairs, shape (2, batches)."""
        negative, positive = sizes.sum(axis=1).tolist()
        pairs = np.concatenate([self._positive.take(positive), self._negative.take(negative)])
        labels = np.repeat([1, 0], [positive, negative])
        order = self._rng.permutation(len(pairs))
        pairs, labels = pairs[order], labels[order]
        batches = group_by_shared_texts(pairs, labels, sizes.T.tolist())
        # The last batches contain the remaining pairs; without shuffling, they would always come last.
        for number in self._rng.permutation(len(batches)):
            chosen = batches[number]
            yield PairBatch(pairs[chosen, 0], pairs[chosen, 1], labels[chosen].astype(np.float32))


class _PairStream:
    """An endless stream of arrays of pairs, cut into arrays of any requested length."""

    def __init__(self, stream: Iterator[Rows]) -> None:
        self._stream = stream
        self._rest: Rows = np.empty((0, 2), dtype=np.intp)

    def take(self, count: int) -> Rows:
        portions, missing = [self._rest], count - len(self._rest)
        while missing > 0:
            portions.append(next(self._stream))
            missing -= len(portions[-1])
        joined = np.concatenate(portions) if len(portions) > 1 else self._rest
        self._rest = joined[count:]
        return joined[:count]


def _round_robin(rows: Rows, rng: np.random.Generator) -> Iterator[Rows]:
    """Yield all pairs of different rows, in rounds in which each row occurs twice, or once.

    The rows are arranged in a circle in random order; each round pairs every row with the row at one distance.
    """
    count = len(rows)
    order = rng.permutation(rows)
    for distance in rng.permutation(np.arange(1, count // 2 + 1)):
        pairs = np.stack([order, np.roll(order, -distance)], axis=1)
        yield pairs[: count // 2] if 2 * distance == count else pairs


def _positive_pairs(labels: LabelCombinations, rng: np.random.Generator) -> Iterator[Rows]:
    """Yield all positive pairs endlessly, without repetition until all were drawn."""
    texts = labels.texts_by_label()
    while True:
        circles = [(label, _round_robin(rows, rng)) for label, rows in texts if len(rows) > 1]
        while circles:
            rounds = [(label, circle, next(circle, None)) for label, circle in circles]
            circles = [(label, circle) for label, circle, pairs in rounds if pairs is not None]
            # Two texts with several common labels are in several circles; only the lowest label yields the pair.
            found = [
                pairs[labels.common_label(pairs[:, 0], pairs[:, 1]) == label]
                for label, _, pairs in rounds
                if pairs is not None
            ]
            if found:
                yield rng.permutation(np.concatenate(found))


def _negative_pairs(labels: LabelCombinations, rng: np.random.Generator) -> Iterator[Rows]:
    """Yield all negative pairs endlessly, without repetition until all were drawn."""
    rows = np.arange(len(labels.of_text))
    while True:
        for pairs in _round_robin(rows, rng):
            first, second = pairs[:, 0], pairs[:, 1]
            negative = (labels.common_label(first, second) < 0) & ~labels.both_unlabeled(first, second)
            yield rng.permutation(pairs[negative])


def group_by_shared_texts(
    pairs: Rows, labels: NDArray[np.intp], sizes: Sequence[Sequence[int]]
) -> list[NDArray[np.intp]]:
    """Assign pairs to batches that have about as many distinct texts as pairs, since each text is encoded once.

    While a batch has no more texts than pairs, it takes the next pair, otherwise the pair that adds the fewest
    texts. A pair is repeated in a batch only if no others are left.

    Parameters
    ----------
    pairs : ndarray of intp, shape (n, 2)
        The texts of each pair, in random order.
    labels : ndarray of intp, shape (n,)
        1 for positive pairs, 0 for negative ones.
    sizes : sequence of (int, int)
        The numbers of negative and of positive pairs of each batch; n in total.

    Returns
    -------
    list of ndarray of intp
        The numbers of the pairs of each batch.

    Examples
    --------
    >>> pairs, labels = np.array([[0, 1], [2, 3], [4, 5], [1, 2], [5, 0]]), np.array([1, 1, 1, 0, 0])
    >>> [numbers.tolist() for numbers in group_by_shared_texts(pairs, labels, [(1, 2), (1, 1)])]
    [[0, 3, 1], [2, 4]]
    """
    texts, places = np.unique(pairs, return_inverse=True)
    places = places.reshape(pairs.shape)
    equal = np.unique(np.sort(pairs, axis=1), axis=0, return_inverse=True)[1].reshape(-1)
    left = np.ones(len(pairs), dtype=np.bool_)
    batches = []
    for size in sizes:
        missing, batch = np.array(size), np.empty(sum(size), dtype=np.intp)
        seen, inside = np.zeros(len(texts), dtype=np.bool_), np.zeros(len(pairs), dtype=np.bool_)
        for number in range(len(batch)):
            possible = np.flatnonzero(left & (missing[labels] > 0))
            others = possible[~inside[equal[possible]]]
            possible = others if len(others) else possible
            few = seen.sum() <= number
            chosen = possible[0 if few else seen[places[possible]].sum(axis=1).argmax()]
            batch[number] = chosen
            left[chosen], inside[equal[chosen]], seen[places[chosen]] = False, True, True
            missing[labels[chosen]] -= 1
        batches.append(batch)
    return batches
