"""Dealing pairs out to batches so that the pairs of a batch have texts in common, which are encoded once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from smalltext_setfit.label_sets import Rows

TOGETHER = 8
"""So many batches are dealt out together."""


def batches_together(texts: int, batch_size: int) -> int:
    """Return how many batches to deal out together: one where each text is in a batch by chance, or nearly so."""
    return TOGETHER if texts > 2 * batch_size else 1


def deal(pairs: Rows, kinds: NDArray[np.intp], sizes: Sequence[tuple[int, int]]) -> list[NDArray[np.intp]]:
    """Say which pairs make up each batch, so that it has about as many texts as pairs.

    While a batch has no more texts than pairs it is given the next pair there is; otherwise the one that brings
    the fewest new texts. No pair is twice in a batch if others are left.

    Parameters
    ----------
    pairs : ndarray of intp, shape (n, 2)
        The texts of each pair, in random order.
    kinds : ndarray of intp, shape (n,)
        0 or 1 for each pair.
    sizes : sequence of (int, int)
        How many pairs of kind 0, and of kind 1, each batch has; n in all.

    Returns
    -------
    list of ndarray of intp
        The numbers of the pairs of each batch.

    Examples
    --------
    >>> pairs, kinds = np.array([[0, 1], [2, 3], [4, 5], [1, 2], [5, 0]]), np.array([1, 1, 1, 0, 0])
    >>> [numbers.tolist() for numbers in deal(pairs, kinds, [(1, 2), (1, 1)])]
    [[0, 3, 1], [2, 4]]
    """
    texts, places = np.unique(pairs, return_inverse=True)
    places = places.reshape(pairs.shape)
    equal = np.unique(np.sort(pairs, axis=1), axis=0, return_inverse=True)[1].reshape(-1)
    left = np.ones(len(pairs), dtype=np.bool_)
    batches = []
    for size in sizes:
        wanted, batch = np.array(size), np.empty(sum(size), dtype=np.intp)
        seen, inside = np.zeros(len(texts), dtype=np.bool_), np.zeros(len(pairs), dtype=np.bool_)
        for number in range(len(batch)):
            possible = np.flatnonzero(left & (wanted[kinds] > 0))
            others = possible[~inside[equal[possible]]]
            possible = others if len(others) else possible
            few = seen.sum() <= number
            chosen = possible[0 if few else seen[places[possible]].sum(axis=1).argmax()]
            batch[number] = chosen
            left[chosen], inside[equal[chosen]], seen[places[chosen]] = False, True, True
            wanted[kinds[chosen]] -= 1
        batches.append(batch)
    return batches
