"""The linear head: logistic regression on unit vectors, with the regularisation chosen by cross-validation.

The loss is that of scikit-learn's LogisticRegression, ``0.5 * sum(coefficients**2) + C * sum(weights * losses)``,
with an intercept that is not regularised. It is minimised here rather than by scikit-learn, so that all classes of
a multi-label problem are fitted at once, each C starts from the solution of the one before it, and neither
training nor loading imports scikit-learn.

The out-of-fold logits from cross-validation are used to choose C, to calibrate the probabilities, and to choose
the thresholds of a multi-label problem.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast

import numpy as np
import scipy
from numpy.typing import NDArray

from smalltext_core.calibration import (
    Calibration,
    fit_logistic,
    fit_temperature,
    probabilities_of,
    stratified_folds,
)
from smalltext_core.conversion import is_number
from smalltext_core.errors import InvalidInputError
from smalltext_core.labels import Labels, is_multi_label
from smalltext_core.messages import one_line, shown
from smalltext_core.probabilities import Probabilities, choose_thresholds, empty_probabilities

if TYPE_CHECKING:
    from sklearn.linear_model import LogisticRegression

Floats: TypeAlias = "NDArray[np.float64]"
Matrix: TypeAlias = "NDArray[np.float32] | Floats"
HeadChoice: TypeAlias = "float | Literal['auto'] | LogisticRegression"
"""How a head is fitted: with a given C, with "auto" for cross-validation, or by a scikit-learn estimator."""

GRID = (1.0, 3.0, 10.0, 30.0, 100.0)
"""The values of C that cross-validation chooses from."""

FIXED_C = 10.0
"""The C used if there are too few texts for cross-validation."""

_SD_OF_LOG_C = 2.3
"""The standard deviation of a normal prior on log(C) around `FIXED_C`, which dominates if there are few texts."""

_PRIOR_SD, _PRIOR_SD_OF_FEW, _FEW_TEXTS = 0.3, 0.25, 40
"""The standard deviation of the prior on the log temperature, in general and with few texts (decision 35)."""

_DIRECTION_VARIANCE = 40.0
"""The prior variance of coefficients along the directions in total, in addition to 1 everywhere (decision 56)."""

_LOG_ODDS = 1.0
"""By how much the loss on held-out texts must be lower if the directions are to be ignored."""

_FOLDS = 5
_MIN_CLASS_TEXTS = 3
_MAX_CV_TEXTS = 5000
"""Cross-validation uses a sample of training sets larger than this."""


@dataclass(frozen=True)
class Head:
    """A fitted head."""

    coefficients: NDArray[np.float32]
    """Shape (dimensions, num_classes); zeros for a class without a text."""
    intercepts: NDArray[np.float32]
    """-inf for a class without a text, inf for a class that applies to all texts of a multi-label problem."""
    C: float | None
    """None if the head was fitted by an estimator passed by the caller."""
    calibration: Calibration | None = None
    thresholds: Floats | None = None
    """The thresholds of a multi-label problem, if they were chosen on held-out texts."""

    def logits(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the logits of texts, shape (n, num_classes); the vectors have shape (n, dimensions)."""
        return vectors @ self.coefficients + self.intercepts

    def probabilities(self, vectors: NDArray[np.float32], multi_label: bool) -> Probabilities:
        """Return the calibrated probabilities of texts, shape (n, num_classes)."""
        if len(vectors) == 0:
            return empty_probabilities(len(self.intercepts))
        return np.asarray(_calibrated(self.logits(vectors), self.calibration, multi_label), dtype=np.float32)


@dataclass(frozen=True)
class Problem:
    """The training data and weights that a head is fitted to."""

    vectors: Matrix
    y: Labels
    num_classes: int
    weights: Floats | None = None
    weight_of_class: Floats | None = None
    """The class weights. In a multi-label problem, they apply to the texts that the class applies to."""

    @property
    def multi_label(self) -> bool:
        return is_multi_label(self.y)

    @property
    def text_weights(self) -> Floats:
        """The weight of each text, shape (n,), multiplied by that of its class in a single-label problem."""
        weights = np.ones(len(self.vectors)) if self.weights is None else self.weights
        if self.multi_label or self.weight_of_class is None:
            return weights
        return np.asarray(weights * self.weight_of_class[self.y])

    def rows(self, selected: NDArray[Any]) -> Problem:
        """Return the problem of some of the texts."""
        weights = None if self.weights is None else self.weights[selected]
        return replace(self, vectors=self.vectors[selected], y=self.y[selected], weights=weights)


