"""The linear head: logistic regression on unit vectors, its regularisation chosen by cross-validation.

The loss is that of scikit-learn's LogisticRegression,
``0.5 * sum(coefficients**2) + C * sum(weights * losses)``, with an intercept that is not regularised. It is
minimised here, since all classes of a multi-label problem are then fitted at once, several C share their starting
points, and neither training nor loading imports scikit-learn.

The logits that cross-validation gives for held-out texts choose C, calibrate the probabilities, and choose the
thresholds of a multi-label problem.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast

import numpy as np
import scipy
from numpy.typing import NDArray

from smalltext_core.calibration import probabilities_of
from smalltext_core.conversion import is_number
from smalltext_core.errors import InvalidInputError
from smalltext_core.labels import Labels, is_multi_label
from smalltext_core.messages import one_line, shown
from smalltext_core.probabilities import Probabilities, choose_thresholds, empty_probabilities

if TYPE_CHECKING:
    from sklearn.linear_model import LogisticRegression

    from smalltext_core.calibration import Calibration

Floats: TypeAlias = "NDArray[np.float64]"
HeadChoice: TypeAlias = "float | Literal['auto'] | LogisticRegression"
"""How a head is fitted: C, "auto" for cross-validation, or an estimator of scikit-learn."""

GRID = (1.0, 3.0, 10.0, 30.0, 100.0)
"""The values of C among which cross-validation chooses."""

FIXED_C = 10.0
"""The C where there are too few texts for cross-validation."""

_SD_OF_LOG_C = 2.3
"""A normal prior around `FIXED_C` decides where a few held-out texts do not."""

_FOLDS = 5
_LEAST_TEXTS = 3
_MOST_TEXTS = 5000
"""Cross-validation takes a sample of larger training sets."""


@dataclass(frozen=True)
class Head:
    """A fitted head."""

    coefficients: NDArray[np.float32]
    """Shape (dimensions, num_classes); zeros for a class without a text."""
    intercepts: NDArray[np.float32]
    """-inf for a class without a text, inf for a class that applies to all texts of a multi-label problem."""
    C: float | None
    """None if the head was fitted by an estimator that the caller gave."""
    calibration: Calibration | None = None
    thresholds: Floats | None = None
    """Those of a multi-label problem, where they were chosen on held-out texts."""

    def logits(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the logits of texts, shape (n, num_classes); the vectors have shape (n, dimensions)."""
        return vectors @ self.coefficients + self.intercepts

    def probabilities(self, vectors: NDArray[np.float32], multi_label: bool) -> Probabilities:
        """Return the calibrated probabilities of texts, shape (n, num_classes)."""
        if len(vectors) == 0:
            return empty_probabilities(len(self.intercepts))
        logits = self.logits(vectors)
        return np.asarray(_calibrated(logits, self.calibration, multi_label), dtype=np.float32)


@dataclass(frozen=True)
class Problem:
    """What a head is fitted to."""

    vectors: NDArray[np.float32]
    y: Labels
    num_classes: int
    weights: Floats | None = None
    weight_of_class: Floats | None = None
    """Single-label: the weight of a text of each class. Multi-label: that of a text that the class applies to."""

    @property
    def multi_label(self) -> bool:
        return is_multi_label(self.y)

    def rows(self, selected: NDArray[Any]) -> Problem:
        """Return the problem of some of the texts."""
        weights = None if self.weights is None else self.weights[selected]
        return replace(self, vectors=self.vectors[selected], y=self.y[selected], weights=weights)


def check_head(head: object) -> HeadChoice:
    """Return how a head is fitted, or raise InvalidInputError."""
    if isinstance(head, str) and head == "auto":
        return "auto"
    kind = type(head)
    if kind.__name__ != "LogisticRegression" or not kind.__module__.startswith("sklearn."):
        if is_number(head) and 0 < head < np.inf:
            return float(head)
        allowed = "'auto', the C of a logistic regression (above 0), or a LogisticRegression of scikit-learn"
        raise InvalidInputError("head", shown(head), allowed)
    estimator: Any = head
    from sklearn.base import clone

    several = estimator.solver == "liblinear" or getattr(estimator, "multi_class", None) == "ovr"
    if several or estimator.class_weight is not None or not isinstance(estimator.random_state, (int, type(None))):
        allowed = "one that fits all classes at once, without class_weight, and with an int as random_state"
        raise InvalidInputError("head", shown(head), allowed, "Class weights are class_weight=... beside it.")
    try:
        tried = clone(estimator)
        tried.max_iter = min(tried.max_iter, 2)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tried.fit([[0.0], [1.0]], [0, 1])
    except Exception as error:  # scikit-learn checks parameters in fit
        allowed = "one whose parameters scikit-learn accepts"
        raise InvalidInputError("head", shown(head), allowed, f"{one_line(str(error))}.") from error
    return cast("LogisticRegression", estimator)


