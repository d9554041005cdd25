"""A part of the texts is held out, so that a model is scored on what it has not seen."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from smalltext_cli.readers import Label


def held_out_rows(texts: Sequence[str], labels: Sequence[Label], share: float, seed: int) -> NDArray[np.intp]:
    """Choose the rows to hold out: about the same share of each class.

    Copies of one text stay together, on one side, even if they are labelled differently. Each class keeps at
    least one text to train on.

    Parameters
    ----------
    texts : sequence of str
    labels : sequence of str, or of tuples of str (multi-label)
    share : float
        Of the texts, from 0 to below 1.
    seed : int
        The same one, the same rows.

    Returns
    -------
    ndarray of int, sorted
        Possibly empty: if there are too few texts, none is held out.

    Examples
    --------
    >>> held_out_rows(["a", "b", "c", "d", "c"], ["x", "y", "x", "y", "x"], share=0.5, seed=1).tolist()
    [0, 1]
    """
    copies: dict[str, list[int]] = defaultdict(list)
    for row, text in enumerate(texts):
        copies[text].append(row)
    groups = list(copies.values())
    frequency = Counter(name for label in labels for name in _names(label))
    strata: dict[str | None, list[int]] = defaultdict(list)
    for number, rows in enumerate(groups):
        strata[_rarest(labels[rows[0]], frequency)].append(number)
    sizes = np.array([len(rows) for rows in groups])
    held = _chosen(list(strata.values()), sizes, share, np.random.default_rng(seed))
    _give_back(held, groups, labels)
    return np.array(sorted(row for number in held for row in groups[number]), dtype=np.intp)


def _names(label: Label) -> tuple[str, ...]:
    return (label,) if isinstance(label, str) else label


def _rarest(label: Label, frequency: Counter[str]) -> str | None:
    """Return the class that decides on the stratum of a text."""
    return min(_names(label), key=lambda name: (frequency[name], name), default=None)


def _chosen(strata: list[list[int]], sizes: NDArray[np.intp], share: float, rng: np.random.Generator) -> list[int]:
    """Draw groups of each stratum, up to its share; what rounding leaves over goes to the next."""
    chosen: list[int] = []
    owed = 0.0
    for stratum in sorted(strata, key=len):
        owed += share * sizes[stratum].sum()
        for group in rng.permutation(stratum)[:-1].tolist():
            if owed < sizes[group] / 2:
                break
            chosen.append(group)
            owed -= sizes[group]
        owed = min(owed, 0.5)
    return chosen


def _give_back(held: list[int], groups: list[list[int]], labels: Sequence[Label]) -> None:
    """Return groups to training until each class has a text there.

    Only several labels a text, or contradictory ones, can make that necessary.
    """
    held_rows = {row for number in held for row in groups[number]}
    trained = {name for row, label in enumerate(labels) if row not in held_rows for name in _names(label)}
    for number in list(held):
        here = {name for row in groups[number] for name in _names(labels[row])}
        if not here <= trained:
            held.remove(number)
            trained |= here
