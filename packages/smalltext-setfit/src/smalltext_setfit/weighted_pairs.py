"""Pairs of texts that count differently: each is drawn in proportion to the product of the weights of its texts.

Sums of weights are kept as logarithms, so that weights may differ by any factor; and nothing is subtracted, so
that a text that outweighs all others hides none of them.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from smalltext_setfit.label_sets import LabelSets, Rows

AT_ONCE = 16_384
"""So many pairs are drawn together: what has to be looked up of each set of labels is looked up once for them."""

Logs = NDArray[np.float64]


def weighted(
    sets: LabelSets, weights: NDArray[np.float64], rng: np.random.Generator, *, alike: bool
) -> Iterator[Rows]:
    """Yield pairs of one kind endlessly, `AT_ONCE` at a time; there has to be one."""
    pairs = _WeightedPairs(sets, weights, rng, alike)
    while True:
        yield pairs.drawn(AT_ONCE)


class _WeightedPairs:
    """All pairs of one kind: those within a set of labels, and those across two sets.

    Parameters
    ----------
    sets : LabelSets
    weights : ndarray of float64, shape (n,)
        All above 0.
    rng : numpy.random.Generator
    alike : bool
        Whether pairs are of texts with a label in common, or of texts with none.
    """

    def __init__(
        self, sets: LabelSets, weights: NDArray[np.float64], rng: np.random.Generator, alike: bool
    ) -> None:
        self._rng = rng
        self._partners = sets.alike if alike else sets.apart
        # Set after set, and within each the lighter texts first.
        self._texts = np.lexsort((weights, sets.of_text))
        self._stops = np.cumsum(sets.counts)
        self._parts = [slice(int(b), int(e)) for b, e in zip(self._stops - sets.counts, self._stops, strict=True)]
        self._logs = np.log(weights[self._texts])
        self._sums = np.concatenate([np.logaddexp.accumulate(self._logs[part]) for part in self._parts])
        self._of_set = self._sums[self._stops - 1]
        within = [np.logaddexp.reduce(self._pairs_of_heavier(number)) for number in range(len(sets))]
        across = [np.logaddexp.reduce(self._of_set[self._others(number)]) for number in range(len(sets))]
        # A pair across two sets is found from either of them.
        self._within = np.where([self._partners(n)[n] for n in range(len(sets))], within, -np.inf) + np.log(2)
        self._from_set = np.logaddexp(self._within, self._of_set + across)
        shares = np.exp(self._sums - np.repeat(self._of_set, sets.counts))
        self._scale = np.repeat(np.arange(len(sets)), sets.counts) + shares

    def drawn(self, count: int) -> Rows:
        """Return so many pairs, shape (count, 2)."""
        of_set = np.bincount(self._chosen(self._from_set, count), minlength=len(self._from_set))
        found = [self._of(int(number), int(of_set[number])) for number in np.flatnonzero(of_set)]
        first, second, inner = (np.concatenate(parts) for parts in zip(*found, strict=True))
        pairs = np.concatenate([np.stack([self._members(first), self._members(second)], axis=1), inner])
        return self._rng.permutation(self._texts[pairs])

    def _of(self, number: int, count: int) -> tuple[Rows, Rows, Rows]:
        """Return pairs of sets, and pairs within a set, for so many pairs that are found from this set."""
        inner = self._rng.binomial(count, min(np.exp(self._within[number] - self._from_set[number]), 1.0))
        others = self._others(number)
        partners = others[self._chosen(self._of_set[others], count - inner)]
        return np.full(count - inner, number), partners, self._inner(number, inner)

    def _inner(self, number: int, count: int) -> Rows:
        """Return pairs of different texts of one set: a heavier one, then one that comes before it."""
        if not count:
            return np.empty((0, 2), dtype=np.intp)
        part = self._parts[number]
        heavier = self._chosen(self._pairs_of_heavier(number), count) + 1
        sums = self._sums[part]
        lighter = np.searchsorted(sums, np.log1p(-self._rng.random(count)) + sums[heavier - 1])
        return part.start + np.stack([heavier, lighter], axis=1)

    def _members(self, numbers: Rows) -> Rows:
        """Return one text of each of these sets."""
        places = np.searchsorted(self._scale, numbers + self._rng.random(len(numbers)), side="right")
        return np.minimum(places, self._stops[numbers] - 1)

    def _chosen(self, logs: Logs, count: int) -> Rows:
        """Return so many numbers, each in proportion to the weights that these are the logarithms of."""
        if not count:
            return np.empty(0, dtype=np.intp)
        sums = np.cumsum(np.exp(logs - logs.max()))
        chosen: Rows = np.searchsorted(sums, (1 - self._rng.random(count)) * sums[-1])
        return chosen

    def _pairs_of_heavier(self, number: int) -> Logs:
        """Return, for each text of a set but the lightest, what its pairs with all lighter ones weigh."""
        part = self._parts[number]
        pairs: Logs = self._logs[part][1:] + self._sums[part][:-1]
        return pairs

    def _others(self, number: int) -> Rows:
        """Return the other sets whose texts make pairs with those of this one."""
        partners = self._partners(number)
        partners[number] = False
        return np.flatnonzero(partners)
