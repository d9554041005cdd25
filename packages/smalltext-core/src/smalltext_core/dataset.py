"""Datasets of texts and labels, and their views.

A view shares the storage of its dataset: it copies neither texts nor labels, and is read-only.
"""

from __future__ import annotations

import copy
import warnings
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Generator, Iterable, Iterator, Sized
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, cast, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from smalltext_core.conversion import Rows, as_rows, as_sequence, compose_rows, positions
from smalltext_core.errors import InvalidInputError, ReadOnlyError
from smalltext_core.label_names import (
    LabelNames,
    alike_notices,
    as_label_names,
    as_label_rows,
    is_row,
    names_of_rows,
)
from smalltext_core.labels import (
    LABEL_UNLABELED,
    Labels,
    as_labels,
    frozen,
    is_multi_label,
    marked_rows,
    view_of,
)
from smalltext_core.messages import brief

if TYPE_CHECKING:
    from typing_extensions import Self, TypeVar

    # Type checkers know whether names were given: after from_labels, for example, no check for None is needed.
    N = TypeVar("N", bound="LabelNames | None", default="LabelNames | Any", covariant=True)
else:
    from typing import TypeVar

    N = TypeVar("N", covariant=True)

X = TypeVar("X")


@dataclass
class _Storage(Generic[X]):
    """The data of a dataset and of all its views."""

    x: X
    y: Labels
    target_labels: NDArray[np.int64] | None
    label_names: LabelNames | None

    def __post_init__(self) -> None:
        frozen(self.y)
        if self.target_labels is not None:
            frozen(self.target_labels)

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.__post_init__()  # unpickled and copied arrays are writable


class Dataset(ABC, Generic[X]):
    """A sequence of texts, in the form that a backend needs, and their labels.

    Subclasses implement `_select` (rows) and `_count` (their number). InvalidInputError is raised if the lengths
    differ or the labels are invalid.

    Parameters
    ----------
    x : Any
        The texts, or a representation of them, such as token ids.
    y : array-like of int, shape (n,), or csr_matrix, shape (n, num_classes), optional
        Class numbers; by default every text is `LABEL_UNLABELED`.
    target_labels : array-like of int, optional
        The class numbers that may occur, below 1,000,000. By default, they range from 0 to the last class that has
        a name, a column in the matrix, or a text, and are updated when `y` is set.
    label_names : LabelNames or iterable of str, optional
        The names of the classes, in the order of their numbers.

    Examples
    --------
    >>> class Vectors(Dataset[np.ndarray]):
    ...     _count = staticmethod(len)
    ...     _select = staticmethod(lambda x, rows: x[positions(rows)])
    >>> Vectors(np.eye(3), [0, 1, 0])[1:].x.tolist()
    [[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    """

    def __init__(
        self,
        x: X,
        y: object = None,
        target_labels: ArrayLike | None = None,
        *,
        label_names: LabelNames | Iterable[str] | None = None,
    ) -> None:
        count = self._count(x)
        labels = np.full(count, LABEL_UNLABELED, dtype=np.int64) if y is None else as_labels(y)
        names = None if label_names is None else as_label_names(label_names)
        targets = None if target_labels is None else _as_targets(target_labels)
        _check_labels(labels, count, targets, names)
        self._storage = _Storage(x, labels, targets, names)
        self._rows: Rows | None = None

    @staticmethod
    @abstractmethod
    def _count(x: Any) -> int:
        """Return the number of texts in `x`."""

    @staticmethod
    @abstractmethod
    def _select(x: Any, rows: Rows) -> Any:
        """Return the given rows of `x`, in that order."""

    @staticmethod
    def _copy(x: Any) -> Any:
        """Return a copy of `x` that shares no mutable state with it."""
        return x.copy()

    @staticmethod
    def _view(x: Any) -> Any:
        """Return `x` for callers; arrays are returned as new objects over the same read-only memory."""
        return x

    @property
    def x(self) -> X:
        """The texts, or a representation of them; for a view, only its rows."""
        x, rows = self._storage.x, self._rows
        found: X = self._view(x) if rows is None else self._select(x, rows)
        return found

    @property
    def y(self) -> Labels:
        """Class numbers: int array of shape (n,), or csr_matrix of shape (n, num_classes); read-only.

        It can be set, except on a view; labels are checked and copied. Floats are accepted if all are whole
        numbers, since some active learners produce them. To change some labels, set a modified copy.
        """
        if self._rows is None:
            return view_of(self._storage.y)
        return frozen(self._storage.y[positions(self._rows)])

    @y.setter
    def y(self, y: object) -> None:
        self._refuse_on_view("y")
        if isinstance(y, np.ndarray) and y.dtype.kind == "f" and np.isfinite(y).all() and (y == np.trunc(y)).all():
            y = y.astype(np.int64)
        labels = as_labels(y)
        _check_labels(labels, len(self), self._storage.target_labels, self._storage.label_names)
        self._storage.y = frozen(labels)

    @property
    def target_labels(self) -> NDArray[np.int64]:
        """The class numbers that may occur, sorted. It can be set, except on a view."""
        if self._storage.target_labels is not None:
            return self._storage.target_labels[:]
        if self._storage.label_names is not None:
            return np.arange(len(self._storage.label_names))
        y = self._storage.y
        return np.arange(y.shape[1] if is_multi_label(y) else int(y.max(initial=-1)) + 1)

    @target_labels.setter
    def target_labels(self, target_labels: ArrayLike) -> None:
        self._refuse_on_view("target_labels")
        targets = _as_targets(target_labels)
        _check_labels(self._storage.y, len(self), targets, self._storage.label_names)
        self._storage.target_labels = targets

    @property
    def label_names(self) -> LabelNames | None:
        """The names of the classes, or None if they have none."""
        return self._storage.label_names

    @property
    def is_multi_label(self) -> bool:
        """Whether several classes, or none, may apply to a text."""
        return is_multi_label(self._storage.y)

    @property
    def is_view(self) -> bool:
        """Whether this is a read-only view of another dataset."""
        return self._rows is not None

    def clone(self) -> Self:
        """Return an independent copy of a dataset or a view, whose `y` can be set.

        Inferred target labels are inferred again from the rows of the copy; explicit ones are kept.
        """
        cloned = copy.copy(self)
        cloned._storage = _Storage(
            self._copy(self.x), as_labels(self.y), self._storage.target_labels, self._storage.label_names
        )
        cloned._rows = None
        return cloned

    def __len__(self) -> int:
        return self._count(self._storage.x) if self._rows is None else len(self._rows)

    def __getitem__(self, indices: object) -> Self:
        """Return a view of the rows at `indices`: an int, a slice, a list or array of ints, or a boolean mask."""
        view = copy.copy(self)
        view._rows = compose_rows(self._rows, as_rows(indices, len(self)))
        return view

    def __iter__(self) -> Iterator[Self]:
        return (self[row] for row in range(len(self)))

    def __repr__(self) -> str:
        kind = "multi-label" if self.is_multi_label else "single-label"
        view = ", view" if self.is_view else ""
        return f"{type(self).__name__}(n={len(self)}, {kind}, {len(self.target_labels)} classes{view})"

    def _refuse_on_view(self, attribute: str) -> None:
        if self.is_view:
            raise ReadOnlyError(f"{attribute} of a view cannot be set; set it on dataset[indices].clone().")


