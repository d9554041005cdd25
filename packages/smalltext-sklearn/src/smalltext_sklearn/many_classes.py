"""What learns in place of the default estimator where thousands of classes would take all memory.

Logistic regression holds a number for each class and feature, ten times over while it is fitted: with ten thousand
classes these are tens of gigabytes. Here a class is the mean of its texts, which is as sparse as they are.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, issparse
from sklearn.linear_model import LogisticRegression

from smalltext_sklearn.defaults import default_estimator

MANY = 1000
"""With fewer classes, memory is not what decides."""

LIMIT = 7 * 2**29
"""The most bytes that fitting the default estimator may take where there are many classes."""

_COPIES_OF_COEFFICIENTS = 10
_COPIES_OF_SCORES = 4
_SCALES = np.geomspace(0.25, 256.0, 41)
_SAMPLE = 1000
_NEAR = 0.02
"""Of factors whose losses are as near as that to the least one, the smallest is taken: it claims the least."""


def takes_too_much(estimator: Any, num_classes: int, count: int, num_features: int) -> bool:
    """Return whether this is the default estimator, and too large for these classes, texts and features."""
    if num_classes < MANY or type(estimator) is not LogisticRegression:
        return False
    default, given = default_estimator().get_params(), estimator.get_params()
    if any(given[name] != default[name] for name in default if name != "random_state"):
        return False
    numbers = _COPIES_OF_COEFFICIENTS * num_classes * num_features + _COPIES_OF_SCORES * num_classes * count
    return 8 * numbers > LIMIT


def fit_means(
    estimator: LogisticRegression, x: Any, y: NDArray[Any], weights: NDArray[np.float64] | None
) -> LogisticRegression:
    """Return a softmax over the similarity of a text to the mean of each class, as a fitted `LogisticRegression`.

    How much a similarity counts is chosen so that texts that are left out of the mean of their class, one at a
    time, are the most probable; so the probabilities are calibrated.

    Parameters
    ----------
    estimator : LogisticRegression
        Unfitted; it is what becomes fitted.
    x : csr_matrix or ndarray, shape (n, features)
    y : ndarray of int, shape (n,)
    weights : ndarray of float64, shape (n,), or None
    """
    warnings.warn(
        f"{len(np.unique(y)):,} classes and {x.shape[1]:,} features are too many for logistic regression to fit "
        "in memory, so each class is learned as the mean of its texts. Name an estimator to have another one.",
        stacklevel=3,
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
    """Return the factor of similarities under which texts that were left out are the most probable.

    Texts that are alone in their class say nothing, since nothing of it is left.
    """
    accompanied = np.flatnonzero(totals[numbers] > weight * (1 + 1e-9))
    if not accompanied.size:
        return 1.0
    rows = accompanied[:: -(-accompanied.size // _SAMPLE)]
    sample, own = texts[rows], numbers[rows]
    scores = np.asarray((sample @ means.T).toarray(), dtype=np.float64)
    norms = np.asarray(sample.multiply(sample).sum(axis=1)).ravel()
    share = weight[rows] / totals[own]
    at = (np.arange(len(rows)), own)
    scores[at] = (scores[at] - share * norms) / (1 - share)  # the similarity to the mean of the others
    losses = []
    for scale in _SCALES:
        logits = scores * scale + intercept
        logits -= logits.max(axis=1, keepdims=True)
        losses.append(np.average(np.log(np.exp(logits).sum(axis=1)) - logits[at], weights=weight[rows]))
    near = np.flatnonzero(np.array(losses) <= min(losses) + _NEAR)
    return float(_SCALES[near[0]])
