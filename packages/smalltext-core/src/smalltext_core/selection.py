"""Which rows a view shows: a range, or an array of row numbers, always in terms of the dataset's storage.

A view of a view is again one selection, so that views nest to any depth at the cost of one.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalltext_core.errors import InvalidInputError
from smalltext_core.numbers import are_whole

Rows = range | NDArray[np.intp]

_ALLOWED = "an int, a slice, a list or array of ints, or a boolean mask with one entry a text"


def normalise(indices: object, length: int) -> Rows:
    """Turn any index into rows of a sequence of the given length; IndexError if one lies outside."""
    if isinstance(indices, slice):
        return range(length)[indices]
    if isinstance(indices, bool) or not isinstance(indices, (int, np.integer, list, tuple, range, np.ndarray)):
        raise InvalidInputError("indices", f"{type(indices).__name__}", _ALLOWED)
    array = np.asarray(indices)
    if array.dtype == np.bool_:
        if array.shape != (length,):
            raise InvalidInputError("indices", f"a boolean mask of shape {array.shape}", f"shape ({length},)")
        return np.flatnonzero(array)
    if array.size == 0:
        return range(0)
    if array.ndim > 1 or not are_whole(array):
        raise InvalidInputError("indices", f"an array of {array.dtype}, shape {array.shape}", _ALLOWED)
    numbers = np.atleast_1d(array).astype(np.intp)
    outside = (numbers < -length) | (numbers >= length)
    if outside.any():
        raise IndexError(f"row {numbers[outside][0]} is out of range for a dataset of {length} texts")
    rows = np.where(numbers < 0, numbers + length, numbers)
    return range(int(rows[0]), int(rows[0]) + 1) if array.ndim == 0 else rows


def compose(outer: Rows | None, inner: Rows) -> Rows:
    """Return the rows that `inner` picks out of those that `outer` shows; None shows all of them."""
    if outer is None:
        return inner
    if isinstance(outer, range):
        if isinstance(inner, range):
            start, step = outer.start, outer.step
            return range(start + step * inner.start, start + step * inner.stop, step * inner.step)
        return outer.start + outer.step * inner
    picked: NDArray[np.intp] = outer[positions(inner)]
    return picked


def positions(rows: Rows) -> Any:
    """Return rows as what numpy and scipy index with: a slice where that avoids a copy, else an array."""
    if not isinstance(rows, range):
        return rows
    if not rows:
        return slice(0, 0)  # the ends of an empty range may be negative, which a slice counts from the end
    return slice(rows.start, rows.stop if rows.stop >= 0 else None, rows.step)
