"""Evaluation metrics: the scores of scikit-learn, confidence intervals and calibration.

The calibration error is that of Guo et al. (2017), On Calibration of Modern Neural Networks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from smalltext_core.calibration import expected_calibration_error
from smalltext_core.errors import InvalidInputError
from smalltext_core.labels import Labels, is_multi_label, marked_rows
from smalltext_core.probabilities import to_labels

RELIABILITY_BINS = 15
"""Bins of equal width for the expected calibration error, as in Guo et al. (2017)."""

_FIGURES = (
    *("multi_label", "accuracy", "accuracy_interval", "macro_f1", "micro_f1", "log_loss"),
    *("zero_probability_truths", "expected_calibration_error", "brier"),
)
_Z_95 = 1.959963984540054  # the 97.5% quantile of the normal distribution


@dataclass(frozen=True)
class ClassScores:
    """Precision, recall and F1 of one class; 0.0 if the denominator is zero.

    Parameters
    ----------
    precision, recall, f1 : float
    support : int
        The number of texts with this class.
    predicted : int
        The number of texts for which it was predicted.
    """

    precision: float
    recall: float
    f1: float
    support: int
    predicted: int


@dataclass(frozen=True)
class ReliabilityBin:
    """The predictions with a confidence in (lower, upper]; the first bin includes 0.

    `confidence` is their mean confidence and `accuracy` their accuracy; both are None in an empty bin.
    """

    lower: float
    upper: float
    count: int
    confidence: float | None
    accuracy: float | None


@dataclass(frozen=True)
class WithoutClass:
    """Multi-label: the texts for which no class is above its threshold, and their effect on the scores.

    Parameters
    ----------
    texts : int
        The number of these texts.
    right : int
        The number of these texts to which indeed no class applies.
    missed : int
        The number of true labels of the other ones, all of which are missed.
    micro_f1_with_top, macro_f1_with_top : float
        The F1 if the most probable class were predicted for each of these texts.
    """

    texts: int
    right: int
    missed: int
    micro_f1_with_top: float
    macro_f1_with_top: float


@dataclass(frozen=True)
class Scores:
    """All scores of probabilities on labelled texts.

    Parameters
    ----------
    multi_label : bool
    thresholds : tuple of float, or None
        Multi-label: for each class, the probability above which it is predicted.
    num_texts : int
    accuracy : float
        The share of texts whose predicted class is correct, or whose classes all are.
    hamming_loss : float or None
        Multi-label: the share of wrong decisions among all pairs of a text and a class.
    macro_f1 : float
        The mean F1 of the classes that occur in the true or in the predicted labels.
    micro_f1 : float
        The F1 over all decisions; single-label: equal to the accuracy.
    log_loss : float
        The mean of -log p(truth), with p clipped to the float32 epsilon as in scikit-learn; multi-label: over all
        pairs of a text and a class.
    zero_probability_truths : int
        The number of texts (multi-label: pairs) whose true label has a probability of exactly zero.
    expected_calibration_error : float
        The mean difference of confidence and accuracy over the bins of `reliability`, weighted by count.
    brier : float
        The Brier score: the mean squared error of the probabilities, summed over classes (0 to 2), or multi-label
        over all pairs (0 to 1).
    per_class : tuple of ClassScores
        In the order of the class numbers.
    confusion_matrix : ndarray of int64
        Single-label: shape (C, C), rows are true classes and columns predicted ones. Multi-label: shape (C, 2, 2),
        for each class [[true negatives, false positives], [false negatives, true positives]].
    reliability : tuple of ReliabilityBin
        Single-label: the confidence is the probability of the predicted class. Multi-label: the probability of
        each class is a confidence, which is correct if the class applies.
    without_class : WithoutClass or None
        Multi-label: the texts for which no class is predicted.
    """

    multi_label: bool
    thresholds: tuple[float, ...] | None
    num_texts: int
    accuracy: float
    hamming_loss: float | None
    macro_f1: float
    micro_f1: float
    log_loss: float
    zero_probability_truths: int
    expected_calibration_error: float
    brier: float
    per_class: tuple[ClassScores, ...]
    confusion_matrix: NDArray[np.int64]
    reliability: tuple[ReliabilityBin, ...]
    without_class: WithoutClass | None = None

    @property
    def accuracy_interval(self) -> tuple[float, float]:
        """The 95% confidence interval of the accuracy."""
        return wilson_interval(self.accuracy, self.num_texts)

    @property
    def majority_baseline(self) -> float | None:
        """The accuracy of always predicting the most frequent class; None if multi-label."""
        return None if self.multi_label else max(one.support for one in self.per_class) / self.num_texts

    @property
    def mean_confidence(self) -> float:
        """The mean of the confidences behind the reliability bins."""
        return self._mean_over_bins("confidence")

    @property
    def mean_correctness(self) -> float:
        """The accuracy over the reliability bins; multi-label, the share of pairs whose class applies."""
        return self._mean_over_bins("accuracy")

    @property
    def miscalibration(self) -> str:
        """``"over"`` or ``"under"`` if the mean confidence is outside the interval of the accuracy, else empty."""
        low, high = wilson_interval(self.mean_correctness, self.num_texts)
        return "over" if self.mean_confidence > high else "under" if self.mean_confidence < low else ""

    def _mean_over_bins(self, name: Literal["confidence", "accuracy"]) -> float:
        filled = [one for one in self.reliability if one.count]
        return float(np.average([getattr(one, name) for one in filled], weights=[one.count for one in filled]))

    @property
    def unscored(self) -> tuple[int, ...]:
        """The classes that neither texts nor predictions have, which are excluded from the macro F1."""
        return tuple(k for k, one in enumerate(self.per_class) if not one.support and not one.predicted)

    def as_dict(self, names: Sequence[str]) -> dict[str, Any]:
        """Return the scores as JSON values, with ``per_class`` keyed by the names of the classes.

        InvalidInputError is raised unless there is one name per class.
        """
        if len(names) != len(self.per_class):
            raise InvalidInputError("names", f"{len(names)} names", f"{len(self.per_class)}, one per class")
        multi_label = {
            "hamming_loss": self.hamming_loss,
            "thresholds": dict(zip(names, self.thresholds or (), strict=False)),
            "without_class": None if self.without_class is None else asdict(self.without_class),
        }
        return {
            "texts": self.num_texts,
            "classes": len(self.per_class),
            **{name: getattr(self, name) for name in _FIGURES},
            **(multi_label if self.multi_label else {}),
            "accuracy_interval": list(self.accuracy_interval),
            "labels": list(names),
            "macro_leaves_out": [names[k] for k in self.unscored],
            "per_class": {name: asdict(one) for name, one in zip(names, self.per_class, strict=True)},
            "confusion_matrix": self.confusion_matrix.tolist(),
            "reliability": [asdict(one) for one in self.reliability],
        }


def score(y: Labels, proba: ArrayLike, *, multi_label: bool, threshold: ArrayLike = 0.5) -> Scores:
    """Score probabilities against the true labels.

    Parameters
    ----------
    y : ndarray of int, shape (n,), or csr_matrix, shape (n, num_classes)
        The class numbers, or (multi-label) an indicator matrix.
    proba : array-like of float, shape (n, num_classes)
    multi_label : bool
    threshold : float or array-like of float, shape (num_classes,), default=0.5
        Multi-label: the probability above which a class is predicted, for all classes or one per class.

    Raises
    ------
    InvalidInputError
        If there are no texts, shapes differ, a text has no label, or a probability is outside [0, 1].

    Examples
    --------
    >>> proba = np.array([[0.9, 0.1], [0.4, 0.6], [0.3, 0.7]], dtype=np.float32)
    >>> scores = score(np.array([0, 0, 1]), proba, multi_label=False)
    >>> round(scores.accuracy, 3), scores.confusion_matrix.tolist()
    (0.667, [[1, 1], [0, 1]])
    """
    # Thresholds are applied in the precision of the given probabilities, as in the classifier's own predict().
    given = np.asarray(proba)
    p = _checked_probabilities(given)
    _check_truth(y, p, multi_label)
    error = expected_calibration_error(p, y, bins=RELIABILITY_BINS)
    predicted = to_labels(given, multi_label, np.asarray(threshold).tolist())
    if is_multi_label(y) and is_multi_label(predicted):
        thresholds = np.broadcast_to(np.asarray(threshold, dtype=np.float64), p.shape[1])
        return _score_multi_label(y.toarray(), predicted.toarray(), p, error, tuple(thresholds.tolist()))
    return _score_single_label(np.asarray(y), np.asarray(predicted), p, error)


def wilson_interval(share: float, count: int) -> tuple[float, float]:
    """Return the 95% confidence interval of a share of `count` texts (Wilson, 1927).

    Unlike the normal approximation, it is within [0, 1], and has a width above zero for shares of 0 and 1.

    Examples
    --------
    >>> [round(bound, 3) for bound in wilson_interval(0.9, 50)]
    [0.786, 0.957]
    """
    z2 = _Z_95**2
    centre = (share + z2 / (2 * count)) / (1 + z2 / count)
    margin = _Z_95 / (1 + z2 / count) * math.sqrt(share * (1 - share) / count + z2 / (4 * count**2))
    return max(0.0, min(share, centre - margin)), min(1.0, max(share, centre + margin))


def reliability_bins(confidence: NDArray[np.float64], correct: NDArray[np.bool_]) -> tuple[ReliabilityBin, ...]:
    """Group predictions by their confidence; both arrays have shape (n,)."""
    edges = np.linspace(0, 1, RELIABILITY_BINS + 1)
    numbers = np.digitize(confidence, edges[1:-1], right=True)
    counts, confidences, hits = (
        np.bincount(numbers, weights=weights, minlength=RELIABILITY_BINS)
        for weights in (None, confidence, correct)
    )
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


def _score_single_label(
    y: NDArray[Any], predicted: NDArray[Any], p: NDArray[np.float64], calibration_error: float
) -> Scores:
    from sklearn import metrics

    num_classes = p.shape[1]
    labels = np.arange(max(num_classes, 2))  # scikit-learn needs at least two
    accuracy = float(metrics.accuracy_score(y, predicted))
    confusion = metrics.confusion_matrix(y, predicted, labels=labels)[:num_classes, :num_classes]
    per_class = _class_scores(y, predicted, labels[:num_classes], confusion.sum(axis=0))
    padded = np.pad(p, ((0, 0), (0, len(labels) - num_classes))).astype(np.float32)
    return Scores(
        multi_label=False,
        thresholds=None,
        num_texts=len(y),
        accuracy=accuracy,
        hamming_loss=None,
        macro_f1=_macro_f1(per_class),
        micro_f1=accuracy,
        log_loss=float(metrics.log_loss(y, padded, labels=labels)),
        zero_probability_truths=int((p[np.arange(len(y)), y] == 0).sum()),
        expected_calibration_error=calibration_error,
        brier=float(np.square(p - (y[:, None] == labels[:num_classes])).sum(axis=1).mean()),
        per_class=per_class,
        confusion_matrix=confusion,
        reliability=reliability_bins(p.max(axis=1), y == predicted),
    )


def _score_multi_label(
    truth: NDArray[np.int32],
    predicted: NDArray[np.int32],
    p: NDArray[np.float64],
    calibration_error: float,
    thresholds: tuple[float, ...],
) -> Scores:
    from sklearn import metrics

    labels = np.arange(p.shape[1])
    pairs, confidence = truth.ravel(), p.ravel()
    per_class = _class_scores(*_indicators(truth, predicted), labels, predicted.sum(axis=0))
    return Scores(
        multi_label=True,
        thresholds=thresholds,
        num_texts=len(truth),
        accuracy=float(metrics.accuracy_score(*_indicators(truth, predicted))),
        hamming_loss=float(metrics.zero_one_loss(pairs, predicted.ravel())),
        macro_f1=_macro_f1(per_class),
        micro_f1=_micro_f1(truth, predicted),
        log_loss=float(metrics.log_loss(pairs, confidence.astype(np.float32), labels=[0, 1])),
        zero_probability_truths=int((np.where(pairs, confidence, 1 - confidence) == 0).sum()),
        expected_calibration_error=calibration_error,
        brier=float(np.square(confidence - pairs).mean()),
        per_class=per_class,
        confusion_matrix=metrics.multilabel_confusion_matrix(*_indicators(truth, predicted), labels=labels),
        reliability=reliability_bins(confidence, pairs == 1),
        without_class=_without_class(truth, predicted, p),
    )


def _without_class(truth: NDArray[np.int32], predicted: NDArray[np.int32], p: NDArray[np.float64]) -> WithoutClass:
    rows = np.flatnonzero(predicted.sum(axis=1) == 0)
    filled = predicted.copy()
    filled[rows, p[rows].argmax(axis=1)] = 1
    classes = _class_scores(*_indicators(truth, filled), np.arange(p.shape[1]), filled.sum(axis=0))
    return WithoutClass(
        texts=len(rows),
        right=int((truth[rows].sum(axis=1) == 0).sum()),
        missed=int(truth[rows].sum()),
        micro_f1_with_top=_micro_f1(truth, filled),
        macro_f1_with_top=_macro_f1(classes),
    )


def _indicators(truth: NDArray[Any], predicted: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Add a column of zeros to a single column, which scikit-learn would treat as a single-label problem."""
    columns = ((0, 0), (0, int(truth.shape[1] == 1)))
    return np.pad(truth, columns), np.pad(predicted, columns)


