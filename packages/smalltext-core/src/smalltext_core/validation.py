"""Validation of arguments, which every backend does before any work.

A backend's `fit` starts with `training_data`, its `predict_proba` with `prediction_data`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeAlias, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from smalltext_core.conversion import as_array, is_number, is_whole
from smalltext_core.dataset import Dataset, TextDataset, check_texts
from smalltext_core.errors import InvalidInputError, NotFittedError
from smalltext_core.label_names import LabelNames, shown_name
from smalltext_core.labels import MAX_CLASSES, Labels, is_multi_label, marked_rows
from smalltext_core.messages import brief, shown

D = TypeVar("D", bound="Dataset[object]")
S = TypeVar("S")

ClassWeight: TypeAlias = "Literal['balanced'] | Mapping[str, float] | Mapping[int, float] | None"
"""None, "balanced", or a weight for each class: by name where classes have names, else by number.

A class that is not in the mapping weighs 1.
"""

_MIN_WEIGHT, _MAX_WEIGHT = 1e-9, 1e9

Threshold: TypeAlias = "float | tuple[float, ...] | Literal['auto']"
"""One multi-label threshold for all classes, one per class, or "auto": chosen on held-out texts in training."""


def training_data(
    train_set: D,
    weights: ArrayLike | None = None,
    *,
    num_classes: int,
    multi_label: bool,
    argument: str = "train_set",
) -> tuple[D, NDArray[np.float64] | None]:
    """Check a training set and its weights, and drop texts whose weight is zero.

    `num_classes` and `multi_label` are those of the classifier; InvalidInputError calls the dataset `argument`.

    Returns
    -------
    train_set : Dataset
        The texts with a weight above zero: the same object if all have one, else a view.
    weights : ndarray of float64, shape (len(train_set),), or None
        Above zero, with a mean of 1, since only their ratios matter; None if all are equal.
    """
    _check_dataset(train_set, argument)
    if len(train_set) == 0:
        raise InvalidInputError(argument, "an empty dataset", "at least one labelled text")
    _check_training_labels(train_set, num_classes, multi_label, argument)
    if weights is None:
        return train_set, None
    checked = check_weights(weights, len(train_set))
    counted = checked > 0
    if not counted.all():
        train_set, checked = train_set[counted], checked[counted]
    return train_set, None if (checked == checked[0]).all() else _with_mean_of_one(checked)


def _with_mean_of_one(weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Divide weights above zero by their mean, so that their scale does not act as a learning rate."""
    ratios = np.maximum(weights / weights.max(), np.finfo(np.float64).tiny)  # first, since a sum may overflow
    scaled: NDArray[np.float64] = ratios / ratios.mean()
    return scaled


def checked_weights(weights: ArrayLike | None, count: int) -> NDArray[np.float64]:
    """Return the weights of `count` texts with a mean of 1, all equal by default, or raise InvalidInputError."""
    return np.ones(count) if weights is None else _with_mean_of_one(check_weights(weights, count))


def prediction_data(data_set: D, *, fitted: bool, classifier: object, argument: str = "data_set") -> D:
    """Check a dataset to predict, whose labels do not matter; NotFittedError unless the classifier is `fitted`."""
    if not fitted:
        raise NotFittedError(classifier)
    _check_dataset(data_set, argument)
    return data_set


def check_weights(weights: ArrayLike, count: int, argument: str = "weights") -> NDArray[np.float64]:
    """Return weights as a float array of shape (count,), or raise InvalidInputError, which names `argument`."""
    allowed = "finite numbers, 0 or above, not all zero, one for each text"
    if isinstance(weights, Dataset):
        advice = "To pass a validation set, name it: validation_set=..., where fit has this argument."
        raise InvalidInputError(argument, f"a {type(weights).__name__}", allowed, advice)
    array = as_array(weights, argument, allowed, "weight")
    try:
        texts = array.dtype == object and any(isinstance(one, (str, bytes)) for one in array.flat)
        numeric = not texts and array.dtype.kind in "biufO"  # numpy converts dates and complex numbers too
        checked = array.astype(np.float64) if numeric else None
    except (TypeError, ValueError, OverflowError):
        checked = None
    if checked is None:
        raise InvalidInputError(argument, brief(weights), allowed, "Convert them to numbers first.")
    if checked.shape != (count,):
        raise InvalidInputError(argument, f"shape {checked.shape}", f"{allowed}: shape ({count},)")
    wrong = ~np.isfinite(checked) | (checked < 0)
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise InvalidInputError(argument, f"{checked[row]} at row {row}", allowed)
    if not checked.any():
        raise InvalidInputError(argument, "zeros only", allowed)
    return checked


def check_num_classes(num_classes: object, multi_label: bool) -> int:
    """Return a number of classes: at least 2, or 1 if `multi_label`; else raise InvalidInputError."""
    count = check_count("num_classes", num_classes, minimum=1 if check_flag("multi_label", multi_label) else 2)
    if count > MAX_CLASSES:
        raise InvalidInputError("num_classes", brief(num_classes), f"at most {MAX_CLASSES:,}")
    return count


