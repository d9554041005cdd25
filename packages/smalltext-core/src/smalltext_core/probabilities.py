"""Probabilities, and the labels and thresholds derived from them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

from smalltext_core.errors import InvalidInputError
from smalltext_core.labels import Labels
from smalltext_core.validation import check_thresholds, checked_weights

Probabilities = NDArray[np.float32]
"""Dense float32, shape (n, num_classes): column k is class k."""


_COMMON_POSITIVES = 10.0
"""The weight of the common threshold, expressed as a number of positive texts."""


def empty_probabilities(num_classes: int) -> Probabilities:
    """Return the probabilities of an empty dataset, shape (0, num_classes)."""
    return np.empty((0, num_classes), dtype=np.float32)


def place_columns(
    scores: NDArray[np.floating[Any]], classes: NDArray[np.integer[Any]], num_classes: int
) -> Probabilities:
    """Return probabilities with a column for every class, with zeros for classes unknown to the model.

    `scores` has shape (n, len(classes)); column k is that of class ``classes[k]``.

    Examples
    --------
    >>> place_columns(np.array([[0.25, 0.75]]), np.array([0, 2]), num_classes=3).tolist()
    [[0.25, 0.0, 0.75]]
    """
    proba = np.zeros((scores.shape[0], num_classes), dtype=np.float32)
    proba[:, classes] = scores
    return proba


def to_labels(
    proba: Probabilities, multi_label: bool, threshold: float | Sequence[float] | NDArray[np.floating[Any]] = 0.5
) -> Labels:
    """Return the most probable class of each text, or every class above the threshold (multi-label).

    Parameters
    ----------
    proba : ndarray of float32, shape (n, num_classes)
        The probability of each class for each text.
    multi_label : bool
        Whether several classes, or none, may apply to a text.
    threshold : float or array-like of float, shape (num_classes,), default=0.5
        The threshold of all classes, or of each; from 0 to below 1.

    Returns
    -------
    ndarray of int32, shape (n,), or csr_matrix of int32, shape (n, num_classes)

    Raises
    ------
    InvalidInputError
        In multi-label problems, if a threshold is not in [0, 1), or if there is not one threshold per class.

    Examples
    --------
    >>> to_labels(np.array([[0.2, 0.8]], dtype=np.float32), multi_label=False).tolist()
    [1]
    """
    if multi_label:
        checked = check_thresholds(threshold, proba.shape[1])
        if isinstance(checked, str):
            raise InvalidInputError("threshold", repr(checked), "a number, or one for each class")
        # In single precision, as probabilities are: otherwise 0.3 would be above itself.
        return scipy.sparse.csr_matrix(proba > np.array(checked, dtype=np.float32), dtype=np.int32)
    return proba.argmax(axis=1).astype(np.int32)


def choose_thresholds(
    proba: NDArray[np.floating[Any]], y: scipy.sparse.csr_matrix, weights: ArrayLike | None = None
) -> NDArray[np.float64]:
    """Choose the threshold of each class of a multi-label problem that maximises F1 on held-out texts.

    Each threshold is a weighted mean, on the logit scale, of the best threshold for the class and the best common
    threshold for all classes. The weights are the number of texts of the class and a constant of ten texts.

    Parameters
    ----------
    proba : ndarray of float, shape (n, num_classes)
        Probabilities of texts that the classifier was not trained on.
    y : csr_matrix of int, shape (n, num_classes)
        The classes of these texts.
    weights : array-like of float, shape (n,), optional
        The weight of each text, 0 or greater; only ratios matter.

    Returns
    -------
    ndarray of float64, shape (num_classes,)
        From 0.01 to 0.95; 0.5 for all if no class has a text.

    Examples
    --------
    >>> from scipy.sparse import csr_matrix
    >>> proba = np.tile([[0.1], [0.3], [0.2], [0.4]], (10, 1))
    >>> choose_thresholds(proba, csr_matrix(np.tile([[0], [1], [0], [1]], (10, 1)))).round(2).tolist()
    [0.24]
    """
    targets = np.asarray(y.toarray() > 0, dtype=np.float64)
    weight = checked_weights(weights, len(targets))
    count = weight @ targets
    known = np.flatnonzero(count > 0)
    if len(known) == 0:
        return np.full(proba.shape[1], 0.5)
    limits = np.linspace(0.01, 0.95, 189)
    grid = scipy.special.logit(limits)
    scores = np.array([_f1_at(proba[:, known] > limit, targets[:, known], weight) for limit in limits])
    common = _middle_of_best(grid, scores.mean(axis=1))
    thresholds = np.full(proba.shape[1], common)
    for column, k in enumerate(known):
        own = _middle_of_best(grid, scores[:, column])
        thresholds[k] = (count[k] * own + _COMMON_POSITIVES * common) / (count[k] + _COMMON_POSITIVES)
    return np.asarray(scipy.special.expit(thresholds))


def _f1_at(
    predicted: NDArray[np.bool_], targets: NDArray[np.float64], weight: NDArray[np.float64]
) -> NDArray[Any]:
    """Return the F1 of each class; its denominator is above 0, since every class has a text."""
    hits = weight @ (predicted * targets)
    return np.asarray(2 * hits / (weight @ predicted + weight @ targets))


def _middle_of_best(grid: NDArray[np.float64], scores: NDArray[np.float64]) -> float:
    """Return the middle of the thresholds with the greatest score."""
    best = grid[scores >= scores.max() - 1e-12]
    return float((best[0] + best[-1]) / 2)
