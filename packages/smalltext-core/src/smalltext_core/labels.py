"""Labels: class numbers, the two markers, and the names ("spam") that classes have for people, at the edge."""

from __future__ import annotations

import operator
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias, TypeGuard

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, issparse

from smalltext_core.errors import InvalidInputError

LABEL_UNLABELED = -1
"""Marks a text that has no label yet. In a multi-label matrix: an entry of this value in its row."""

LABEL_IGNORED = -2
"""Marks a text that is to be passed over. In a multi-label matrix: an entry of this value in its row."""

Labels: TypeAlias = "NDArray[np.int32] | NDArray[np.int64] | csr_matrix"
"""Class numbers: an int array of shape (n,), or a csr_matrix of shape (n, num_classes)."""


def as_labels(y: object, argument: str = "y") -> Labels:
    """Return `y`, called `argument` in errors, as this library holds labels: checked, and a copy.

    `y` is array-like of int, shape (n,), or a sparse matrix, shape (n, num_classes), which holds ones; both may
    hold `LABEL_UNLABELED` and `LABEL_IGNORED`. Anything else is refused with an InvalidInputError.
    """
    if issparse(y):
        return _as_multi_label(y, argument)
    array = np.asarray(y)
    if array.ndim != 1:
        allowed = "an int array of shape (n,), or a scipy.sparse.csr_matrix of shape (n, num_classes)"
        advice = "For several labels a text, use smalltext_core.list_to_csr."
        raise InvalidInputError(argument, f"an array of shape {array.shape}", allowed, advice)
    if array.size == 0:
        return np.empty(0, dtype=np.int64)
    if not np.issubdtype(array.dtype, np.integer):
        allowed = "whole numbers (class numbers, or LABEL_UNLABELED)"
        advice = "For names, use TextDataset.from_labels."
        raise InvalidInputError(argument, f"values of type {array.dtype}", allowed, advice)
    return array.astype(np.int32 if np.can_cast(array.dtype, np.int32) else np.int64)


def _as_multi_label(y: Any, argument: str) -> csr_matrix:
    if y.ndim != 2:
        raise InvalidInputError(argument, f"a sparse array of shape {y.shape}", "shape (n, num_classes)")
    matrix = csr_matrix(y, copy=True)
    matrix.sum_duplicates()
    matrix.eliminate_zeros()
    known = np.isin(matrix.data, (1, LABEL_UNLABELED, LABEL_IGNORED))
    if not known.all():
        allowed = f"1, LABEL_UNLABELED ({LABEL_UNLABELED}) and LABEL_IGNORED ({LABEL_IGNORED})"
        raise InvalidInputError(argument, f"a matrix entry of {matrix.data[~known][0]}", allowed)
    return matrix.astype(np.int32)


def is_multi_label(y: Labels) -> TypeGuard[csr_matrix]:
    """Tell whether `y` is a multi-label matrix."""
    return bool(issparse(y))


