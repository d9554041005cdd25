"""Labels as class numbers: arrays and sparse matrices, and the markers of texts without a label."""

from __future__ import annotations

import operator
import sys
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias, TypeGuard

import numpy as np
import scipy
from numpy.typing import NDArray

from smalltext_core.conversion import are_whole, as_array, as_sequence, is_whole
from smalltext_core.errors import InvalidInputError
from smalltext_core.messages import brief

LABEL_UNLABELED = -1
"""Marks a text that has no label yet; in a multi-label matrix, by an entry of this value in its row."""

MAX_CLASSES = 1_000_000
"""Class numbers are below this: larger ones are usually identifiers, and arrays over all classes would be huge."""

LABEL_IGNORED = -2
"""Marks a text that is ignored; in a multi-label matrix, by an entry of this value in its row."""

_CLASS_NUMBERS = f"class numbers from 0 to {MAX_CLASSES - 1:,}, or LABEL_UNLABELED"
_LABELS = "an int array of shape (n,), or a scipy.sparse.csr_matrix of shape (n, num_classes)"
_FOR_LISTS = "For several labels per text, use smalltext_core.list_to_csr."
_FOR_NAMES = "For identifiers or names, use TextDataset.from_labels."

Labels: TypeAlias = "NDArray[np.int32] | NDArray[np.int64] | Any"
"""Class numbers: an int array of shape (n,), or a csr_matrix of shape (n, num_classes).

The matrix is Any for type checkers: scipy is untyped, and few callers need to distinguish the two.
"""


def as_labels(y: object, argument: str = "y") -> Labels:
    """Check labels and return a copy, called `argument` in errors.

    `y` is an iterable of int, shape (n,), or a sparse matrix of ones, shape (n, num_classes); both may have
    `LABEL_UNLABELED` and `LABEL_IGNORED`. InvalidInputError is raised for anything else.
    """
    if is_multi_label(y):
        return _as_multi_label(y, argument)
    array = _as_array(y, argument)
    if array.ndim != 1:
        raise InvalidInputError(argument, f"an array of shape {array.shape}", _LABELS, _FOR_LISTS)
    if array.size == 0:
        return np.empty(0, dtype=np.int64)
    if not are_whole(array):
        allowed = "whole numbers (class numbers, or LABEL_UNLABELED)"
        advice = "For names, use TextDataset.from_labels."
        raise InvalidInputError(argument, f"values of type {array.dtype}", allowed, advice)
    if array.max() >= MAX_CLASSES:
        row = int(array.argmax())
        raise InvalidInputError(argument, f"the label {array[row]} at row {row}", _CLASS_NUMBERS, _FOR_NAMES)
    return array.astype(np.int32 if np.can_cast(array.dtype, np.int32) else np.int64)


def _as_array(y: object, argument: str) -> NDArray[Any]:
    array = as_array(y, argument, _LABELS, "label", _FOR_LISTS)
    if array.dtype != object or array.ndim != 1 or not all(map(is_whole, array)):
        return array
    for row, label in enumerate(array):
        if not -(2**63) <= label < MAX_CLASSES:
            raise InvalidInputError(argument, f"the label {brief(label)} at row {row}", _CLASS_NUMBERS, _FOR_NAMES)
    return array.astype(np.int64)


def _as_multi_label(y: Any, argument: str) -> scipy.sparse.csr_matrix:
    if y.ndim != 2:
        raise InvalidInputError(argument, f"a sparse array of shape {y.shape}", "shape (n, num_classes)")
    if y.shape[1] > MAX_CLASSES:
        raise InvalidInputError(argument, f"{y.shape[1]} columns", f"at most {MAX_CLASSES:,}, one for each class")
    try:
        matrix = scipy.sparse.csr_matrix(y, copy=True)
        matrix.check_format(full_check=True)
    except (ValueError, IndexError) as error:
        raise InvalidInputError(argument, f"a damaged sparse matrix ({error})", "a sound one") from None
    matrix.sum_duplicates()
    matrix.eliminate_zeros()
    known = np.isin(matrix.data, (1, LABEL_UNLABELED, LABEL_IGNORED))
    if not known.all():
        allowed = f"1, LABEL_UNLABELED ({LABEL_UNLABELED}) and LABEL_IGNORED ({LABEL_IGNORED})"
        raise InvalidInputError(argument, f"a matrix entry of {matrix.data[~known][0]}", allowed)
    return matrix.astype(np.int32)


def frozen(y: Labels) -> Labels:
    """Make the memory of labels read-only, and return them."""
    for array in (y.data, y.indices, y.indptr) if is_multi_label(y) else (y,):
        owner: Any = array
        while isinstance(owner, np.ndarray):
            owner.flags.writeable = False  # otherwise a view could be made writable again
            owner = owner.base
    return y


def view_of(y: Labels) -> Labels:
    """Return read-only labels as a new object over the same memory, so that setting its attributes is safe."""
    if not is_multi_label(y):
        return y.view()
    matrix = scipy.sparse.csr_matrix((y.data.view(), y.indices.view(), y.indptr.view()), shape=y.shape, copy=False)
    matrix.has_canonical_format = True
    return matrix


def is_multi_label(y: Labels) -> TypeGuard[scipy.sparse.csr_matrix]:
    """Return whether labels are a multi-label matrix, without importing `scipy.sparse`, which takes 0.2 s."""
    return "scipy.sparse" in sys.modules and bool(scipy.sparse.issparse(y))


