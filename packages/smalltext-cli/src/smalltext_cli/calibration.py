"""Whether probabilities mean what they say: the bins of the reliability diagram and the error they add up to.

References
----------
Guo, Pleiss, Sun, Weinberger (2017). On Calibration of Modern Neural Networks. ICML.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RELIABILITY_BINS = 15
"""How many bins of equal width the expected calibration error has, as in Guo et al. (2017)."""


@dataclass(frozen=True)
class ReliabilityBin:
    """The predictions whose confidence lies in (lower, upper]; the first bin includes 0.

    Parameters
    ----------
    lower, upper : float
    count : int
    confidence, accuracy : float or None
        The mean confidence and the share that came true; None in an empty bin.
    """

    lower: float
    upper: float
    count: int
    confidence: float | None
    accuracy: float | None


def reliability_bins(confidence: NDArray[np.float64], correct: NDArray[np.bool_]) -> tuple[ReliabilityBin, ...]:
    """Sort predictions into `RELIABILITY_BINS` bins by their confidence.

    Parameters
    ----------
    confidence : ndarray of float64, shape (n,)
        Probabilities, 0 to 1.
    correct : ndarray of bool, shape (n,)
        Whether what was predicted with this confidence is true.
    """
    edges = np.linspace(0, 1, RELIABILITY_BINS + 1)
    numbers = np.digitize(confidence, edges[1:-1], right=True)
    counts = np.bincount(numbers, minlength=RELIABILITY_BINS)
    confidences = np.bincount(numbers, weights=confidence, minlength=RELIABILITY_BINS)
    hits = np.bincount(numbers, weights=correct, minlength=RELIABILITY_BINS)
    return tuple(
        ReliabilityBin(
            lower=float(edges[k]),
            upper=float(edges[k + 1]),
            count=int(count),
            confidence=float(confidences[k] / count) if count else None,
            accuracy=float(hits[k] / count) if count else None,
        )
        for k, count in enumerate(counts)
    )


def expected_calibration_error(reliability: tuple[ReliabilityBin, ...]) -> float:
    """Return the mean distance of confidence and accuracy, each bin weighted by its count.

    Examples
    --------
    >>> bins = reliability_bins(np.array([0.9, 0.9]), np.array([True, False]))
    >>> round(expected_calibration_error(bins), 3)
    0.4
    """
    total = sum(one.count for one in reliability)
    distances = (
        one.count * abs(one.accuracy - one.confidence)
        for one in reliability
        if one.accuracy is not None and one.confidence is not None
    )
    return sum(distances) / total