def with_described(y: Labels, numbers: list[int], num_classes: int, multi_label: bool) -> Labels:
    """Append the class numbers of descriptions to labels."""
    if not multi_label:
        return np.append(np.asarray(y, dtype=np.int64), numbers)
    ones = np.ones(len(numbers), dtype=np.int32)
    rows = scipy.sparse.csr_matrix((ones, (range(len(numbers)), numbers)), shape=(len(numbers), num_classes))
    return rows if y.shape[0] == 0 or y.ndim == 1 else scipy.sparse.vstack([y, rows], format="csr", dtype=np.int32)


def fit_head(
    problem: Problem,
    head: HeadChoice,
    *,
    calibrate: bool,
    choose_threshold: bool,
    rng: np.random.Generator,
    start: Head | None = None,
) -> Head:
    """Fit a head, from the coefficients of a former one if there is one."""
    calibration = thresholds = folds = initial = None
    chosen = FIXED_C if isinstance(head, str) else head
    if isinstance(head, str) or calibrate or choose_threshold:
        sample = problem
        if len(problem.vectors) > _MOST_TEXTS:
            sample = problem.rows(np.sort(rng.permutation(len(problem.vectors))[:_MOST_TEXTS]))
        folds = _folds(sample.y, rng)
    if folds is not None:
        chosen, logits, fitted = _cross_validated(sample, GRID if isinstance(head, str) else (chosen,), folds)
        calibration = fitted if calibrate else None
        if choose_threshold:
            thresholds = choose_thresholds(
                _calibrated(logits, calibration, multi_label=True), sample.y, sample.weights
            )
    if start is not None and len(start.coefficients) == problem.vectors.shape[1]:
        initial = np.zeros((len(start.coefficients) + 1, problem.num_classes))
        finite = np.where(np.isfinite(start.intercepts), start.intercepts, 0.0)
        initial[:, : len(finite)] = np.vstack([start.coefficients, finite])
    coefficients, intercepts = _fit(problem, chosen, initial)
    C = chosen if isinstance(chosen, float) else None
    return Head(coefficients.astype(np.float32), intercepts.astype(np.float32), C, calibration, thresholds)


