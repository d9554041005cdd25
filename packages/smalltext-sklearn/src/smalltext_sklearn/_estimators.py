"""Fit any scikit-learn estimator as a classifier with probabilities, one per class in multi-label problems.

An estimator is cloned, seeded, and calibrated if it has no `predict_proba`. Weights are passed only if it supports
them, and dense features only if it rejects sparse ones. Fitting the default estimator, logistic regression, needs
about ten numbers per class and feature; for thousands of classes, that is tens of gigabytes, so each class is then
represented by the mean of its texts, which is as sparse as they are.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_matrix, csr_matrix, issparse
from scipy.special import logit
from sklearn.base import BaseEstimator, clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.random_projection import SparseRandomProjection
from sklearn.utils.validation import has_fit_parameter

from smalltext_core.errors import InvalidInputError, UnsupportedError
from smalltext_core.labels import Labels, is_multi_label
from smalltext_core.messages import shown

EMBEDDING_DIMENSIONS = 512
"""The maximum length of an embedding; longer feature vectors are projected."""

FittedModel: TypeAlias = "Any | list[Any]"
"""A fitted estimator; in multi-label problems, a list with one estimator or constant (0.0 or 1.0) per class."""

Weights: TypeAlias = "NDArray[np.float64] | None"
DENSE_LIMIT = 2 * 1024**3
"""The maximum size in bytes of the features of a training set for estimators that need dense features."""

MANY_CLASSES = 1000
"""The minimum number of classes for which the memory of logistic regression is estimated."""

MEMORY_LIMIT = 7 * 2**29
"""The maximum number of bytes for fitting the default estimator on many classes."""

_MIN_PROBABILITY = 1e-6
"""The lower bound of probabilities that are converted to logits."""

_BLOCK = 2**26
"""The size in bytes of the blocks of features that are converted to dense arrays for prediction."""
_COPIES_OF_COEFFICIENTS = 10
_COPIES_OF_SCORES = 4
_SCALES = np.geomspace(0.25, 256.0, 41)
_SAMPLE = 1000
_NEAR = 0.02
"""Scales whose loss is within this distance of the lowest are considered equal; the smallest of them is chosen."""


@dataclass(frozen=True)
class Training:
    """The training data of an estimator, without the features."""

    estimator: Any
    """A seeded template, which is not fitted itself."""
    y: Labels
    num_classes: int
    weights: Weights
    """The weight of each text, shape (n,); None if all are equal."""
    class_weights: Weights
    """The weight of each class, shape (num_classes,); None if all are equal."""

    def __getitem__(self, rows: NDArray[Any]) -> Training:
        """Return the training data of some of the texts."""
        return replace(self, y=self.y[rows], weights=None if self.weights is None else self.weights[rows])

    def fit(self, x: Any) -> FittedModel:
        """Return the estimator, or the estimators, fitted to features of shape (n, features)."""
        if is_multi_label(self.y):
            return self._fit_each_class(x, self.y.tocsc())
        weights = combined_weights(self.weights, self.class_weights, self.y)
        if exceeds_memory(self.estimator, len(np.unique(self.y)), *x.shape):
            return fit_class_means(self.estimator, x, self.y, weights)
        return fit_estimator(self.estimator, x, self.y, weights)

    def _fit_each_class(self, x: Any, columns: csc_matrix) -> list[Any]:
        fitted: list[Any] = []
        for k in range(self.num_classes):
            applies = np.zeros(x.shape[0], dtype=np.int32)
            applies[columns.indices[columns.indptr[k] : columns.indptr[k + 1]]] = 1
            if applies.min() == applies.max():
                fitted.append(float(applies[0]))
            else:
                pair = None if self.class_weights is None else np.array([1.0, self.class_weights[k]])
                weights = combined_weights(self.weights, pair, applies)
                fitted.append(fit_estimator(self.estimator, x, applies, weights))
        return fitted


def combined_weights(weights: Weights, class_weights: Weights, y: NDArray[Any]) -> Weights:
    """Multiply the weights of texts by those of their classes."""
    if class_weights is None or (class_weights == 1).all():
        return weights
    weight_of_text: NDArray[np.float64] = class_weights[y]
    return weight_of_text if weights is None else weights * weight_of_text


def class_probabilities(model: FittedModel, x: Any, num_classes: int) -> NDArray[np.float64]:
    """Return the probabilities of a fitted model, shape (n, num_classes); those of classes without texts are 0."""
    proba = np.zeros((x.shape[0], num_classes))
    if isinstance(model, list):
        for k, estimator in enumerate(model):
            proba[:, k] = estimator if isinstance(estimator, float) else probabilities(estimator, x)[:, 1]
        return proba
    proba[:, model.classes_] = probabilities(model, x)
    return proba


def class_logits(model: FittedModel, x: Any, num_classes: int) -> NDArray[np.float64]:
    """Return the logits of a fitted model, shape (n, num_classes): log-probabilities, or log-odds if multi-label.

    They are finite, since calibration cannot change a probability of 0 or 1, except for classes without texts and,
    if multi-label, classes that apply to all texts.
    """
    proba = class_probabilities(model, x, num_classes)
    if isinstance(model, list):
        logits = logit(np.clip(proba, _MIN_PROBABILITY, 1 - _MIN_PROBABILITY))
        constant = [isinstance(estimator, float) for estimator in model]
        logits[:, constant] = np.where(proba[:, constant] > 0, np.inf, -np.inf)
        return np.asarray(logits)
    logits = np.full(proba.shape, -np.inf)
    logits[:, model.classes_] = np.log(np.maximum(proba[:, model.classes_], _MIN_PROBABILITY))
    return logits


def check_estimator(model: object, argument: str = "model") -> None:
    """Raise InvalidInputError, which names `argument`, unless it is a classifier with probabilities."""
    allowed = "a scikit-learn classifier with fit and predict_proba (or decision_function, to be calibrated)"
    if isinstance(model, type):
        raise InvalidInputError(argument, f"the class {model.__name__}", allowed, f"Give {model.__name__}().")
    if not isinstance(model, BaseEstimator) or not hasattr(model, "fit"):
        raise InvalidInputError(argument, shown(model), allowed)
    if not _has_probabilities(model) and not hasattr(model, "decision_function"):
        raise InvalidInputError(
            argument,
            f"{type(model).__name__}, which has neither predict_proba nor decision_function",
            allowed,
            "sklearn.linear_model.LogisticRegression is a good one for texts.",
        )


def _has_probabilities(model: object) -> bool:
    """Return whether an estimator has `predict_proba` once it is fitted.

    Only `fit` of a `StackingClassifier` replaces a final estimator of None by logistic regression.
    """
    is_stacking = hasattr(type(model), "predict_proba") and getattr(model, "final_estimator", model) is None
    return is_stacking or hasattr(model, "predict_proba")


def default_estimator() -> LogisticRegression:
    """Return a logistic regression for TF-IDF, whose vectors of unit length need less regularisation than ``C=1``.

    With many more features than texts, Newton's method with conjugate gradients converges in a fifth of the time
    of L-BFGS; see the decision record on default regularisation.
    """
    return LogisticRegression(C=30.0, solver="newton-cg", max_iter=1000)


def seeded_clone(estimator: Any, rng: np.random.Generator) -> Any:
    """Return a clone whose unset random states are drawn from `rng`, never from numpy's global generator."""
    copy = clone(estimator)
    parameters = copy.get_params(deep=True)
    states = sorted(name for name in parameters if name == "random_state" or name.endswith("__random_state"))
    unset = {name: int(rng.integers(2**31)) for name in states if parameters[name] is None}
    return copy.set_params(**unset) if unset else copy


