"""Validate and convert `X` (raw texts) and `y` (labels of any kind) of `TextClassifier`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, issparse
from sklearn.utils import check_array, column_or_1d
from sklearn.utils.multiclass import check_classification_targets

from smalltext_core.conversion import as_array, as_sequence, check_ordered, columns_of, is_number
from smalltext_core.dataset import as_texts
from smalltext_core.errors import InvalidInputError
from smalltext_core.label_names import class_name
from smalltext_core.labels import Labels, is_multi_label
from smalltext_core.messages import shown

_TEXTS = "strings: a list, an array or a series of shape (n,), or a single column of shape (n, 1)"
_NUMERIC = "For features that are numbers already, use a classifier of scikit-learn itself."
_LABELS = "a label for each text, shape (n,), or a matrix of zeros and ones, shape (n, classes)"
_BINARIZE = "Several labels per text: sklearn.preprocessing.MultiLabelBinarizer().fit_transform(y)."


def as_text_column(X: Any) -> list[str]:
    """Convert `X` to a list: an iterable of str of shape (n,), or an array or frame of shape (n, 1)."""
    if issparse(X):
        raise InvalidInputError("X", f"a sparse matrix of {X.dtype}, shape {X.shape}", _TEXTS, _NUMERIC)
    if not hasattr(X, "__array__"):
        return as_texts(X, "X")
    array = as_array(X, "X", _TEXTS, "text") if isinstance(X, np.ma.MaskedArray) else np.asarray(X)
    if array.ndim == 0 or array.dtype.kind in "biufcmM":
        given = f"an array of {array.dtype}, shape {array.shape}"
        try:
            check_array(array, dtype=None)
        except (TypeError, ValueError) as error:  # the message of scikit-learn
            raise InvalidInputError("X", given, _TEXTS, str(error)) from error
        raise InvalidInputError("X", given, _TEXTS, _NUMERIC)
    if array.ndim > 1 and array.shape[1:] != (1,):
        if columns_of(X) is not None:
            check_ordered(X, "X", _TEXTS, "text")
        raise InvalidInputError("X", f"an array of shape {array.shape}", _TEXTS, "Select the texts.")
    return as_texts(array.ravel(), "X")


@dataclass(frozen=True)
class Classes:
    """The labels of a problem in the order of their class numbers; decodes predictions."""

    labels: NDArray[Any]
    """Sorted, shape (classes,); in multi-label problems, the column numbers."""
    multi_label: bool
    sparse: bool = False
    """Whether multi-label predictions are sparse, as `y` was."""
    dtype: np.dtype[Any] | None = None
    """The dtype of multi-label predictions."""

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def names(self) -> list[str] | None:
        """The class names; None for labels that are not valid names, and for indicator matrices."""
        if self.multi_label:
            return None
        try:
            names = [class_name(label) for label in self.labels.tolist()]
        except InvalidInputError:
            return None
        return names if len(set(names)) == len(names) else None

    def weights(self, by_label: Mapping[Any, float]) -> dict[str, float] | dict[int, float]:
        """Convert class weights by label to weights by name, or by class number if classes have no names.

        A label that does not occur in `y` is ignored if all labels in `y` have a weight (a cross-validation fold
        may lack a class); otherwise it is an error.
        """
        number_of = {label: number for number, label in enumerate(self.labels.tolist())}
        unknown = [label for label in by_label if label not in number_of]
        if unknown and not number_of.keys() <= by_label.keys():
            occurring = ", ".join(map(repr, number_of))
            raise InvalidInputError("class_weight", shown(unknown[0]), f"the labels in y: {occurring}")
        numbers = {number_of[label]: weight for label, weight in by_label.items() if label in number_of}
        names = self.names
        return numbers if names is None else {names[number]: weight for number, weight in numbers.items()}

    def decode(self, numbers: Labels) -> Any:
        """Convert predicted class numbers to labels of the same type as in `y`."""
        if not is_multi_label(numbers):
            return self.labels[numbers]
        indicators = numbers.astype(self.dtype)
        return indicators if self.sparse else indicators.toarray()


def read_targets(y: Any) -> tuple[Classes, Labels]:
    """Convert `y`, sortable labels or a multi-label indicator matrix, to its classes and class numbers.

    InvalidInputError is raised for missing labels, labels of several types, and regression targets.
    """
    labels = y if issparse(y) else _as_array(y)
    if labels.ndim == 2 and (issparse(labels) or labels.shape[1] != 1):
        return _read_indicators(labels)
    try:
        labels = column_or_1d(labels, warn=True)
        if labels.dtype.kind == "f" and np.isnan(labels).any():
            _refuse_missing(labels)
        check_classification_targets(labels)
    except InvalidInputError:
        raise
    except (TypeError, ValueError) as error:  # the message of scikit-learn
        raise InvalidInputError("y", shown(y, 80), _LABELS, str(error)) from error
    found, numbers = np.unique(labels, return_inverse=True)
    return Classes(found, multi_label=False), numbers.reshape(-1)


def check_several_classes(classes: Classes, numbers: Labels, weights: NDArray[np.float64] | None) -> None:
    """Raise InvalidInputError for single-label targets with only one class among texts of positive weight."""
    if numbers.shape[0] == 0:
        raise InvalidInputError("y", "no labels: 0 samples", _LABELS)
    if classes.multi_label:
        return
    present = classes.labels[np.unique(numbers if weights is None else numbers[weights > 0])].tolist()
    if len(present) < 2:
        counted = "" if weights is None else " among the texts with a sample_weight"
        found = f"one class only{counted}, {shown(present[0])}"
        raise InvalidInputError("y", found, "labels of two or more classes", "Label texts of another class.")


def _read_indicators(y: Any) -> tuple[Classes, csr_matrix]:
    if y.shape[1] == 0:
        raise InvalidInputError("y", f"a matrix without columns, shape {y.shape}", _LABELS)
    values = csr_matrix(y).data if issparse(y) else y
    if values.dtype == object and all(map(_is_indicator, values.flat)):  # such as pandas' nullable integers
        y = values = values.astype(np.int64)
    if values.dtype.kind not in "biuf" or not np.isin(values, (0, 1)).all():
        found = f"an array of {values.dtype}, shape {y.shape}, of other values than 0 and 1"
        raise InvalidInputError("y", found, _LABELS, _BINARIZE)
    classes = Classes(np.arange(y.shape[1]), multi_label=True, sparse=issparse(y), dtype=y.dtype)
    return classes, csr_matrix(y, dtype=np.int32)


def _as_array(y: Any) -> NDArray[Any]:
    """Convert `y` to an array. It is checked first, since numpy converts missing labels and numbers to strings."""
    if y is None:
        advice = "TextClassifier requires y to be passed, but the target y is None."
        raise InvalidInputError("y", "None", _LABELS, advice)
    if not isinstance(y, (list, tuple)) and not hasattr(type(y), "__array__"):
        y = as_sequence(y, "y", _LABELS, "label")
    if isinstance(y, np.ma.MaskedArray):
        y = as_array(y, "y", _LABELS, "label")
    try:
        labels = y if isinstance(y, (list, tuple)) else np.asarray(y)
    except (TypeError, ValueError) as error:  # rows of several lengths
        raise InvalidInputError("y", shown(y, 80), _LABELS, f"{error}.") from None
    if isinstance(labels, np.ndarray) and labels.ndim == 0:
        raise InvalidInputError("y", shown(y, 80), _LABELS)
    if isinstance(labels, np.ndarray) and labels.dtype.kind == "T":  # StringDType, unknown to scikit-learn
        labels = labels.astype(object)
    if isinstance(labels, np.ndarray) and (labels.dtype != object or labels.ndim > 1):
        return labels
    for row, label in enumerate(labels):
        sequence = isinstance(label, (list, tuple))
        if isinstance(label, (set, frozenset)) or (sequence and not all(_is_indicator(entry) for entry in label)):
            raise InvalidInputError("y", f"{shown(label)} at row {row}", _LABELS, _BINARIZE)
    if all(np.ndim(label) == 0 for label in labels):
        _refuse_missing(labels)
        _refuse_mixture(labels)
    return np.asarray(labels)


def _is_indicator(entry: Any) -> bool:
    return (is_number(entry) or isinstance(entry, (bool, np.bool_))) and entry in (0, 1)


def _refuse_missing(labels: Any) -> None:
    for row, label in enumerate(labels):
        try:
            missing = label is None or bool(label != label)
        except TypeError:  # Comparing pandas.NA with itself gives NA, not a bool.
            missing = True
        if missing:
            advice = "Leave texts without a label out of X and y."
            raise InvalidInputError("y", f"{shown(label)} at row {row}, which is not a label", _LABELS, advice)


def _refuse_mixture(labels: Any) -> None:
    strings = [isinstance(label, str) for label in labels]
    if any(strings) and not all(strings):
        other = type(labels[strings.index(False)]).__name__
        raise InvalidInputError("y", f"strings and labels of type {other}", "labels of one kind")