def _folds(y: Labels, rng: np.random.Generator) -> NDArray[np.intp] | None:
    """Return the fold of each text, or None if most texts are of classes that are too small to be divided."""
    from smalltext_core.calibration import stratified_folds

    if is_multi_label(y):
        counts = np.asarray((y.toarray() > 0).sum(axis=0))
        enough = y.shape[0] >= 2 * _LEAST_TEXTS and (counts >= _LEAST_TEXTS).any()
        return stratified_folds(y, min(_FOLDS, y.shape[0] // _LEAST_TEXTS), rng) if enough else None
    counts = np.bincount(y)
    large = counts[counts >= _LEAST_TEXTS]
    if len(large) < 2 or large.sum() < 0.8 * len(y):
        return None
    return stratified_folds(y, int(min(_FOLDS, large.min())), rng)


def _cross_validated(
    problem: Problem, grid: tuple[Any, ...], folds: NDArray[np.intp]
) -> tuple[Any, Floats, Calibration]:
    """Return the C with the least calibrated loss on held-out texts, the logits of these, and the calibration."""
    from smalltext_core.calibration import fit_logistic, fit_temperature

    held_out = np.empty((len(grid), len(folds), problem.num_classes))
    for fold in np.unique(folds):
        training = problem.rows(folds != fold)
        tested = problem.vectors[folds == fold]
        start = None
        for number, C in enumerate(grid):
            coefficients, intercepts = _fit(training, C, start, tolerance=1e-4)
            held_out[number, folds == fold] = tested @ coefficients + intercepts
            start = np.vstack([coefficients, np.where(np.isfinite(intercepts), intercepts, 0.0)])
    fit_calibration = fit_logistic if problem.multi_label else fit_temperature
    weights = _text_weights(problem)
    fitted = [fit_calibration(logits, problem.y, weights) for logits in held_out]
    losses = [np.inf if one.log_loss is None else one.n_texts * one.log_loss[1] for one in fitted]
    if problem.multi_label:  # a mean over the classes, each of which is a problem
        losses = [problem.num_classes * loss for loss in losses]
    if len(grid) > 1:
        losses += 0.5 * (np.log(np.array(grid) / FIXED_C) / _SD_OF_LOG_C) ** 2
    best = int(np.argmin(losses))
    return grid[best], held_out[best], fitted[best]


def _text_weights(problem: Problem) -> Floats | None:
    """Return how much each text counts for the calibration; class weights change the frequencies on purpose."""
    if problem.multi_label or problem.weight_of_class is None:
        return problem.weights
    of_class: Floats = problem.weight_of_class[problem.y]
    return of_class if problem.weights is None else of_class * problem.weights


def _calibrated(logits: NDArray[Any], calibration: Calibration | None, multi_label: bool) -> Floats:
    return probabilities_of(logits, multi_label) if calibration is None else calibration.probabilities(logits)


def _fit(
    problem: Problem, C: float | LogisticRegression, start: Floats | None = None, tolerance: float = 1e-7
) -> tuple[Floats, Floats]:
    """Return coefficients, shape (dimensions, num_classes), and intercepts."""
    targets, weights = _targets(problem)
    count = weights.T @ targets if not problem.multi_label else (weights * targets).sum(axis=0)
    total = weights.sum(axis=0)
    empty, full = count == 0, problem.multi_label & (count == total)
    learned = np.flatnonzero(~(empty | full))
    intercepts = np.where(full, np.inf, np.where(empty, -np.inf, 0.0))
    coefficients = np.zeros((problem.vectors.shape[1], problem.num_classes))
    if len(learned) == 0 or (len(learned) == 1 and not problem.multi_label):
        intercepts[learned] = 0.0
        return coefficients, intercepts
    vectors = problem.vectors.astype(np.float64)
    if not isinstance(C, float):
        of_each = weights[:, learned] if problem.multi_label else weights
        found = _fitted_by(C, vectors, targets[:, learned], of_each, problem.multi_label)
        coefficients[:, learned], intercepts[learned] = found[:-1], found[-1]
        return coefficients, intercepts
    basis = None
    if len(vectors) < vectors.shape[1]:  # the coefficients are combinations of the vectors: fewer numbers to find
        basis, triangle = np.linalg.qr(vectors.T)
        vectors = triangle.T
    initial = np.zeros((vectors.shape[1] + 1, len(learned)))
    if start is not None:
        initial[:-1] = start[:-1, learned] if basis is None else basis.T @ start[:-1, learned]
        initial[-1] = start[-1, learned]
    of_each = weights[:, learned] if problem.multi_label else weights[:, None]
    found = _minimised(vectors, targets[:, learned], of_each, C, initial, problem.multi_label, tolerance)
    coefficients[:, learned] = found[:-1] if basis is None else basis @ found[:-1]
    intercepts[learned] = found[-1]
    return coefficients, intercepts


def _fitted_by(estimator: Any, vectors: Floats, targets: Floats, weights: Floats, multi_label: bool) -> Floats:
    """Return coefficients, and in the last row intercepts, that an estimator of scikit-learn finds."""
    from sklearn.base import clone

    def fitted(y: NDArray[Any], w: Floats) -> Floats:
        copy = clone(estimator)
        if copy.random_state is None:
            copy.set_params(random_state=0)  # not from the global generator
        copy.fit(vectors, y, sample_weight=w)
        return np.vstack([copy.coef_.T, copy.intercept_])

    if multi_label:
        return np.hstack([fitted(y, w) for y, w in zip(targets.T, weights.T, strict=True)])
    found = fitted(targets.argmax(axis=1), weights)
    return found if found.shape[1] > 1 else np.hstack([np.zeros_like(found), found])


def _targets(problem: Problem) -> tuple[Floats, Floats]:
    """Return targets, shape (n, num_classes), and weights, shape (n,) or (multi-label) (n, num_classes)."""
    texts = np.ones(len(problem.vectors)) if problem.weights is None else problem.weights
    if not problem.multi_label:
        of_class = problem.weight_of_class
        weights = texts if of_class is None else texts * of_class[problem.y]
        return np.eye(problem.num_classes)[problem.y], weights
    y: Any = problem.y
    targets = np.asarray(y.toarray() > 0, dtype=np.float64)
    if problem.weight_of_class is None:
        return targets, np.repeat(texts[:, None], problem.num_classes, axis=1)
    return targets, texts[:, None] * np.where(targets > 0, problem.weight_of_class, 1.0)


def _minimised(
    vectors: Floats,
    targets: Floats,
    weights: Floats,
    C: float,
    start: Floats,
    multi_label: bool,
    tolerance: float,
) -> Floats:
    """Return coefficients, and in the last row intercepts, for the least loss."""
    scale = 1.0 / (C * weights.sum()) * weights.shape[1]
    shares = C * scale * weights

    def loss(flat: Floats) -> tuple[float, Floats]:
        found = flat.reshape(start.shape)
        logits = vectors @ found[:-1] + found[-1]
        if multi_label:
            value = float((shares * (np.logaddexp(0.0, logits) - targets * logits)).sum())
            residuals = shares * (scipy.special.expit(logits) - targets)
        else:
            logarithms = scipy.special.log_softmax(logits, axis=1)
            value = -float((shares * targets * logarithms).sum())
            residuals = shares * (np.exp(logarithms) - targets)
        gradient = np.vstack([vectors.T @ residuals + scale * found[:-1], residuals.sum(axis=0)])
        return value + 0.5 * scale * float((found[:-1] ** 2).sum()), gradient.ravel()

    options = {"maxiter": 1000, "gtol": tolerance, "ftol": 1e-3 * tolerance**1.5, "maxcor": 20}
    result = scipy.optimize.minimize(loss, start.ravel(), jac=True, method="L-BFGS-B", options=options)
    minimum: Floats = result.x.reshape(start.shape)
    return minimum