def _class_scores(
    y: NDArray[Any], predicted: NDArray[Any], labels: NDArray[np.intp], predictions: NDArray[Any]
) -> tuple[ClassScores, ...]:
    from sklearn.metrics import precision_recall_fscore_support

    *rates, support = precision_recall_fscore_support(y, predicted, labels=labels, zero_division=0)
    counts = support.astype(int), predictions  # If no prediction is right, scikit-learn returns floats.
    return tuple(ClassScores(*one) for one in zip(*(each.tolist() for each in (*rates, *counts)), strict=True))


def _macro_f1(per_class: Sequence[ClassScores]) -> float:
    occurring = [one.f1 for one in per_class if one.support or one.predicted]
    return float(np.mean(occurring)) if occurring else 0.0


def _micro_f1(truth: NDArray[np.int32], predicted: NDArray[np.int32]) -> float:
    from sklearn.metrics import f1_score

    return float(f1_score(truth.ravel(), predicted.ravel(), zero_division=0))


def _checked_probabilities(proba: NDArray[Any]) -> NDArray[np.float64]:
    p = proba.astype(np.float64)
    if p.ndim != 2 or p.size == 0:
        raise InvalidInputError("proba", f"shape {p.shape}", "shape (n, num_classes) with at least one text")
    within = (p >= 0) & (p <= 1)
    if not within.all():
        row, column = np.argwhere(~within)[0]
        raise InvalidInputError("proba", f"{p[row, column]} at row {row}, column {column}", "numbers from 0 to 1")
    return p


def _check_truth(y: Labels, p: NDArray[np.float64], multi_label: bool) -> None:
    wanted = f"a csr_matrix of shape {p.shape}" if multi_label else f"an int array of shape {p.shape[:1]}"
    if is_multi_label(y) != multi_label:
        raise InvalidInputError("y", f"{type(y).__name__}", wanted, f"multi_label={multi_label} was given.")
    if y.shape != (p.shape if multi_label else p.shape[:1]):
        raise InvalidInputError("y", f"shape {y.shape}", wanted)
    marked = np.flatnonzero(marked_rows(y))
    if marked.size:
        raise InvalidInputError("y", f"no label at row {marked[0]}", "a label for every text")
    if not is_multi_label(y) and not 0 <= y.min() <= y.max() < p.shape[1]:
        outside = y.max() if y.max() >= p.shape[1] else y.min()
        raise InvalidInputError("y", f"the label {outside}", f"class numbers from 0 to {p.shape[1] - 1}")
