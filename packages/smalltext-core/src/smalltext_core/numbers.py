"""Which values are numbers: those of Python and of numpy alike, but neither booleans nor spans of time.

numpy counts `timedelta64` among its integers, and complex numbers among its numbers; Python counts booleans among
its integers. None of them is a count, a rate or a class number.
"""

from __future__ import annotations

import sys
from typing import Any, TypeGuard

import numpy as np
from numpy.typing import NDArray


def is_whole(value: object) -> TypeGuard[int]:
    """Return whether a value is a whole number, of Python or of numpy.

    Examples
    --------
    >>> is_whole(3), is_whole(np.int8(3)), is_whole(True), is_whole(3.0), is_whole(np.timedelta64(3, "s"))
    (True, True, False, False, False)
    """
    return isinstance(value, (int, np.integer)) and not isinstance(value, (bool, np.timedelta64))


def is_number(value: object) -> TypeGuard[float]:
    """Return whether a value is a real number that a float can hold; NaN and infinity are such.

    Examples
    --------
    >>> is_number(0.5), is_number(np.float32(0.5)), is_number(3), is_number(10**400), is_number(1j)
    (True, True, True, False, False)
    """
    if isinstance(value, (float, np.floating)):
        return True
    return is_whole(value) and abs(int(value)) <= sys.float_info.max


def are_whole(array: NDArray[Any]) -> bool:
    """Return whether an array holds whole numbers.

    Examples
    --------
    >>> are_whole(np.array([1, 2])), are_whole(np.array([1.0])), are_whole(np.array([1], dtype="timedelta64[s]"))
    (True, False, False)
    """
    return array.dtype.kind in "iu"