class TextDataset(Dataset[list[str]], Generic[N]):
    """A dataset of texts and their labels, accepted by every classifier.

    Parameters
    ----------
    x : iterable of str
        The texts, which may be empty strings.
    y : array-like of int, or csr_matrix, optional
        Class numbers, as for `Dataset`.
    target_labels : array-like of int, optional
        The class numbers that may occur.
    label_names : LabelNames or iterable of str, optional
        The names of the classes, in the order of their numbers.

    Examples
    --------
    >>> dataset = TextDataset(["a fine film", "a dull film", "fine"], [1, 0, 1])
    >>> dataset
    TextDataset(n=3, single-label, 2 classes)
    >>> labelled = dataset[[0, 2]].clone()
    >>> labelled.y = [1, 0]
    >>> labelled.x, labelled.y.tolist()
    (['a fine film', 'fine'], [1, 0])
    """

    @overload
    def __init__(
        self: TextDataset[LabelNames],
        x: Iterable[str],
        y: object = None,
        target_labels: ArrayLike | None = None,
        *,
        label_names: LabelNames | Iterable[str],
    ) -> None: ...
    @overload
    def __init__(
        self: TextDataset[LabelNames | None],
        x: Iterable[str],
        y: object = None,
        target_labels: ArrayLike | None = None,
        *,
        label_names: LabelNames | Iterable[str] | None = None,
    ) -> None: ...
    def __init__(
        self,
        x: Iterable[str],
        y: object = None,
        target_labels: ArrayLike | None = None,
        *,
        label_names: LabelNames | Iterable[str] | None = None,
    ) -> None:
        super().__init__(as_texts(x), y, target_labels, label_names=label_names)

    @property
    def label_names(self) -> N:
        """The names of the classes, or None if they have none."""
        return cast("N", super().label_names)

    @classmethod
    def from_labels(
        cls,
        texts: Iterable[str],
        labels: Iterable[Any],
        label_names: LabelNames | Iterable[Any] | None = None,
    ) -> Self:
        """Create a dataset from texts and the names of their classes.

        Parameters
        ----------
        texts : iterable of str
            The texts, which may be empty strings.
        labels : iterable of (str, int, float or bool), or of lists of these
            The class name of each text or, for multi-label problems, a list of names per text. Names are stripped
            of surrounding whitespace and normalised to NFC; 1 and 1.0 become "1", True becomes "true".
        label_names : LabelNames or sequence of names, optional
            The names of the classes, in the order of their numbers; by default the names that occur, sorted, with
            a warning about names that look alike or differ only in case.

        Raises
        ------
        InvalidInputError
            If a label is missing, infinite, empty or of another type, or not among `label_names`.

        Examples
        --------
        >>> dataset = TextDataset.from_labels(["buy now", "see you"], ["spam", "ham"])
        >>> dataset.y.tolist(), dataset.label_names.names
        ([1, 0], ('ham', 'spam'))
        """
        rows = as_label_rows(labels)
        several = bool(rows) and is_row(rows[0])
        for number, row in enumerate(rows):
            if is_row(row) != several:
                allowed = "a name for each text, or a list of names for each text"
                raise InvalidInputError("labels", f"{brief(row)} at row {number}", allowed)
        counts = Counter(names_of_rows(rows))
        if label_names is None:
            names = LabelNames(tuple(sorted(counts)))
            for notice in alike_notices(counts)[:5]:
                warnings.warn(notice, stacklevel=2)
        else:
            names = as_label_names(label_names)
        y = names.encode_multi_label(rows) if several else names.encode(rows)
        return cls(texts, y, label_names=names)

    @staticmethod
    def _count(x: Sized) -> int:
        return len(x)

    @staticmethod
    def _select(x: list[str], rows: Rows) -> list[str]:
        return [x[row] for row in (rows if isinstance(rows, range) else rows.tolist())]