def check_head(head: object) -> HeadChoice:
    """Return how a head is fitted, or raise InvalidInputError."""
    if isinstance(head, str) and head == "auto":
        return "auto"
    if is_number(head) and 0 < head < np.inf:
        return float(head)
    estimator: Any = head
    if type(head).__name__ != "LogisticRegression" or not type(head).__module__.startswith("sklearn."):
        allowed = "'auto', the C of a logistic regression (above 0), or a LogisticRegression of scikit-learn"
        raise InvalidInputError("head", shown(head), allowed)
    from sklearn.base import clone

    several = estimator.solver == "liblinear" or getattr(estimator, "multi_class", None) == "ovr"
    if several or estimator.class_weight is not None or not isinstance(estimator.random_state, (int, type(None))):
        allowed = "one that fits all classes at once, without class_weight, and with an int as random_state"
        raise InvalidInputError("head", shown(head), allowed, "Pass class weights as class_weight=... instead.")
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


def with_descriptions(y: Labels, numbers: list[int], num_classes: int, multi_label: bool) -> Labels:
    """Append the class numbers of class descriptions to labels."""
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
    directions: Matrix | None = None,
) -> Head:
    """Fit a head.

    The coefficients have a larger prior variance along the directions, unless cross-validation with `FIXED_C` is
    better without. C is then chosen for this prior only.
    """
    calibration = thresholds = None
    chosen, space = FIXED_C if isinstance(head, str) else head, 0
    priors = (None,) if directions is None else (directions, None)
    spaces = [_space(problem.vectors, prior, reduce=isinstance(head, str | float)) for prior in priors]
    if isinstance(head, str) or calibrate or choose_threshold:
        rows = np.sort(rng.permutation(len(problem.vectors))[:_MAX_CV_TEXTS])
        sample = problem.rows(rows)
        if (folds := _folds(sample.y, rng)) is not None:
            grid = GRID if isinstance(head, str) else (chosen,)
            samples = [replace(sample, vectors=one[rows]) for one, _ in spaces]
            if len(samples) > 1:
                losses = [_cross_validated(one, (FIXED_C,), folds)[-1] for one in samples]
                space = int(losses[1] + _LOG_ODDS < losses[0])
            chosen, logits, fitted, _ = _cross_validated(samples[space], grid, folds)
            calibration = fitted if calibrate else None
            if choose_threshold:
                proba = _calibrated(logits, calibration, multi_label=True)
                thresholds = choose_thresholds(proba, sample.y, sample.weights)
    vectors, matrix = spaces[space]
    coordinates = _fit(replace(problem, vectors=vectors), chosen)
    coefficients = coordinates[:-1] if matrix is None else matrix @ coordinates[:-1]
    C = chosen if isinstance(chosen, float) else None
    return Head(coefficients.astype(np.float32), coordinates[-1].astype(np.float32), C, calibration, thresholds)


def _space(vectors: Matrix, directions: Matrix | None, *, reduce: bool) -> tuple[Matrix, Floats | None]:
    """Return vectors in a space in which the prior is equal in all directions, and the map back to coefficients.

    If `reduce`, the space has no more dimensions than there are vectors. The map is None if nothing is changed.
    """
    matrix = None
    if directions is not None:
        _, lengths, axes = np.linalg.svd(directions / np.sqrt(len(directions)), full_matrices=False)
        scales = np.sqrt(1.0 + _DIRECTION_VARIANCE * lengths**2)
        matrix = np.eye(vectors.shape[1]) + (axes.T * (scales - 1.0)) @ axes
        vectors = vectors @ matrix
    if reduce and len(vectors) < vectors.shape[1]:
        # The coefficients are linear combinations of the vectors, so in a basis of the vectors there are fewer of
        # them to fit.
        basis, triangle = np.linalg.qr(vectors.T.astype(np.float64))
        vectors, matrix = triangle.T, basis if matrix is None else matrix @ basis
    return vectors, matrix


def _folds(y: Labels, rng: np.random.Generator) -> NDArray[np.intp] | None:
    """Return the fold of each text, or None if most texts belong to classes that are too small to be split."""
    counts = np.asarray((y.toarray() > 0).sum(axis=0)) if is_multi_label(y) else np.bincount(y)
    large = counts[counts >= _MIN_CLASS_TEXTS]
    if is_multi_label(y):
        enough, most = y.shape[0] >= 2 * _MIN_CLASS_TEXTS and len(large) > 0, y.shape[0] // _MIN_CLASS_TEXTS
    else:
        enough, most = len(large) > 1 and large.sum() >= 0.8 * len(y), large.min(initial=_FOLDS)
    return stratified_folds(y, int(min(_FOLDS, most)), rng) if enough else None


