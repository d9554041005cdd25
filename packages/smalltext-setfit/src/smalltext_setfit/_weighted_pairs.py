"""Sampling of pairs of weighted texts, in proportion to the product of the weights of their texts.

Sums of weights are computed as logarithms and without subtractions, so that weights may differ by any factor
without loss of precision.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.intp]
Logs = NDArray[np.float64]

PAIRS_PER_DRAW = 16_384
"""The number of pairs drawn at a time, which share the computations for each combination of labels."""


class WeightedPairSampler:
    """Draws pairs within a combination of labels, and across two.

    Parameters
    ----------
    of_text : ndarray of intp, shape (n,)
        The number of the combination of labels of each text.
    partners : callable
        Returns a mask of the combinations, including itself, whose texts form pairs with those of a combination.
    weights : ndarray of float64, shape (n,)
        All above 0.
    rng : numpy.random.Generator
    """

    def __init__(
        self,
        of_text: Rows,
        partners: Callable[[int], NDArray[np.bool_]],
        weights: NDArray[np.float64],
        rng: np.random.Generator,
    ) -> None:
        self._rng = rng
        self._partners = partners
        counts = np.bincount(of_text)
        numbers = range(len(counts))
        # Sorted by combination, then by weight in ascending order.
        self._texts = np.lexsort((weights, of_text))
        self._stops = np.cumsum(counts)
        self._parts = [slice(int(b), int(e)) for b, e in zip(self._stops - counts, self._stops, strict=True)]
        self._logs = np.log(weights[self._texts])
        self._sums = np.concatenate([np.logaddexp.accumulate(self._logs[part]) for part in self._parts])
        self._totals = self._sums[self._stops - 1]
        within = [np.logaddexp.reduce(self._pairs_of_heavier(number)) for number in numbers]
        across = [np.logaddexp.reduce(self._totals[self._others(number)]) for number in numbers]
        # A pair across two combinations can be drawn from either of them.
        self._within = np.where([partners(number)[number] for number in numbers], within, -np.inf) + np.log(2)
        self._from_combination = np.logaddexp(self._within, self._totals + across)
        shares = np.exp(self._sums - np.repeat(self._totals, counts))
        self._scale = np.repeat(np.arange(len(counts)), counts) + shares

    def __iter__(self) -> Iterator[Rows]:
        """Yield pairs endlessly, in arrays of shape (`PAIRS_PER_DRAW`, 2)."""
        while True:
            yield self._draw(PAIRS_PER_DRAW)

    def _draw(self, count: int) -> Rows:
        counts = np.bincount(self._choose(self._from_combination, count), minlength=len(self._from_combination))
        found = [self._draw_from(int(number), int(counts[number])) for number in np.flatnonzero(counts)]
        first, second, inner = (np.concatenate(parts) for parts in zip(*found, strict=True))
        pairs = np.concatenate([np.stack([self._members(first), self._members(second)], axis=1), inner])
        return self._rng.permutation(self._texts[pairs])

    def _draw_from(self, number: int, count: int) -> tuple[Rows, Rows, Rows]:
        """Return the combinations of pairs across two, and pairs within this one; `count` pairs in total."""
        share = np.exp(self._within[number] - self._from_combination[number])
        inner = self._rng.binomial(count, min(share, 1.0))
        others = self._others(number)
        partners = others[self._choose(self._totals[others], count - inner)]
        return np.full(count - inner, number), partners, self._draw_within(number, inner)

    def _draw_within(self, number: int, count: int) -> Rows:
        """Return pairs of different texts of one combination: a text, and one that precedes it by weight."""
        if not count:
            return np.empty((0, 2), dtype=np.intp)
        part = self._parts[number]
        heavier = self._choose(self._pairs_of_heavier(number), count) + 1
        sums = self._sums[part]
        lighter = np.searchsorted(sums, np.log1p(-self._rng.random(count)) + sums[heavier - 1])
        return part.start + np.stack([heavier, lighter], axis=1)

    def _members(self, numbers: Rows) -> Rows:
        """Return a random text for each of these combinations."""
        places = np.searchsorted(self._scale, numbers + self._rng.random(len(numbers)), side="right")
        return np.minimum(places, self._stops[numbers] - 1)

    def _choose(self, logs: Logs, count: int) -> Rows:
        """Return `count` random indices, in proportion to the weights whose logarithms are `logs`."""
        if not count:
            return np.empty(0, dtype=np.intp)
        sums = np.cumsum(np.exp(logs - logs.max()))
        chosen: Rows = np.searchsorted(sums, (1 - self._rng.random(count)) * sums[-1])
        return chosen

    def _pairs_of_heavier(self, number: int) -> Logs:
        """Return the log weight of the pairs of each text of a combination, but the first, with lighter ones."""
        part = self._parts[number]
        pairs: Logs = self._logs[part][1:] + self._sums[part][:-1]
        return pairs

    def _others(self, number: int) -> Rows:
        """Return the other combinations whose texts form pairs with those of this one."""
        partners = self._partners(number)
        partners[number] = False
        return np.flatnonzero(partners)
