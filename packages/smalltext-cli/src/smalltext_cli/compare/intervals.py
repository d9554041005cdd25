"""Means over repeats with confidence intervals, and paired differences between classifiers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

INTERVAL = (
    "95% confidence interval of the mean over repeats (Student's t): it reflects the choice of training texts "
    "and the seed, but not the choice of held-out texts"
)
DIFFERENCE_INTERVAL = (
    "95% confidence interval of the mean difference on the same training sets and held-out texts: the variance "
    "between repeats and the jackknife variance over held-out texts are added, with the degrees of freedom of "
    "Welch and Satterthwaite, or with two repeats the quantile of Cochran and Cox"
)


@dataclass(frozen=True)
class Interval:
    """A mean and its 95% confidence interval; the bounds are None for a single value.

    Examples
    --------
    >>> Interval(0.9, 0.85, 0.95).contains(0.86)
    True
    """

    mean: float
    low: float | None = None
    high: float | None = None

    def contains(self, value: float) -> bool:
        """Return whether a value is in the interval; True if there are no bounds."""
        return self.low is None or self.high is None or self.low <= value <= self.high

    def as_dict(self) -> dict[str, float | None]:
        """Return mean and bounds as JSON values."""
        return {"mean": self.mean, "low": self.low, "high": self.high}


def t_interval(values: Sequence[float], lowest: float = -math.inf, highest: float = math.inf) -> Interval:
    """Return the mean and its 95% confidence interval by Student's t, clipped to the possible values.

    Examples
    --------
    >>> t_interval([0.5, 0.7]).mean, t_interval([0.8, 0.9, 1.0], highest=1.0).high
    (0.6, 1.0)
    """
    mean = float(np.mean(values))
    if len(values) < 2:
        return Interval(mean)
    margin = _t_quantile(len(values) - 1) * float(np.std(values, ddof=1)) / math.sqrt(len(values))
    return Interval(mean, max(lowest, mean - margin), min(highest, mean + margin))


def _t_quantile(degrees_of_freedom: float) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(degrees_of_freedom, 0.975))


class Metric:
    """A metric of predictions on the held-out texts, including its leave-one-out values.

    Parameters
    ----------
    name : {"accuracy", "macro_f1"}
    truth : sequence of int or of list of int
        The class number of each text, or lists of class numbers if multi-label.
    num_classes : int

    Examples
    --------
    >>> metric = Metric("accuracy", [0, 1, 1], 2)
    >>> metric.without_each([0, 1, 0]).tolist()
    [0.5, 0.5, 1.0]
    """

    def __init__(self, name: str, truth: Sequence[Any], num_classes: int) -> None:
        self.name = name
        self._truth = _indicators(truth, num_classes)

    def of(self, predicted: Sequence[Any]) -> float:
        """Return the metric of predictions."""
        marked = _indicators(predicted, self._truth.shape[1])
        if self.name == "accuracy":
            return float((marked == self._truth).all(axis=1).mean())
        counts = self._counts(marked).sum(axis=1)
        return float(_mean_f1(counts[:, None, :])[0])

    def without_each(self, predicted: Sequence[Any]) -> NDArray[np.float64]:
        """Return the metric with each text left out in turn, shape (n,)."""
        marked = _indicators(predicted, self._truth.shape[1])
        if self.name == "accuracy":
            right = (marked == self._truth).all(axis=1)
            return np.asarray((right.sum() - right) / (len(right) - 1), dtype=np.float64)
        counts = self._counts(marked)
        return _mean_f1(counts.sum(axis=1, keepdims=True) - counts)

    def _counts(self, marked: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Return true positives, false positives and false negatives of each text and class: (3, n, C)."""
        truth = self._truth
        return np.stack([truth & marked, ~truth & marked, truth & ~marked]).astype(np.int64)


def _indicators(labels: Sequence[Any], num_classes: int) -> NDArray[np.bool_]:
    marked = np.zeros((len(labels), num_classes), dtype=bool)
    for row, label in enumerate(labels):
        marked[row, label] = True
    return marked


def _mean_f1(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the mean F1 of the classes that occur, from counts of shape (3, n, C): an array of shape (n,)."""
    denominator = 2 * counts[0] + counts[1] + counts[2]
    occurs = denominator > 0
    f1 = np.where(occurs, 2 * counts[0] / np.maximum(denominator, 1), 0.0)
    return np.asarray(f1.sum(axis=1) / np.maximum(occurs.sum(axis=1), 1), dtype=np.float64)


def difference(
    first: Mapping[int, float],
    second: Mapping[int, float],
    first_without: Mapping[int, NDArray[np.float64]],
    second_without: Mapping[int, NDArray[np.float64]],
) -> Interval:
    """Return the mean difference between two metrics over the repeats that both have.

    Parameters
    ----------
    first, second : mapping of int to float
        The metric of each repeat.
    first_without, second_without : mapping of int to ndarray, shape (n,)
        The leave-one-out values of each repeat, as returned by `Metric.without_each`.
    """
    repeats = sorted(first.keys() & second.keys())
    each = np.array([first[one] - second[one] for one in repeats])
    left_out = np.mean([first_without[one] - second_without[one] for one in repeats], axis=0)
    count = len(left_out)
    parts = [((count - 1) / count * float(np.square(left_out - left_out.mean()).sum()), count - 1)]
    if len(repeats) > 1:
        parts.append((float(each.var(ddof=1)) / len(repeats), len(repeats) - 1))
    mean, variance = float(each.mean()), sum(part for part, _ in parts)
    if not variance:
        return Interval(mean, mean, mean)
    if len(repeats) == 2:
        # Cochran and Cox: a variance of two values is often far too small by chance, and then hardly counts in the
        # degrees of freedom of Welch and Satterthwaite, so that an interval holds the true value in 87% of cases.
        quantile = sum(part / variance * _t_quantile(degrees) for part, degrees in parts)
    else:
        quantile = _t_quantile(variance**2 / sum(part**2 / degrees for part, degrees in parts))
    margin = quantile * math.sqrt(variance)
    return Interval(mean, mean - margin, mean + margin)