def check_count(argument: str, value: object, minimum: int = 1) -> int:
    """Return a whole number, or raise InvalidInputError if it is less than `minimum` or something else."""
    if not is_whole(value) or value < minimum:
        raise InvalidInputError(argument, shown(value), f"a whole number, {minimum} or above")
    return int(value)


def check_positive(argument: str, value: object) -> float:
    """Return a finite number above 0, or raise InvalidInputError."""
    if not is_number(value) or not 0 < value < float("inf"):
        raise InvalidInputError(argument, shown(value), "a finite number above 0")
    return float(value)


def check_within(argument: str, value: object, least: float, most: float = float("inf")) -> float:
    """Return a finite number from `least` to `most`, or raise InvalidInputError."""
    if not is_number(value) or not least <= value <= most or value == float("inf"):
        bounds = f"{least} or above" if most == float("inf") else f"from {least} to {most}"
        raise InvalidInputError(argument, shown(value), f"a finite number, {bounds}")
    return float(value)


def check_choice(argument: str, value: S, choices: Sequence[str]) -> S:
    """Return a value that is one of `choices`, or raise InvalidInputError, which lists them."""
    if not isinstance(value, str) or value not in choices:
        allowed = " or ".join(map(repr, choices)) if len(choices) == 2 else f"one of {', '.join(choices)}"
        raise InvalidInputError(argument, shown(value), allowed)
    return value


def check_flag(argument: str, value: object) -> bool:
    """Return True or False, or raise InvalidInputError, since any string would count as True."""
    if not isinstance(value, (bool, np.bool_)):
        raise InvalidInputError(argument, brief(value), "True or False")
    return bool(value)


