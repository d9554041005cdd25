"""Which class is taken for which, where there are too many to look at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Confusion:
    """One class that is taken for another.

    Parameters
    ----------
    truth, predicted : str
    count : int
        How many texts.
    share : float
        Of the texts of `truth`.
    """

    truth: str
    predicted: str
    count: int
    share: float


def top_confusions(matrix: NDArray[np.int64], names: Sequence[str], most: int = 10) -> list[Confusion]:
    """Return the most frequent confusions, the most frequent first; equals in the order of the classes.

    Parameters
    ----------
    matrix : ndarray of int64, shape (C, C)
        Rows are the truth, columns the prediction.
    names : sequence of str
    most : int, default=10
        How many at most.

    Examples
    --------
    >>> top_confusions(np.array([[8, 2], [0, 5]]), ["ham", "spam"])
    [Confusion(truth='ham', predicted='spam', count=2, share=0.2)]
    """
    wrong = matrix - np.diag(np.diag(matrix))
    order = np.argsort(-wrong, axis=None, kind="stable")[:most]
    pairs = [divmod(int(position), len(matrix)) for position in order]
    return [
        Confusion(
            names[row], names[column], int(wrong[row, column]), float(wrong[row, column] / matrix[row].sum())
        )
        for row, column in pairs
        if wrong[row, column]
    ]


def most_confused(matrix: NDArray[np.int64], most: int) -> list[int]:
    """Return the classes with the most mistakes, made of them or for them, in the order of their numbers."""
    mistakes = matrix.sum(axis=0) + matrix.sum(axis=1) - 2 * np.diag(matrix)
    return sorted(np.argsort(-mistakes, kind="stable")[:most].tolist())
