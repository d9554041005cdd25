"""How good probabilities are: the scores that `evaluate` prints, `train` saves and the report draws.

numpy is all that this needs. The definitions are scikit-learn's where it has one, and the tests compare them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from smalltext_cli.calibration import ReliabilityBin, expected_calibration_error, reliability_bins
from smalltext_core.errors import InvalidInputError
from smalltext_core.labels import Labels, is_multi_label, marked_rows
from smalltext_core.probabilities import to_labels
from smalltext_core.validation import check_threshold

SMALLEST_PROBABILITY = float(np.finfo(np.float32).eps)
"""What the log loss counts a smaller probability of the truth as; scikit-learn does the same for float32."""

_Z_95 = 1.959963984540054  # the 97.5 % quantile of the normal distribution


@dataclass(frozen=True)
class ClassScores:
    """How well one class is told from the others.

    A quotient without a denominator is 0.0: the precision of a class that was never predicted, the recall of
    one without texts. `support` and `predicted` tell which it is.

    Parameters
    ----------
    precision, recall, f1 : float
    support : int
        How many texts have this class.
    predicted : int
        How many texts were given this class.
    """

    precision: float
    recall: float
    f1: float
    support: int
    predicted: int


@dataclass(frozen=True)
class Scores:
    """What `score` found.

    Parameters
    ----------
    multi_label : bool
    threshold : float or None
        Multi-label: above which probability a class applies.
    num_texts : int
    accuracy : float
        The share of texts whose class is right; multi-label: whose classes are all right and no other.
    hamming_loss : float or None
        Multi-label: the share of wrong decisions among all pairs of a text and a class.
    macro_f1 : float
        The mean F1 of the classes that occur in the truth or in the predictions, like scikit-learn's
        ``f1_score(average="macro", zero_division=nan)``.
    micro_f1 : float
        The F1 of all decisions together; single-label: the accuracy.
    log_loss : float
        The mean of -log p(truth); multi-label: over all pairs of a text and a class. A probability of the truth
        below `SMALLEST_PROBABILITY` counts as that, so that one of zero costs 15.9 and not infinity.
    zero_probability_truths : int
        How often the truth had been given a probability of exactly zero.
    expected_calibration_error : float
        Guo et al. (2017): the mean distance of confidence and accuracy over `reliability`, weighted by count.
    brier : float
        The mean over texts of the squared distance to the truth, summed over the classes, 0 to 2 (Brier, 1950;
        for two classes, twice what scikit-learn says by default); multi-label: the mean over all pairs, 0 to 1.
    per_class : tuple of ClassScores
        In the order of the class numbers.
    confusion_matrix : ndarray of int64
        Single-label: shape (C, C), rows the truth and columns the prediction. Multi-label: shape (C, 2, 2), for
        each class [[true negatives, false positives], [false negatives, true positives]].
    reliability : tuple of ReliabilityBin
        Single-label: the confidence is the probability of the predicted class, and
        the accuracy how often it was right. Multi-label: the confidence is each probability of each class, and
        the accuracy how often the class applied.
    """

    multi_label: bool
    threshold: float | None
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

    @property
    def accuracy_interval(self) -> tuple[float, float]:
        """The 95 % confidence interval of the accuracy, after Wilson (1927)."""
        return wilson_interval(self.accuracy, self.num_texts)

    def as_dict(self, names: Sequence[str]) -> dict[str, Any]:
        """Return the scores as what JSON can hold, without NaN.

        Parameters
        ----------
        names : sequence of str
            What the classes are called, in the order of their numbers.

        Returns
        -------
        dict
            ``per_class`` is keyed by name; ``labels`` is the order of the rows of ``confusion_matrix``.

        Raises
        ------
        InvalidInputError
            If there are not as many names as classes.
        """
        if len(names) != len(self.per_class):
            raise InvalidInputError("names", f"{len(names)} names", f"{len(self.per_class)}, one a class")
        only_multi_label = {"threshold": self.threshold, "hamming_loss": self.hamming_loss}
        return {
            "texts": self.num_texts,
            "classes": len(self.per_class),
            "multi_label": self.multi_label,
            "accuracy": self.accuracy,
            "accuracy_interval": list(self.accuracy_interval),
            "macro_f1": self.macro_f1,
            "micro_f1": self.micro_f1,
            "log_loss": self.log_loss,
            "zero_probability_truths": self.zero_probability_truths,
            "expected_calibration_error": self.expected_calibration_error,
            "brier": self.brier,
            **(only_multi_label if self.multi_label else {}),
            "labels": list(names),
            "per_class": {name: asdict(one) for name, one in zip(names, self.per_class, strict=True)},
            "confusion_matrix": self.confusion_matrix.tolist(),
            "reliability": [asdict(one) for one in self.reliability],
        }


def score(y: Labels, proba: ArrayLike, *, multi_label: bool, threshold: float = 0.5) -> Scores:
    """Compare probabilities with the truth.

    Parameters
    ----------
    y : ndarray of int, shape (n,), or csr_matrix, shape (n, num_classes)
        The truth: a class number for each text, or (multi-label) a matrix of ones.
    proba : array-like of float, shape (n, num_classes)
        Column k is class k.
    multi_label : bool
        Whether several classes, or none, may apply to a text.
    threshold : float, default=0.5
        Multi-label: above which probability a class applies.

    Returns
    -------
    Scores

    Raises
    ------
    InvalidInputError
        If there are no texts, shapes differ, a text has no label, or a probability is none.

    References
    ----------
    Brier (1950). Verification of Forecasts Expressed in Terms of Probability. Monthly Weather Review 78.

    Examples
    --------
    >>> proba = np.array([[0.9, 0.1], [0.4, 0.6], [0.3, 0.7]], dtype=np.float32)
    >>> scores = score(np.array([0, 0, 1]), proba, multi_label=False)
    >>> round(scores.accuracy, 3), scores.confusion_matrix.tolist()
    (0.667, [[1, 1], [0, 1]])
    """
    # Decided in the precision that the probabilities came in, as the classifier's own predict() does.
    given = np.asarray(proba)
    p = _checked_probabilities(given)
    _check_truth(y, p, multi_label)
    predicted = to_labels(given, multi_label, check_threshold(threshold))
    if is_multi_label(y) and is_multi_label(predicted):
        return _score_multi_label(y.toarray() == 1, predicted.toarray() == 1, p, threshold)
    return _score_single_label(np.asarray(y), np.asarray(predicted), p)


def wilson_interval(share: float, count: int) -> tuple[float, float]:
    """Return the 95 % confidence interval of a share of `count` texts (Wilson, 1927).

    Unlike the textbook interval it stays within [0, 1] and does not shrink to a point at 0 and 1.

    Examples
    --------
    >>> [round(bound, 3) for bound in wilson_interval(0.9, 50)]
    [0.786, 0.957]
    """
    z2 = _Z_95**2
    centre = (share + z2 / (2 * count)) / (1 + z2 / count)
    margin = _Z_95 / (1 + z2 / count) * math.sqrt(share * (1 - share) / count + z2 / (4 * count**2))
    return max(0.0, min(share, centre - margin)), min(1.0, max(share, centre + margin))


def _score_single_label(y: NDArray[Any], predicted: NDArray[Any], p: NDArray[np.float64]) -> Scores:
    count, num_classes = p.shape
    confusion = np.zeros((num_classes, num_classes), dtype=np.int64)
    np.add.at(confusion, (y, predicted), 1)
    per_class = _class_scores(np.diag(confusion), confusion.sum(axis=1), confusion.sum(axis=0))
    truth = p[np.arange(count), y]
    distances = (p**2).sum(axis=1) - truth**2 + (1 - truth) ** 2
    reliability = reliability_bins(p.max(axis=1), predicted == y)
    accuracy = float(np.mean(predicted == y))
    return Scores(
        multi_label=False,
        threshold=None,
        num_texts=count,
        accuracy=accuracy,
        hamming_loss=None,
        macro_f1=_macro_f1(per_class),
        micro_f1=accuracy,
        log_loss=_log_loss(truth),
        zero_probability_truths=int((truth == 0).sum()),
        expected_calibration_error=expected_calibration_error(reliability),
        brier=float(distances.mean()),
        per_class=per_class,
        confusion_matrix=confusion,
        reliability=reliability,
    )


def _score_multi_label(
    y: NDArray[np.bool_], predicted: NDArray[np.bool_], p: NDArray[np.float64], threshold: float
) -> Scores:
    hits, supports, predictions = (y & predicted).sum(axis=0), y.sum(axis=0), predicted.sum(axis=0)
    false_positives, false_negatives = predictions - hits, supports - hits
    true_negatives = len(y) - supports - false_positives
    cells = np.array([[true_negatives, false_positives], [false_negatives, hits]], dtype=np.int64)
    per_class = _class_scores(hits, supports, predictions)
    truth = np.where(y, p, 1 - p)
    reliability = reliability_bins(p.ravel(), y.ravel())
    return Scores(
        multi_label=True,
        threshold=threshold,
        num_texts=len(y),
        accuracy=float((y == predicted).all(axis=1).mean()),
        hamming_loss=float((y != predicted).mean()),
        macro_f1=_macro_f1(per_class),
        micro_f1=_class_scores(hits.sum(), supports.sum(), predictions.sum())[0].f1,
        log_loss=_log_loss(truth),
        zero_probability_truths=int((truth == 0).sum()),
        expected_calibration_error=expected_calibration_error(reliability),
        brier=float(((p - y) ** 2).mean()),
        per_class=per_class,
        confusion_matrix=cells.transpose(2, 0, 1),
        reliability=reliability,
    )


def _class_scores(hits: Any, supports: Any, predictions: Any) -> tuple[ClassScores, ...]:
    """Precision, recall and F1 from counts, one entry a class."""
    counts = zip(*(np.atleast_1d(each).tolist() for each in (hits, supports, predictions)), strict=True)
    return tuple(
        ClassScores(
            precision=_quotient(hit, predicted),
            recall=_quotient(hit, support),
            f1=_quotient(2 * hit, support + predicted),
            support=support,
            predicted=predicted,
        )
        for hit, support, predicted in counts
    )


def _quotient(numerator: int, denominator: int) -> float:
    return numerator / denominator if denominator else 0.0


def _macro_f1(per_class: tuple[ClassScores, ...]) -> float:
    occurring = [one.f1 for one in per_class if one.support or one.predicted]
    return float(np.mean(occurring)) if occurring else 0.0


def _log_loss(truth: NDArray[np.float64]) -> float:
    return float(-np.log(np.clip(truth, SMALLEST_PROBABILITY, 1)).mean())


def _checked_probabilities(proba: NDArray[Any]) -> NDArray[np.float64]:
    p = proba.astype(np.float64)
    if p.ndim != 2 or p.size == 0:
        raise InvalidInputError("proba", f"shape {p.shape}", "shape (n, num_classes) with at least one text")
    sound = (p >= 0) & (p <= 1)
    if not sound.all():
        row, column = np.argwhere(~sound)[0]
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
        strange = y.max() if y.max() >= p.shape[1] else y.min()
        raise InvalidInputError("y", f"the label {strange}", f"class numbers from 0 to {p.shape[1] - 1}")