def marked_rows(y: Labels) -> NDArray[np.bool_]:
    """Find the rows, as a mask of shape (n,), that are marked `LABEL_UNLABELED` or `LABEL_IGNORED`.

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


def list_to_csr(labels: Iterable[Iterable[int] | int | None], num_classes: int) -> csr_matrix:
    """Make a multi-label matrix of lists of class numbers.

    Parameters
    ----------
    labels : iterable of (iterable of int, None, or LABEL_IGNORED)
        The class numbers of each text, in [0, num_classes). None (or `LABEL_UNLABELED`) marks a text without
        labels yet, which is not the same as ``[]``, a text that no class applies to.

    Returns
    -------
    csr_matrix of int32, shape (n, num_classes)

    Examples
    --------
    >>> list_to_csr([[0, 2], [], [1]], num_classes=3).toarray().tolist()
    [[1, 0, 1], [0, 0, 0], [0, 1, 0]]
    """
    indices: list[int] = []
    data: list[int] = []
    indptr = [0]
    for row in labels:
        marker = LABEL_UNLABELED if row is None else row
        if isinstance(marker, (int, np.integer)) and marker in (LABEL_UNLABELED, LABEL_IGNORED):
            numbers, entry = [0], int(marker)
        else:
            numbers, entry = _class_numbers(row), 1
        if numbers and not 0 <= numbers[0] <= numbers[-1] < num_classes:
            raise InvalidInputError("labels", f"{numbers}", f"class numbers from 0 to {num_classes - 1}")
        indices.extend(numbers)
        data.extend([entry] * len(numbers))
        indptr.append(len(indices))
    return csr_matrix(
        (np.array(data, dtype=np.int32), np.array(indices, dtype=np.int32), np.array(indptr, dtype=np.int32)),
        shape=(len(indptr) - 1, num_classes),
    )


def _class_numbers(row: Any) -> list[int]:
    try:
        return sorted({operator.index(number) for number in row})
    except TypeError:
        allowed = "a list of class numbers, None, or LABEL_IGNORED"
        raise InvalidInputError("labels", f"{row!r} for a text", allowed) from None


def csr_to_list(y: csr_matrix) -> list[list[int] | int | None]:
    """Turn a multi-label matrix into lists of class numbers; the inverse of `list_to_csr`.

    Examples
    --------
    >>> csr_to_list(list_to_csr([[2, 0], [], None], num_classes=3))
    [[0, 2], [], None]
    """
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


@dataclass(frozen=True)
class LabelNames:
    """What the classes are called: class number k is ``names[k]``.

    InvalidInputError is raised if a name is not a string, or occurs twice.

    Examples
    --------
    >>> names = LabelNames.of(["spam", "ham", "spam"])
    >>> names.names
    ('ham', 'spam')
    >>> names.encode(["spam", "ham"]).tolist()
    [1, 0]
    >>> names.decode(np.array([0, 1]))
    ['ham', 'spam']
    """

    names: tuple[str, ...]

    def __post_init__(self) -> None:
        if isinstance(self.names, str):
            raise InvalidInputError("names", repr(self.names), "a sequence of strings", "One name: [name].")
        names = tuple(self.names)
        for name in names:
            if not isinstance(name, str):
                raise InvalidInputError("names", f"{name!r} among them", "strings")
        object.__setattr__(self, "names", tuple(map(str, names)))
        if len(self._numbers) != len(self.names):
            twice = next(name for name in self.names if self.names.count(name) > 1)
            raise InvalidInputError("names", f"{twice!r} more than once", "a distinct name for each class")

    @classmethod
    def of(cls, labels: Iterable[str | Iterable[str]]) -> LabelNames:
        """Collect the distinct names in labels: strings, or lists of strings (multi-label); sorted."""
        found: set[str] = set()
        for row, label in enumerate(labels):
            names = [label] if isinstance(label, str) else label
            if not isinstance(names, Iterable) or not all(isinstance(name, str) for name in names):
                raise InvalidInputError("labels", f"{label!r} at row {row}", "a name, or a list of names")
            found.update(names)
        return cls(tuple(sorted(found)))

    def __len__(self) -> int:
        return len(self.names)

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {name: number for number, name in enumerate(self.names)}

    def number(self, name: str) -> int:
        """Return the class number of a name, or raise InvalidInputError naming those that exist."""
        if not isinstance(name, str) or name not in self._numbers:
            listed = ", ".join(repr(known) for known in self.names[:20])
            more = f" and {len(self) - 20} more" if len(self) > 20 else ""
            raise InvalidInputError("labels", repr(name), f"one of {listed}{more}")
        return self._numbers[name]

    def encode(self, labels: Iterable[str]) -> NDArray[np.int32]:
        """Turn names into class numbers, shape (n,)."""
        return np.array([self.number(label) for label in labels], dtype=np.int32)

    def encode_multi_label(self, labels: Iterable[Iterable[str]]) -> csr_matrix:
        """Turn lists of names into a multi-label matrix of shape (n, num_classes)."""
        rows = []
        for row in labels:
            if isinstance(row, str) or not isinstance(row, Iterable):
                raise InvalidInputError("labels", f"{row!r} for a text", "a list of names for each text")
            rows.append([self.number(name) for name in row])
        return list_to_csr(rows, len(self))

    def decode(self, y: Labels) -> list[str] | list[list[str]]:
        """Turn class numbers into names: a string a text, or a list of strings (multi-label).

        InvalidInputError is raised for a row without a label, and for a class number without a name.
        """
        numbers = y.indices if is_multi_label(y) else y
        if marked_rows(y).any() or (numbers.size and not 0 <= numbers.min() <= numbers.max() < len(self)):
            allowed = f"class numbers from 0 to {len(self) - 1}, one for each name"
            raise InvalidInputError("y", "rows without a label, or a label without a name", allowed)
        if is_multi_label(y):
            return [[self.names[k] for k in row] for row in csr_to_list(y) if isinstance(row, list)]
        return [self.names[k] for k in y.tolist()]


def as_label_names(label_names: LabelNames | Iterable[str]) -> LabelNames:
    """Return label names as LabelNames, whichever way they were given."""
    return label_names if isinstance(label_names, LabelNames) else LabelNames(label_names)  # type: ignore[arg-type]