def fit_estimator(estimator: Any, x: Any, y: NDArray[Any], weights: NDArray[np.float64] | None) -> Any:
    """Return a fitted clone of a seeded estimator, calibrated if it has no `predict_proba`.

    UnsupportedError is raised for weights that the estimator does not support; InvalidInputError if it needs
    calibration and a class has only one text, or dense features of more than `DENSE_LIMIT` bytes.
    """
    if weights is not None and not takes_weights(estimator):
        raise UnsupportedError(
            f"{type(estimator).__name__}.fit takes no sample_weight, so weights and class_weight cannot be "
            "honoured. Leave them out, or use an estimator that takes them, such as LogisticRegression."
        )
    prepared = clone(estimator) if _has_probabilities(estimator) else _calibrated(estimator, y)
    options = {} if weights is None else {_weights_parameter(prepared) or "sample_weight": weights}
    with warnings.catch_warnings():
        # Labels are classes, however few texts each class has.
        warnings.filterwarnings("ignore", "The number of unique classes is greater", UserWarning)
        try:
            return prepared.fit(x, y, **options)
        except TypeError as error:
            if not issparse(x) or not _asks_for_dense(error):
                raise
        return clone(prepared).fit(_dense(x, type(estimator).__name__), y, **options)


def probabilities(estimator: Any, x: Any) -> NDArray[Any]:
    """Return the probabilities of a fitted estimator, shape (n, len(estimator.classes_))."""
    try:
        return np.asarray(estimator.predict_proba(x))
    except TypeError as error:
        if not issparse(x) or not _asks_for_dense(error):
            raise
    rows = max(1, int(_BLOCK // (8 * max(1, x.shape[1]))))
    blocks = [estimator.predict_proba(x[start : start + rows].toarray()) for start in range(0, x.shape[0], rows)]
    return np.concatenate(blocks)


def takes_weights(estimator: Any) -> bool:
    """Return whether `fit` takes sample weights, looking into pipelines and calibration."""
    return _weights_parameter(estimator) is not None


def _weights_parameter(estimator: Any) -> str | None:
    if isinstance(estimator, Pipeline):
        name, last = estimator.steps[-1]
        inner = _weights_parameter(last)
        return None if inner is None else f"{name}__{inner}"
    if isinstance(estimator, CalibratedClassifierCV) and estimator.estimator is not None:
        return "sample_weight" if takes_weights(estimator.estimator) else None
    return "sample_weight" if has_fit_parameter(estimator, "sample_weight") else None


def _calibrated(estimator: Any, y: NDArray[Any]) -> CalibratedClassifierCV:
    """Wrap an estimator that only has `decision_function` in Platt scaling, fitted by cross-validation."""
    classes, counts = np.unique(y, return_counts=True)
    if counts.min() < 2:
        name = type(estimator).__name__
        raise InvalidInputError(
            "train_set.y",
            f"one text of class {classes[counts.argmin()]}",
            f"two or more of each class, to calibrate {name}, which has no predict_proba",
            "Label one more, or use an estimator with predict_proba, such as LogisticRegression.",
        )
    folds = int(min(5, counts.min()))
    return CalibratedClassifierCV(clone(estimator), method="sigmoid", cv=folds, ensemble=False)


def _asks_for_dense(error: TypeError) -> bool:
    return "dense" in str(error).lower() and "sparse" in str(error).lower()


def _dense(x: Any, name: str) -> NDArray[Any]:
    size = x.shape[0] * x.shape[1] * x.dtype.itemsize
    if size > DENSE_LIMIT:
        raise InvalidInputError(
            "model",
            f"{name}, which takes dense features only ({size / 2**30:.1f} GiB here)",
            f"at most {DENSE_LIMIT / 2**30:.0f} GiB of dense features",
            "Reduce them first, for example vectorizer_parameters={'max_features': 5000}.",
        )
    dense: NDArray[Any] = x.toarray()
    return dense


def exceeds_memory(estimator: Any, num_classes: int, num_texts: int, num_features: int) -> bool:
    """Return whether this is the default estimator, and fitting it would take more than `MEMORY_LIMIT` bytes."""
    if num_classes < MANY_CLASSES or type(estimator) is not LogisticRegression:
        return False
    default, given = default_estimator().get_params(), estimator.get_params()
    if any(given[name] != default[name] for name in default if name != "random_state"):
        return False
    numbers = _COPIES_OF_COEFFICIENTS * num_classes * num_features + _COPIES_OF_SCORES * num_classes * num_texts
    return 8 * numbers > MEMORY_LIMIT


def fit_class_means(
    estimator: LogisticRegression, x: Any, y: NDArray[Any], weights: NDArray[np.float64] | None
) -> LogisticRegression:
    """Fit a softmax over the similarity of a text to the mean of each class, as a `LogisticRegression`, in place.

    Similarities are multiplied by the scale that minimizes the leave-one-out loss, so that the probabilities are
    calibrated.
    """
    warnings.warn(
        f"{len(np.unique(y)):,} classes and {x.shape[1]:,} features are too many for logistic regression to fit "
        "in memory, so each class is learned as the mean of its texts. Name an estimator to have another one.",
        stacklevel=4,
    )
    texts = csr_matrix(x) if issparse(x) else csr_matrix(np.asarray(x))
    weight = np.ones(texts.shape[0]) if weights is None else weights
    classes, numbers = np.unique(y, return_inverse=True)
    totals = np.bincount(numbers, weights=weight).astype(np.float64)
    shape = (len(classes), texts.shape[0])
    membership = csr_matrix((weight / totals[numbers], (numbers, np.arange(texts.shape[0]))), shape=shape)
    means = csr_matrix(membership @ texts)
    intercept = np.log(totals / totals.sum())
    scale = _best_scale(texts, numbers, weight, means, totals, intercept)
    estimator.classes_ = classes
    estimator.coef_ = (means * scale).astype(np.float64)
    estimator.intercept_ = intercept
    estimator.n_features_in_ = int(texts.shape[1])
    estimator.n_iter_ = np.ones(1, dtype=np.int32)
    return estimator


def _best_scale(
    texts: csr_matrix,
    numbers: NDArray[np.intp],
    weight: NDArray[np.float64],
    means: csr_matrix,
    totals: NDArray[np.float64],
    intercept: NDArray[np.float64],
) -> float:
    """Return the scale of similarities with the lowest leave-one-out loss; single texts of a class are skipped."""
    accompanied = np.flatnonzero(totals[numbers] > weight * (1 + 1e-9))
    if not accompanied.size:
        return 1.0
    rows = accompanied[:: -(-accompanied.size // _SAMPLE)]
    sample, own = texts[rows], numbers[rows]
    scores = np.asarray((sample @ means.T).toarray(), dtype=np.float64)
    norms = np.asarray(sample.multiply(sample).sum(axis=1)).ravel()
    share = weight[rows] / totals[own]
    at = (np.arange(len(rows)), own)
    scores[at] = (scores[at] - share * norms) / (1 - share)  # the similarity to the mean of the other texts
    losses = []
    for scale in _SCALES:
        logits = scores * scale + intercept
        logits -= logits.max(axis=1, keepdims=True)
        losses.append(np.average(np.log(np.exp(logits).sum(axis=1)) - logits[at], weights=weight[rows]))
    near = np.flatnonzero(np.array(losses) <= min(losses) + _NEAR)
    return float(_SCALES[near[0]])


def dense_embeddings(features: Any) -> NDArray[np.float32]:
    """Convert features to dense vectors with at most `EMBEDDING_DIMENSIONS` dimensions.

    More features are projected to random directions, which preserves the distances and angles between texts up to
    about ``1 / sqrt(EMBEDDING_DIMENSIONS)`` of the product of their lengths (Li, Hastie and Church, 2006, "Very
    sparse random projections"). The directions depend only on the number of features, so that the vectors of two
    calls can be compared.

    Parameters
    ----------
    features : ndarray or csr_matrix, shape (n, features)

    Returns
    -------
    ndarray of float32, shape (n, min(features, EMBEDDING_DIMENSIONS))
    """
    width = features.shape[1]
    if width > EMBEDDING_DIMENSIONS:
        projection = SparseRandomProjection(EMBEDDING_DIMENSIONS, random_state=0).fit(csr_matrix((1, width)))
        features = features @ projection.components_.T
    vectors: NDArray[np.float32] = np.asarray(
        features.toarray() if issparse(features) else features, dtype=np.float32
    )
    return vectors
