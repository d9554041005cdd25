"""Class weights: from what the user says to one number a class, for every backend."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from smalltext_core.errors import InvalidInputError
from smalltext_core.labels import Labels, is_multi_label

ClassWeight: TypeAlias = "Literal['balanced'] | Mapping[int, float] | None"
"""None, "balanced", or a weight for each class number; a class that is not in the mapping weighs 1."""


def check_class_weight(class_weight: object, num_classes: int) -> None:
    """Raise InvalidInputError unless `class_weight` is None, "balanced", or a sound mapping."""
    allowed = f"None, 'balanced', or a mapping from class numbers (0 to {num_classes - 1}) to positive numbers"
    if class_weight is None or (isinstance(class_weight, str) and class_weight == "balanced"):
        return
    if not isinstance(class_weight, Mapping):
        raise InvalidInputError("class_weight", repr(class_weight), allowed)
    for number, weight in class_weight.items():
        whole = isinstance(number, (int, np.integer)) and not isinstance(number, bool)
        known = whole and 0 <= number < num_classes
        if not known or not isinstance(weight, (int, float, np.number)) or not 0 < weight < math.inf:
            raise InvalidInputError("class_weight", f"{number!r}: {weight!r}", allowed)


def class_weights(class_weight: ClassWeight, y: Labels, num_classes: int) -> NDArray[np.float64] | None:
    """Return what each class weighs in training on `y`, or None where all weigh the same.

    Parameters
    ----------
    class_weight : None, "balanced", or mapping of int to float
    y : ndarray of int, shape (n,), or csr_matrix, shape (n, num_classes)
        The labels of the training set.
    num_classes : int

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
    check_class_weight(class_weight, num_classes)
    if class_weight is None:
        return None
    weights = np.ones(num_classes)
    if isinstance(class_weight, Mapping):
        weights[list(class_weight.keys())] = list(class_weight.values())
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
