"""Dealing pairs out to batches so that the pairs of a batch have texts in common, which are encoded once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from smalltext_setfit.label_sets import Rows

TOGETHER = 16
"""So many batches are dealt out together: more have more texts in common, and are less like batches at random."""


def deal(pairs: Rows, kinds: NDArray[np.intp], sizes: Sequence[tuple[int, int]]) -> list[NDArray[np.intp]]:
    """Say which pairs make up each batch: one after the other, the pair that brings the fewest new texts into it.

    Parameters
    ----------
    pairs : ndarray of intp, shape (n, 2)
        The texts of each pair.
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
    left = np.ones(len(pairs), dtype=np.bool_)
    batches = []
    for size in sizes:
        wanted, seen = np.array(size), np.zeros(len(texts), dtype=np.bool_)
        batch = np.empty(wanted.sum(), dtype=np.intp)
        for number in range(len(batch)):
            open_pairs = np.flatnonzero(left & (wanted[kinds] > 0))
            known = seen[places[open_pairs]].sum(axis=1)
            chosen = open_pairs[known.argmax()]
            batch[number] = chosen
            left[chosen], seen[places[chosen]] = False, True
            wanted[kinds[chosen]] -= 1
        batches.append(batch)
    return batches
