"""Probabilities, and the labels that follow from them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from smalltext_core.labels import Labels
from smalltext_core.validation import check_threshold

Probabilities = NDArray[np.float32]
"""Dense float32, shape (n, num_classes): column k is class k."""


def empty_probabilities(num_classes: int) -> Probabilities:
    """Return the probabilities of no texts at all, shape (0, num_classes)."""
    return np.empty((0, num_classes), dtype=np.float32)


def place_columns(
    scores: NDArray[np.floating[Any]], classes: NDArray[np.integer[Any]], num_classes: int
) -> Probabilities:
    """Return probabilities with a column for every class; classes that the model does not know have zeros.

    `scores` has shape (n, len(classes)); column k is that of class ``classes[k]``.

    Examples
    --------
    >>> place_columns(np.array([[0.25, 0.75]]), np.array([0, 2]), num_classes=3).tolist()
    [[0.25, 0.0, 0.75]]
    """
    proba = np.zeros((scores.shape[0], num_classes), dtype=np.float32)
    proba[:, classes] = scores
    return proba


def to_labels(proba: Probabilities, multi_label: bool, threshold: float = 0.5) -> Labels:
    """Return the most probable class of each text, or every class above the threshold (multi-label).

    Returns
    -------
    ndarray of int32, shape (n,), or csr_matrix of int32, shape (n, num_classes)

    Raises
    ------
    InvalidInputError
        If several classes may apply and the threshold is no number from 0 to below 1.

    Examples
    --------
    >>> to_labels(np.array([[0.2, 0.8]], dtype=np.float32), multi_label=False).tolist()
    [1]
    """
    if multi_label:
        return csr_matrix(proba > check_threshold(threshold), dtype=np.int32)
    return proba.argmax(axis=1).astype(np.int32)
