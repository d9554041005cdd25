"""Conversion of numbers, sequences, texts and indices, whether they come from Python, numpy or a table library.

Booleans and time spans are not numbers here, although Python and numpy count them among integers. A table is
recognised by its columns, so that pandas, polars and pyarrow need not be imported.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from itertools import groupby
from typing import Any, TypeGuard

import numpy as np
import scipy
from numpy.typing import NDArray

from smalltext_core.errors import InvalidInputError
from smalltext_core.messages import brief

Rows = range | NDArray[np.intp]
"""The rows of the storage that a view selects. A view of a view has a single selection, so nesting is free."""

_INDICES = "an int, a slice, a list or array of ints, or a boolean mask with one entry per text"

_LONG = 1_000
"""In characters; below it, `unicodedata.normalize` takes milliseconds at most, whatever it has to sort."""
_RUN_OF_MARKS = re.compile(r"[^\w\x00-\u02ff]{50,}")
"""Combining marks are neither letters nor digits, and begin at U+0300. Other characters in a run do no harm."""


def is_whole(value: object) -> TypeGuard[int]:
    """Return whether a value is an integer, of Python or of numpy, and neither a boolean nor a time span."""
    return isinstance(value, (int, np.integer)) and not isinstance(value, (bool, np.timedelta64))


def is_number(value: object) -> TypeGuard[float]:
    """Return whether a value is a real number that a float can represent, or NaN or infinity."""
    if isinstance(value, (float, np.floating)):
        return True
    return is_whole(value) and abs(int(value)) <= sys.float_info.max


def are_whole(array: NDArray[Any]) -> bool:
    """Return whether an array has an integer dtype; booleans and time spans do not count."""
    return array.dtype.kind in "iu"


def columns_of(given: object) -> list[Any] | None:
    """Return the column names of a table (pandas, polars, pyarrow, datasets), or None for anything else."""
    if isinstance(given, (type, list, tuple, np.ndarray)):
        return None
    for attribute in ("column_names", "columns"):
        if hasattr(type(given), attribute) or attribute in getattr(given, "__dict__", {}):
            names = [] if hasattr(type(given), "collect") else getattr(given, attribute)
            return list(names) if isinstance(names, Iterable) else []
    return None


def check_ordered(given: object, argument: str, allowed: str, one: str) -> None:
    """Reject anything but one value per text in a fixed order: a table, a mapping, a set, a single string.

    Errors name the `argument`, say what is `allowed`, and call a single value `one`, such as "text" or "label".
    """
    columns, dimensions = columns_of(given), getattr(given, "ndim", 1)
    advice = f"One {one}: [{one}]."
    if columns is not None:
        listed = ", ".join(map(brief, columns[:8])) + (", ..." if len(columns) > 8 else "")
        what = f"a table ({type(given).__name__}) with the columns {listed}" if columns else "a table"
        column = one if one in columns or not columns else columns[0]
        advice = f"Pass one of its columns, such as df[{brief(column)}]."
    elif isinstance(given, Mapping):
        what = f"a mapping ({type(given).__name__}) with {len(given):,} keys"
        advice = f"Pass the values of one key, such as given[{one!r}]."
    elif isinstance(given, AbstractSet):
        what, advice = f"a {type(given).__name__}, which has no order", f"Pass a list, in the order of the {one}s."
    elif isinstance(given, (str, bytes, bytearray, memoryview)):
        what = "one string" if isinstance(given, str) else type(given).__name__
    elif "scipy.sparse" in sys.modules and scipy.sparse.issparse(given):
        what, advice = f"a sparse matrix of shape {getattr(given, 'shape', ())}", ""
    elif isinstance(dimensions, int) and dimensions != 1:
        what = f"an array of shape {tuple(getattr(given, 'shape', ()))}"
        advice = "Pass one of its columns, such as array[:, 0]." if dimensions > 1 else advice
    else:
        return
    raise InvalidInputError(argument, what, allowed, advice)


def as_sequence(given: Any, argument: str, allowed: str, one: str) -> list[Any]:
    """Return the values for texts, one each, as a list; parameters as for `check_ordered`.

    Generators, arrays of one dimension, series and arrow arrays are accepted.
    """
    check_ordered(given, argument, allowed, one)
    if not isinstance(given, Iterable):
        raise InvalidInputError(argument, brief(given), allowed, f"One {one}: [{one}].")
    values: Any = given
    return list(values.to_pylist() if callable(getattr(type(given), "to_pylist", None)) else values)


def as_array(given: Any, argument: str, allowed: str, one: str, advice: str = "") -> NDArray[Any]:
    """Return the values for texts as an array, of any shape and type; parameters as for `check_ordered`."""
    if isinstance(given, np.ma.MaskedArray) and np.ma.is_masked(given):
        row = np.argwhere(np.atleast_1d(np.ma.getmaskarray(given)))[0, 0]
        raise InvalidInputError(argument, f"a masked {one} at row {row}", allowed, "Replace it: filled(value).")
    if columns_of(given) is not None or (isinstance(given, Iterable) and not hasattr(type(given), "__array__")):
        given = as_sequence(given, argument, allowed, one)
    try:
        return np.asarray(given)
    except (ValueError, TypeError, OverflowError, RuntimeError) as error:  # such as lists of several lengths
        raise InvalidInputError(argument, f"{brief(given)} ({error})", allowed, advice) from None


def read_only(array: NDArray[Any]) -> NDArray[Any]:
    """Return a read-only array: a view if its memory is read-only already, else a copy."""
    owner: Any = array
    while isinstance(owner, np.ndarray):
        if owner.flags.writeable:
            array = array.copy()
            break
        owner = owner.base
    shown: NDArray[Any] = array.view()
    array.flags.writeable = shown.flags.writeable = False
    return shown


def nfc(text: str) -> str:
    r"""Normalise a text to NFC in linear time; halves of surrogate pairs are kept.

    Examples
    --------
    >>> nfc("cafe\u0301") == "caf\u00e9"
    True
    """
    if text.isascii():
        return text
    if len(text) > _LONG:
        text = _RUN_OF_MARKS.sub(_sorted_marks, text)
    return unicodedata.normalize("NFC", text)


def _sorted_marks(run: re.Match[str]) -> str:
    decomposed = "".join(unicodedata.normalize("NFD", character) for character in run[0])
    return "".join(
        "".join(sorted(group, key=unicodedata.combining) if marks else group)
        for marks, group in groupby(decomposed, lambda character: unicodedata.combining(character) != 0)
    )


def as_rows(indices: object, length: int) -> Rows:
    """Convert an index to rows of a sequence of the given length; IndexError if one is out of range."""
    if isinstance(indices, slice):
        return range(length)[indices]
    if isinstance(indices, bool) or not isinstance(indices, (int, np.integer, list, tuple, range, np.ndarray)):
        raise InvalidInputError("indices", f"{type(indices).__name__}", _INDICES)
    array = as_array(indices, "indices", _INDICES, "index")
    if isinstance(indices, (list, tuple)) and {bool, np.bool_} & set(map(type, indices)) and are_whole(array):
        raise InvalidInputError("indices", f"{brief(indices)}, booleans among integers", _INDICES)
    if array.dtype == np.bool_:
        if array.shape != (length,):
            raise InvalidInputError("indices", f"a boolean mask of shape {array.shape}", f"shape ({length},)")
        return np.flatnonzero(array)
    if array.size == 0:
        return range(0)
    if array.ndim > 1 or not are_whole(array):
        raise InvalidInputError("indices", f"an array of {array.dtype}, shape {array.shape}", _INDICES)
    outside = (array < -length) | (array >= length)  # checked first: unsigned numbers could overflow
    if outside.any():
        raise IndexError(f"row {array[outside].flat[0]} is out of range for a dataset of {length} texts")
    numbers = np.atleast_1d(array).astype(np.intp)
    rows = np.where(numbers < 0, numbers + length, numbers)
    return range(int(rows[0]), int(rows[0]) + 1) if array.ndim == 0 else rows


def compose_rows(outer: Rows | None, inner: Rows) -> Rows:
    """Return the rows that `inner` selects from the rows `outer`; None means all rows."""
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
    """Return rows as an index for numpy and scipy: a slice where that avoids a copy, else an array."""
    if not isinstance(rows, range):
        return rows
    if not rows:
        return slice(0, 0)  # the ends of an empty range may be negative, which a slice counts from the end
    return slice(rows.start, rows.stop if rows.stop >= 0 else None, rows.step)
