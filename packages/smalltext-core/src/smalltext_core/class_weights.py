"""Class weights: from the parameter of a classifier to one number for each class."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from smalltext_core.conversion import is_number, is_whole
from smalltext_core.errors import InvalidInputError
from smalltext_core.label_names import LabelNames, shown_name
from smalltext_core.labels import Labels, is_multi_label
from smalltext_core.messages import brief

ClassWeight: TypeAlias = "Literal['balanced'] | Mapping[str, float] | Mapping[int, float] | None"
"""None, "balanced", or a weight for each class: by name where classes have names, else by number.

A class that is not in the mapping weighs 1.
"""

_LEAST, _GREATEST = 1e-9, 1e9


def check_class_weight(class_weight: object, num_classes: int) -> None:
    """Raise InvalidInputError unless `class_weight` is None, "balanced", or a sound mapping.

    Names are compared with those of the classes once the training set is known; see `by_number`.
    """
    if class_weight is None or (isinstance(class_weight, str) and class_weight == "balanced"):
        return
    allowed = (
        f"None, 'balanced', or a mapping from class numbers (0 to {num_classes - 1}), or from names where classes "
        f"have some, to numbers from {_LEAST:g} to {_GREATEST:g}"
    )
    if not isinstance(class_weight, Mapping):
        raise InvalidInputError("class_weight", brief(class_weight), allowed)
    for label, weight in class_weight.items():
        known = isinstance(label, str) or (is_whole(label) and 0 <= int(label) < num_classes)
        if not known or not is_number(weight) or not _LEAST <= weight <= _GREATEST:
            raise InvalidInputError("class_weight", f"{brief(label)}: {brief(weight)}", allowed)
    if len({isinstance(label, str) for label in class_weight}) > 1:
        raise InvalidInputError("class_weight", "names and class numbers", allowed, "Write names alone.")


def by_number(
    class_weight: ClassWeight, num_classes: int, label_names: LabelNames | None
) -> Literal["balanced"] | dict[int, float] | None:
    """Return class weights by class number, as `fit` does before any work.

    Parameters
    ----------
    class_weight : None, "balanced", or mapping
        The parameter of the classifier.
    num_classes : int
        The number of classes.
    label_names : LabelNames or None
        The names of the classes in the training set.

    Raises
    ------
    InvalidInputError
        If classes have names and a key is not one of them, even if it is a class number: with the names "1" and
        "2", the number 1 could be either class. Or if they have none, and a key is a name.

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
        if isinstance(label, str) and label_names is None:
            given = f"the name {brief(label)}, and the training set has no names of classes"
            advice = "Use class numbers, or TextDataset.from_labels."
            raise InvalidInputError("class_weight", given, f"class numbers from 0 to {num_classes - 1}", advice)
        if isinstance(label, str) and label_names is not None:
            try:
                number = label_names.number(label)
            except InvalidInputError as error:
                raise InvalidInputError("class_weight", error.given, error.allowed, error.next_step) from None
        elif label_names is not None:
            known = ", ".join(map(shown_name, label_names.names[:10])) + (", ..." if len(label_names) > 10 else "")
            given = f"the class number {brief(label)}, where classes have names"
            raise InvalidInputError("class_weight", given, f"names: {known}")
        else:
            number = int(label)
        if number in numbers:
            raise InvalidInputError("class_weight", f"{brief(label)} twice", "a weight for each class, once")
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
        class), as in scikit-learn. Multi-label: the weight of a text that the class applies to, against 1 for
        one that it does not apply to; "balanced" is negatives / positives. A class that does not occur
        weighs 1.

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