def marked_rows(y: Labels) -> NDArray[np.bool_]:
    """Return a mask of shape (n,) of the rows that are marked `LABEL_UNLABELED` or `LABEL_IGNORED`.

    Parameters
    ----------
    y : ndarray of int, shape (n,), or csr_matrix, shape (n, num_classes)
        Labels.

    Examples
    --------
    >>> marked_rows(np.array([0, LABEL_UNLABELED, 1, LABEL_IGNORED])).tolist()
    [False, True, False, True]
    """
    if is_multi_label(y):
        marked = np.zeros(y.shape[0], dtype=np.bool_)
        marked[np.repeat(np.arange(y.shape[0]), np.diff(y.indptr))[y.data < 0]] = True
        return marked
    return np.isin(y, (LABEL_UNLABELED, LABEL_IGNORED))


def list_to_csr(
    labels: Iterable[Iterable[int] | int | None],
    num_classes: int | tuple[int, int] | None = None,
    *,
    shape: tuple[int, int] | None = None,
) -> scipy.sparse.csr_matrix:
    """Convert lists of class numbers to a multi-label matrix.

    Parameters
    ----------
    labels : iterable of (iterable of int, None, or LABEL_IGNORED)
        The class numbers of each text, in [0, num_classes). None (or `LABEL_UNLABELED`) marks a text without
        labels yet, which is not the same as ``[]``, a text that no class applies to.
    num_classes : int or (int, int), optional
        The number of classes, or the shape of the matrix, (n, num_classes), as in small-text.
    shape : (int, int), optional
        The shape of the matrix, in place of `num_classes`.

    Returns
    -------
    csr_matrix of int32, shape (n, num_classes)

    Raises
    ------
    InvalidInputError
        If a row is not a list of class numbers, or the number of rows does not match the shape.

    Examples
    --------
    >>> list_to_csr([[0, 2], [], [1]], num_classes=3).toarray().tolist()
    [[1, 0, 1], [0, 0, 0], [0, 1, 0]]
    >>> list_to_csr([[0, 2], [], [1]], (3, 3)).shape
    (3, 3)
    """
    columns, expected = _columns_and_rows(num_classes, shape)
    allowed = "for each text a list of class numbers, None, or LABEL_IGNORED"
    if (
        not isinstance(labels, Iterable)
        or isinstance(labels, (str, bytes, Mapping))
        or getattr(labels, "ndim", 1) == 0
    ):
        raise InvalidInputError("labels", brief(labels), allowed)
    indices: list[int] = []
    data: list[int] = []
    indptr = [0]
    for row in as_sequence(labels, "labels", allowed, "label"):
        numbers, entry = [0], LABEL_UNLABELED if row is None else row
        if not (is_whole(entry) and entry in (LABEL_UNLABELED, LABEL_IGNORED)):
            try:
                numbers, entry = sorted({operator.index(number) for number in row}), 1
            except TypeError:
                raise InvalidInputError("labels", f"{brief(row)} for a text", allowed) from None
        if numbers and not 0 <= numbers[0] <= numbers[-1] < columns:
            raise InvalidInputError("labels", brief(numbers), f"class numbers from 0 to {columns - 1}")
        indices.extend(numbers)
        data.extend([int(entry)] * len(numbers))
        indptr.append(len(indices))
    if expected is not None and len(indptr) - 1 != expected:
        raise InvalidInputError("shape", f"{expected} rows", f"as many as there are lists, {len(indptr) - 1}")
    content = (np.array(part, dtype=np.int32) for part in (data, indices, indptr))
    return scipy.sparse.csr_matrix(tuple(content), shape=(len(indptr) - 1, columns))


def _columns_and_rows(num_classes: Any, shape: Any) -> tuple[int, int | None]:
    """Return the number of columns, and the number of rows if given."""
    allowed = f"the number of classes, from 0 to {MAX_CLASSES:,}, or the shape (n, num_classes)"
    if (num_classes is None) == (shape is None):
        given = "neither num_classes nor shape" if shape is None else "num_classes and shape"
        raise InvalidInputError("num_classes", given, allowed, "Write list_to_csr(labels, num_classes).")
    given = num_classes if shape is None else shape
    size = given if isinstance(given, (tuple, list)) else (None, given)
    numbers = [one for one in size if one is not None]
    whole = all(is_whole(one) and one >= 0 for one in numbers)
    if len(size) != 2 or not whole or size[1] is None or size[1] > MAX_CLASSES:
        raise InvalidInputError("num_classes" if shape is None else "shape", brief(given), allowed)
    return int(size[1]), None if size[0] is None else int(size[0])


def csr_to_list(y: scipy.sparse.csr_matrix) -> list[list[int] | int | None]:
    """Convert a multi-label matrix to lists of class numbers; the inverse of `list_to_csr`.

    Parameters
    ----------
    y : csr_matrix, shape (n, num_classes)
        Labels. InvalidInputError is raised for anything else.

    Examples
    --------
    >>> csr_to_list(list_to_csr([[2, 0], [], None], num_classes=3))
    [[0, 2], [], None]
    """
    if not is_multi_label(y) or y.format != "csr":
        raise InvalidInputError("y", brief(y), "a csr_matrix")
    rows: list[list[int] | int | None] = []
    for start, stop in zip(y.indptr[:-1], y.indptr[1:], strict=True):
        values = y.data[start:stop]
        if (values == LABEL_IGNORED).any():
            rows.append(LABEL_IGNORED)
        elif (values == LABEL_UNLABELED).any():
            rows.append(None)
        else:
            rows.append(sorted(y.indices[start:stop][values != 0].tolist()))
    return rows