def check_mapping(argument: str, value: object) -> dict[str, Any]:
    """Return keyword arguments as a dict, empty for None; InvalidInputError unless they map names to values."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise InvalidInputError(argument, shown(value), "a mapping from names to values, or None")
    invalid = next((name for name in value if not isinstance(name, str)), None)
    if invalid is not None:
        raise InvalidInputError(argument, f"the name {shown(invalid)}", "names, which are strings")
    return dict(value)


def check_seed(seed: object) -> int | None:
    """Return a seed, None or an int from 0 to 2**32 - 1, or raise InvalidInputError."""
    if seed is None:
        return None
    if not is_whole(seed) or not 0 <= int(seed) < 2**32:
        raise InvalidInputError("seed", brief(seed), "None, or a whole number from 0 to 2**32 - 1")
    return int(seed)


def check_thresholds(threshold: object, num_classes: int) -> Threshold:
    """Return "auto", one multi-label threshold in [0, 1) or one for each class, or raise InvalidInputError."""
    if isinstance(threshold, str) and threshold == "auto":
        return "auto"
    given = threshold.tolist() if isinstance(threshold, np.ndarray) else threshold
    if is_number(given) and 0 <= given < 1:
        return float(given)
    if not isinstance(given, (list, tuple)) or not all(is_number(one) and 0 <= one < 1 for one in given):
        allowed = "a number from 0 to below 1, one for each class, or 'auto'"
        raise InvalidInputError("multi_label_threshold", brief(threshold), allowed)
    if len(given) != num_classes:
        allowed = f"one number for each of the {num_classes} classes"
        raise InvalidInputError("multi_label_threshold", f"{len(given)} numbers", allowed)
    return tuple(float(one) for one in given)


def check_class_weight(class_weight: object, num_classes: int) -> None:
    """Raise InvalidInputError unless `class_weight` is None, "balanced", or a valid mapping.

    Names are compared with those of the classes once the training set is known; see `by_number`.
    """
    if class_weight is None or (isinstance(class_weight, str) and class_weight == "balanced"):
        return
    allowed = (
        f"None, 'balanced', or a mapping from class numbers (0 to {num_classes - 1}), or from names where classes "
        f"have some, to numbers from {_MIN_WEIGHT:g} to {_MAX_WEIGHT:g}"
    )
    if not isinstance(class_weight, Mapping):
        raise InvalidInputError("class_weight", brief(class_weight), allowed)
    for label, weight in class_weight.items():
        known = isinstance(label, str) or (is_whole(label) and 0 <= int(label) < num_classes)
        if not known or not is_number(weight) or not _MIN_WEIGHT <= weight <= _MAX_WEIGHT:
            raise InvalidInputError("class_weight", f"{brief(label)}: {brief(weight)}", allowed)
    if len({isinstance(label, str) for label in class_weight}) > 1:
        raise InvalidInputError("class_weight", "names and class numbers", allowed, "Use only names.")


def by_number(
    class_weight: ClassWeight, num_classes: int, label_names: LabelNames | None
) -> Literal["balanced"] | dict[int, float] | None:
    """Return class weights by class number, as `fit` does before any work.

    InvalidInputError is raised if classes have names and a key is not one of them, even if it is a class number:
    with the names "1" and "2", the number 1 could be either class. It is also raised for a name as a key if
    classes have no names.

    Examples
    --------
    >>> by_number({"spam": 3.0}, 2, LabelNames(("ham", "spam")))
    {1: 3.0}
    """
    check_class_weight(class_weight, num_classes)
    if class_weight is None or isinstance(class_weight, str):
        return class_weight
    numbers: dict[int, float] = {}
    for label, weight in class_weight.items():
        if label_names is None and isinstance(label, str):
            given = f"the name {brief(label)}, and the training set has no names of classes"
            advice = "Use class numbers, or TextDataset.from_labels."
            raise InvalidInputError("class_weight", given, f"class numbers from 0 to {num_classes - 1}", advice)
        if label_names is not None and not isinstance(label, str):
            known = ", ".join(map(shown_name, label_names.names[:10])) + (", ..." if len(label_names) > 10 else "")
            given = f"the class number {brief(label)}, where classes have names"
            raise InvalidInputError("class_weight", given, f"names: {known}")
        number = int(label) if label_names is None else label_names.number(label, "class_weight")
        if number in numbers:
            raise InvalidInputError("class_weight", f"{brief(label)} twice", "each class once")
        numbers[number] = float(weight)
    return numbers


def class_weights(
    class_weight: ClassWeight, y: Labels, num_classes: int, label_names: LabelNames | None = None
) -> NDArray[np.float64] | None:
    """Return the weight of each class in training on `y`, or None if all are equal.

    Parameters
    ----------
    class_weight : None, "balanced", or mapping of str or int to float
        The parameter of the classifier.
    y : ndarray of int, shape (n,), or csr_matrix, shape (n, num_classes)
        The labels of the training set.
    num_classes : int
        The number of classes.
    label_names : LabelNames, optional
        The names of the classes in the training set.

    Returns
    -------
    ndarray of float64, shape (num_classes,), or None
        Single-label: the weight of a text of this class; "balanced" is n / (classes present * count of the
        class), as in scikit-learn. Multi-label: the weight of a positive text of this class, relative to 1 for a
        negative one; "balanced" is negatives / positives. The weight of a class that does not occur is 1.

    Examples
    --------
    >>> class_weights("balanced", np.array([0, 0, 0, 2]), num_classes=3).round(2).tolist()
    [0.67, 1.0, 2.0]
    """
    numbered = by_number(class_weight, num_classes, label_names)
    if numbered is None:
        return None
    weights = np.ones(num_classes)
    if isinstance(numbered, dict):
        weights[list(numbered.keys())] = list(numbered.values())
        return weights
    if is_multi_label(y):
        counts = np.bincount(y.indices, minlength=num_classes)
        present = (counts > 0) & (counts < y.shape[0])
        weights[present] = (y.shape[0] - counts[present]) / counts[present]
    else:
        counts = np.bincount(y, minlength=num_classes)
        present = counts > 0
        weights[present] = len(y) / (present.sum() * counts[present])
    return weights


def _check_dataset(data_set: object, argument: str) -> None:
    if not isinstance(data_set, Dataset):
        advice = "Wrap texts and labels: smalltext_core.TextDataset(texts, labels)."
        raise InvalidInputError(argument, type(data_set).__name__, "a Dataset", advice)
    if isinstance(data_set, TextDataset):
        check_texts(data_set, argument)


def _check_training_labels(train_set: Dataset[object], num_classes: int, multi_label: bool, argument: str) -> None:
    y = train_set.y
    if train_set.is_multi_label != multi_label:
        kinds = {True: "multi-label (a csr_matrix)", False: "single-label (an int array)"}
        advice = f"The classifier was made with multi_label={multi_label}."
        raise InvalidInputError(f"{argument}.y", f"{kinds[not multi_label]} labels", kinds[multi_label], advice)
    marked = np.flatnonzero(marked_rows(y))
    if marked.size:
        found = f"{marked.size} unlabelled or ignored texts, the first at row {marked[0]}"
        advice = "Select the labelled ones: dataset[~smalltext_core.marked_rows(dataset.y)]."
        raise InvalidInputError(f"{argument}.y", found, "a label for every text", advice)
    advice = f"The classifier was made with num_classes={num_classes}."
    names = train_set.label_names
    if is_multi_label(y):
        if y.shape[1] != num_classes:
            raise InvalidInputError(f"{argument}.y", f"{y.shape[1]} columns", f"{num_classes} columns", advice)
    elif y.min() < 0 or y.max() >= num_classes:
        wrong = y.max() if y.max() >= num_classes else y.min()
        allowed = f"class numbers from 0 to {num_classes - 1}"
        raise InvalidInputError(f"{argument}.y", f"the label {wrong}", allowed, advice)
    if names is not None and len(names) > num_classes:  # the names are saved with the classifier
        raise InvalidInputError(f"{argument}.label_names", f"{len(names)} names", f"up to {num_classes}", advice)