def as_texts(x: Iterable[str], argument: str = "x") -> list[str]:
    """Return texts, called `argument` in errors, as a list of str.

    InvalidInputError is raised for other values (None, NaN), and for a single string, a table, a mapping, a set,
    or an array of two dimensions.
    """
    texts = list(x) if type(x) is list else as_sequence(x, argument, "a sequence of strings", "text")
    for row, text in enumerate(texts):
        if type(text) is not str:
            if not isinstance(text, str):
                advice = "Drop that row, or give an empty string for an empty text."
                raise InvalidInputError(argument, f"{brief(text)} at row {row}", "strings", advice)
            texts[row] = str.__str__(text)
    return texts


def check_texts(data_set: TextDataset[Any], argument: str) -> None:
    """Raise InvalidInputError if the list of texts was changed in place, to another length or to other values."""
    texts, labels = len(data_set._storage.x), data_set._storage.y.shape[0]
    if texts != labels:
        given = f"{texts} texts and {labels} labels, since x was changed in place"
        raise InvalidInputError(argument, given, "as many labels as texts", "Make a new TextDataset.")
    as_texts(data_set.x, argument)


def _as_targets(target_labels: ArrayLike) -> NDArray[np.int64]:
    if isinstance(target_labels, (AbstractSet, Generator)):
        target_labels = list(target_labels)  # their order does not matter
    targets = as_labels(target_labels, "target_labels")
    if is_multi_label(targets):
        raise InvalidInputError("target_labels", "a sparse matrix", "a list of class numbers")
    if targets.size and targets.min() < 0:
        raise InvalidInputError("target_labels", f"the class number {targets.min()}", "class numbers from 0")
    return np.unique(targets.astype(np.int64))


def _check_labels(y: Labels, count: int, targets: NDArray[np.int64] | None, names: LabelNames | None) -> None:
    if y.shape[0] != count:
        raise InvalidInputError("y", f"{y.shape[0]} labels", f"as many as there are texts, {count}")
    present = np.unique(y.indices[y.data > 0] if is_multi_label(y) else y[~marked_rows(y)])
    if present.size and present[0] < 0:
        raise InvalidInputError("y", f"the label {present[0]}", "class numbers from 0, or LABEL_UNLABELED")
    if targets is not None and not np.isin(present, targets).all():
        unknown = present[~np.isin(present, targets)]
        raise InvalidInputError("y", f"the label {unknown[0]}", f"one of target_labels, {brief(targets.tolist())}")
    if names is not None and present.size and present[-1] >= len(names):
        allowed = f"0 to {len(names) - 1}, one for each of label_names"
        raise InvalidInputError("y", f"the label {present[-1]}", allowed)