def _cross_validated(
    problem: Problem, grid: tuple[Any, ...], folds: NDArray[np.intp]
) -> tuple[Any, Floats, Calibration, float]:
    """Return the C with the lowest loss on held-out texts, their logits, the calibration, and this loss."""
    held_out = np.empty((len(grid), len(folds), problem.num_classes))
    for fold in np.unique(folds):
        training, tested, start = problem.rows(folds != fold), problem.vectors[folds == fold], None
        for number, C in enumerate(grid):
            start = _fit(training, C, start, tolerance=1e-4)
            held_out[number, folds == fold] = tested @ start[:-1] + start[-1]
    prior = {} if problem.multi_label else {"prior_sd": _PRIOR_SD_OF_FEW if len(folds) < _FEW_TEXTS else _PRIOR_SD}
    fit_calibration: Any = fit_logistic if problem.multi_label else fit_temperature
    weights = _targets(problem)[1] if problem.multi_label else problem.text_weights
    fitted = [fit_calibration(logits, problem.y, weights, **prior) for logits in held_out]
    terms = problem.num_classes if problem.multi_label else 1  # per text: the log loss is a mean over them
    losses = [np.inf if one.log_loss is None else terms * one.n_texts * one.log_loss[1] for one in fitted]
    if len(grid) > 1:
        losses += 0.5 * (np.log(np.array(grid) / FIXED_C) / _SD_OF_LOG_C) ** 2
    best = int(np.argmin(losses))
    return grid[best], held_out[best], fitted[best], losses[best]


def _calibrated(logits: NDArray[Any], calibration: Calibration | None, multi_label: bool) -> Floats:
    return probabilities_of(logits, multi_label) if calibration is None else calibration.probabilities(logits)


def _fit(
    problem: Problem, C: float | LogisticRegression, start: Floats | None = None, tolerance: float = 1e-7
) -> Floats:
    """Return the fitted coefficients, with intercepts in the last row, shape (dimensions + 1, num_classes)."""
    targets, weights = _targets(problem)
    count = (weights * targets).sum(axis=0)
    full = problem.multi_label & (count == weights.sum(axis=0))
    found = np.zeros((problem.vectors.shape[1] + 1, problem.num_classes))
    found[-1] = np.where(full, np.inf, np.where(count == 0, -np.inf, 0.0))
    learned = np.flatnonzero(np.isfinite(found[-1]))
    if len(learned) == 0 or (len(learned) == 1 and not problem.multi_label):
        return found
    vectors, targets, weights = problem.vectors.astype(np.float64), targets[:, learned], weights[:, learned]
    if not isinstance(C, float):
        found[:, learned] = _fitted_by(C, vectors, targets, weights, problem.multi_label)
        return found
    start = np.zeros_like(found) if start is None else np.where(np.isfinite(start), start, 0.0)
    found[:, learned] = _minimised(vectors, targets, weights, C, start[:, learned], problem.multi_label, tolerance)
    return found


def _fitted_by(estimator: Any, vectors: Floats, targets: Floats, weights: Floats, multi_label: bool) -> Floats:
    """Return the coefficients that a scikit-learn estimator finds, with intercepts in the last row."""
    from sklearn.base import clone

    def fitted(y: NDArray[Any], w: Floats) -> Floats:
        with warnings.catch_warnings():
            # Labels are classes, however few texts each class has; and None would be the global generator.
            warnings.filterwarnings("ignore", "The number of unique classes is greater", UserWarning)
            copy = clone(estimator).set_params(random_state=estimator.random_state or 0).fit(vectors, y, w)
        return np.vstack([copy.coef_.T, copy.intercept_])

    if multi_label:
        return np.hstack([fitted(y, w) for y, w in zip(targets.T, weights.T, strict=True)])
    found = fitted(targets.argmax(axis=1), weights[:, 0])
    return found if found.shape[1] > 1 else np.hstack([np.zeros_like(found), found])


def _targets(problem: Problem) -> tuple[Floats, Floats]:
    """Return targets and weights, shape (n, num_classes); single-label: weights are equal in a row."""
    weights = np.repeat(problem.text_weights[:, None], problem.num_classes, axis=1)
    if not problem.multi_label:
        return np.eye(problem.num_classes)[problem.y], weights
    targets = np.asarray(cast("Any", problem.y).toarray() > 0, dtype=np.float64)
    if problem.weight_of_class is not None:
        weights *= np.where(targets > 0, problem.weight_of_class, 1.0)
    return targets, weights


def _minimised(
    vectors: Floats, targets: Floats, weights: Floats, C: float, start: Floats, multi_label: bool, tolerance: float
) -> Floats:
    """Return the coefficients that minimise the loss, with intercepts in the last row."""
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
    return np.asarray(result.x.reshape(start.shape))
