"""Pairs of texts to contrast: alike if a label applies to both, apart if none does; drawn as they are needed.

Nothing here grows with the square of the number of texts, but for the time that counting takes where nearly every
text has a set of labels of its own.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smalltext_core.errors import InvalidInputError
from smalltext_core.labels import Labels
from smalltext_core.messages import shown
from smalltext_core.validation import check_count
from smalltext_setfit.dealing import batches_together, deal
from smalltext_setfit.label_sets import LabelSets, Rows
from smalltext_setfit.weighted_pairs import weighted
from smalltext_torch.progress import stacklevel_of_caller

SAMPLING_STRATEGIES = ("oversampling", "undersampling", "unique")


@dataclass(frozen=True)
class PairBatch:
    """Some pairs of texts.

    Parameters
    ----------
    first, second : ndarray of intp, shape (n,)
        The rows of the two texts.
    alike : ndarray of float32, shape (n,)
        1 for each pair of texts that have a label in common, 0 for the others.
    """

    first: Rows
    second: Rows
    alike: NDArray[np.float32]

    def __len__(self) -> int:
        """Return the number of pairs."""
        return len(self.first)


@dataclass(frozen=True)
class PairCounts:
    """How many pairs an epoch has.

    Parameters
    ----------
    alike, apart : int
        So many of each kind are drawn.
    wanted : int
        So many would be drawn of both together, were there no limit.
    """

    alike: int
    apart: int
    wanted: int

    @property
    def drawn(self) -> int:
        """The number of pairs that are drawn, of both kinds together."""
        return self.alike + self.apart


def count_pairs(
    sets: LabelSets, sampling_strategy: str, num_iterations: int | None, pairs_per_text: int
) -> PairCounts:
    """Return how many pairs an epoch has.

    Parameters
    ----------
    sets : LabelSets
    sampling_strategy : {"oversampling", "undersampling", "unique"}
        As many of the rarer kind as of the other one, by repetition; as many of the other kind as of the rarer
        one; or each pair once.
    num_iterations : int or None
        So many pairs of each kind for every text, in place of a strategy.
    pairs_per_text : int
        The limit: so many pairs of both kinds together for every text.
    """
    alike, apart = sets.pairs()
    texts = int(sets.counts.sum())
    if num_iterations is not None:
        wanted = [num_iterations * texts if possible else 0 for possible in (alike, apart)]
    elif sampling_strategy == "unique" or not (alike and apart):
        wanted = [alike, apart]
    else:
        wanted = [max(alike, apart) if sampling_strategy == "oversampling" else min(alike, apart)] * 2
    total, limit = sum(wanted), pairs_per_text * texts
    if total <= limit:
        return PairCounts(wanted[0], wanted[1], total)
    of_alike = max(round(limit * wanted[0] / total), 1) if wanted[0] else 0
    return PairCounts(of_alike, limit - of_alike, total)


class PairSource:
    """Draws pairs of labelled texts from a generator of its own, epoch after epoch.

    Without weights each pair is drawn once before any is drawn again, and texts take turns: of two texts with the
    same label, neither is in many more pairs than the other. With weights a pair is drawn in proportion to the
    product of those of its texts. A text is never paired with itself: encoded once, it is as near to itself as can
    be.

    Parameters
    ----------
    y : ndarray of int, shape (n,), or csr_matrix, shape (n, num_classes)
    weights : ndarray of float64, shape (n,), or None
        All above 0; None, or all the same, makes every pair count alike.
    rng : numpy.random.Generator
    sampling_strategy, num_iterations, pairs_per_text
        See `count_pairs`.

    Attributes
    ----------
    counts : PairCounts

    Raises
    ------
    InvalidInputError
        If an argument is not what is described here.
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
        if sampling_strategy not in SAMPLING_STRATEGIES:
            raise InvalidInputError(
                "sampling_strategy", shown(sampling_strategy), f"one of {', '.join(SAMPLING_STRATEGIES)}"
            )
        if num_iterations is not None:
            check_count("num_iterations", num_iterations)
        self._rng = rng
        self._sets = LabelSets(y)
        self._how = sampling_strategy if num_iterations is None else f"num_iterations={num_iterations}"
        self._pairs_per_text = check_count("pairs_per_text", pairs_per_text)
        self.counts = count_pairs(self._sets, sampling_strategy, num_iterations, pairs_per_text)
        uneven = weights is not None and bool((weights != weights[0]).any())
        if uneven and weights is not None:
            self._alike = _Buffer(weighted(self._sets, weights, rng, alike=True))
            self._apart = _Buffer(weighted(self._sets, weights, rng, alike=False))
        else:
            self._alike = _Buffer(_alike_in_turn(self._sets, rng))
            self._apart = _Buffer(_apart_in_turn(self._sets, rng))

    def warn_of_limit(self) -> None:
        """Warn if fewer pairs are drawn than the sampling strategy asks for."""
        if self.counts.drawn == self.counts.wanted:
            return
        texts = int(self._sets.counts.sum())
        warnings.warn(
            f"{self.counts.drawn:,} of {self.counts.wanted:,} pairs of {texts:,} texts ({self._how}) are drawn in "
            f"an epoch, since pairs_per_text={self._pairs_per_text}; raise pairs_per_text to draw more of them.",
            UserWarning,
            stacklevel=stacklevel_of_caller(),
        )

    def batches_per_epoch(self, batch_size: int) -> int:
        """Return how many batches the pairs of an epoch make."""
        return -(-self.counts.drawn // batch_size)

    def epoch(self, batch_size: int) -> Iterator[PairBatch]:
        """Draw the pairs of one epoch, batch by batch, both kinds mixed evenly.

        Where there are many texts, the pairs of a few batches are drawn together, and dealt out so that those of a
        batch share texts.
        """
        total = self.counts.drawn
        stops = [min(stop + batch_size, total) for stop in range(0, total, batch_size)]
        alike_until = [0, *(stop * self.counts.alike // total for stop in stops)]
        sizes = np.diff([[0, *stops], alike_until])
        sizes[0] -= sizes[1]
        together = batches_together(len(self._sets.of_text), batch_size)
        for first in range(0, len(stops), together):
            yield from self._dealt(sizes[:, first : first + together])

    def _dealt(self, sizes: NDArray[np.intp]) -> Iterator[PairBatch]:
        """Draw the pairs of some batches, of which `sizes` says how many are apart, and how many alike."""
        apart, alike = sizes.sum(axis=1).tolist()
        pairs = np.concatenate([self._alike.take(alike), self._apart.take(apart)])
        kinds = np.repeat([1, 0], [alike, apart])
        order = self._rng.permutation(len(pairs))
        pairs, kinds = pairs[order], kinds[order]
        batches = deal(pairs, kinds, [(of_apart, of_alike) for of_apart, of_alike in sizes.T.tolist()])
        # The last ones have what the others left over; they are not to be the last ones of every training.
        for number in self._rng.permutation(len(batches)):
            chosen = batches[number]
            yield PairBatch(pairs[chosen, 0], pairs[chosen, 1], kinds[chosen].astype(np.float32))


class _Buffer:
    """Portions of an endless stream of pairs, each of the size that is asked for."""

    def __init__(self, stream: Iterator[Rows]) -> None:
        self._stream = stream
        self._rest: Rows = np.empty((0, 2), dtype=np.intp)

    def take(self, count: int) -> Rows:
        portions, missing = [self._rest], count - len(self._rest)
        while missing > 0:
            portions.append(next(self._stream))
            missing -= len(portions[-1])
        together = np.concatenate(portions) if len(portions) > 1 else self._rest
        self._rest = together[count:]
        return together[:count]


def _circle(members: Rows, rng: np.random.Generator) -> Iterator[Rows]:
    """Yield all pairs of different members, in rounds that have each member in two pairs, or in one.

    The members stand in a circle in random order, and in each round every one is paired with the one that stands
    so many places further; the rounds are those of all distances, in random order.
    """
    count = len(members)
    order = rng.permutation(members)
    for distance in rng.permutation(np.arange(1, count // 2 + 1)):
        pairs = np.stack([order, np.roll(order, -distance)], axis=1)
        yield pairs[: count // 2] if 2 * distance == count else pairs


def _alike_in_turn(sets: LabelSets, rng: np.random.Generator) -> Iterator[Rows]:
    """Yield all pairs that are alike, endlessly; each once before any comes again."""
    members = sets.members()
    while True:
        circles = [(label, _circle(rows, rng)) for label, rows in members if len(rows) > 1]
        while circles:
            rounds = [(label, circle, next(circle, None)) for label, circle in circles]
            circles = [(label, circle) for label, circle, pairs in rounds if pairs is not None]
            # Two texts that have several labels in common meet in several circles, and count in one.
            found = [
                pairs[sets.common(pairs[:, 0], pairs[:, 1]) == label]
                for label, _, pairs in rounds
                if pairs is not None
            ]
            if found:
                yield rng.permutation(np.concatenate(found))


def _apart_in_turn(sets: LabelSets, rng: np.random.Generator) -> Iterator[Rows]:
    """Yield all pairs that are apart, endlessly; each once before any comes again."""
    everyone = np.arange(len(sets.of_text))
    while True:
        for pairs in _circle(everyone, rng):
            first, second = pairs[:, 0], pairs[:, 1]
            apart = (sets.common(first, second) < 0) & ~sets.both_empty(first, second)
            yield rng.permutation(pairs[apart])
