"""Calibrate probabilities on out-of-fold predictions: each text is predicted by a model that has not seen it.

The vectorizer is refitted in each fold. If it were fitted to the held-out texts as well, words that occur only in
them would keep their share of the unit vector, whereas such words are dropped from new texts and the other values
increase: held-out scores would be smaller than those of new texts, and the temperature too low.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.special import expit
from sklearn.base import clone
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer

from smalltext_core.calibration import (
    Calibration,
    fit_logistic,
    fit_temperature,
    prior_temperature,
    stratified_folds,
)
from smalltext_core.labels import is_multi_label
from smalltext_core.probabilities import choose_thresholds
from smalltext_sklearn._estimators import Training, class_logits, combined_weights, exceeds_memory
from smalltext_sklearn.word_char_tfidf import WordCharTfidfVectorizer, weighting_of

Floats: TypeAlias = NDArray[np.float64]
Rows: TypeAlias = NDArray[np.intp]

FOLDS = 5

_MAX_SCORES = 2**24
"""The maximum number of out-of-fold logits; if there would be more, only a part of the texts is held out."""


def out_of_fold_logits(
    training: Training, x: Any, texts: list[str] | None, vectorizer: Any, rng: np.random.Generator
) -> tuple[Rows, Floats] | None:
    """Return the rows of the held-out texts, and their logits, shape (rows, num_classes).

    `x` are the features of `texts` from the fitted `vectorizer`; these two are None if there are only features.
    None is returned if there are too few texts for cross-validation or for the estimator. It is also returned for
    very many classes: each is then represented by the mean of its texts, which is calibrated by a scale.
    """
    if exceeds_memory(training.estimator, training.num_classes, *x.shape):
        return None
    folds = _folds(training, rng)
    if folds is None:
        return None
    features_of = _fold_features(x, texts, vectorizer, training)
    logits = np.empty((len(folds), training.num_classes))
    for fold in range(FOLDS):
        train, held_out = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        if len(held_out):
            try:
                x_train, x_held_out = features_of(train, held_out)
                model = training[train].fit(x_train)
                logits[held_out] = class_logits(model, x_held_out, training.num_classes)
            except ValueError:  # an estimator or a vectorizer needs more texts or words
                return None
    rows = np.flatnonzero(folds >= 0)
    return rows, logits[rows]


def fit_calibration(training: Training, held_out: tuple[Rows, Floats] | None) -> Calibration | None:
    """Fit a calibration to out-of-fold logits; without logits, a temperature of 1, or None if multi-label."""
    if held_out is None:
        return None if is_multi_label(training.y) else prior_temperature(1.0)
    chosen, logits = training[held_out[0]], held_out[1]
    if not is_multi_label(chosen.y):
        weights = combined_weights(chosen.weights, chosen.class_weights, chosen.y)
        return fit_temperature(logits, chosen.y, weights)
    weight_matrix = np.isfinite(logits).astype(np.float64)  # 0 if the fold had only one outcome
    if chosen.weights is not None:
        weight_matrix *= chosen.weights[:, None]
    if chosen.class_weights is not None:
        weight_matrix *= np.where(chosen.y.toarray() > 0, chosen.class_weights, 1.0)
    return fit_logistic(logits, chosen.y, weight_matrix) if weight_matrix.any() else None


def fit_thresholds(
    training: Training, held_out: tuple[Rows, Floats] | None, calibration: Calibration | None
) -> Floats:
    """Choose a multi-label threshold for each class on calibrated out-of-fold probabilities; 0.5 without them."""
    if held_out is None:
        return np.full(training.num_classes, 0.5)
    chosen, logits = training[held_out[0]], held_out[1]
    proba = expit(logits) if calibration is None else calibration.probabilities(logits)
    return choose_thresholds(proba, chosen.y, chosen.weights)


def _folds(training: Training, rng: np.random.Generator) -> Rows | None:
    """Return the fold of each text, -1 if it is never held out, or None if there are too few texts.

    The minimum is two texts of two classes each, or ten texts in a multi-label problem. The only text of a class
    is held out as well, although no temperature makes it more probable; `fit_temperature` ignores it.
    """
    y, count = training.y, training.y.shape[0]
    paired = count if is_multi_label(y) else (np.unique(y, return_counts=True)[1] > 1).sum()
    if paired < (2 * FOLDS if is_multi_label(y) else 2):
        return None
    most = max(2 * FOLDS, _MAX_SCORES // training.num_classes)
    if count <= most:
        return stratified_folds(y, FOLDS, rng)
    folds = np.full(count, -1, dtype=np.intp)
    chosen = rng.permutation(count)[:most]
    folds[chosen] = stratified_folds(y[chosen], FOLDS, rng)
    return folds


def _fold_features(
    x: Any, texts: list[str] | None, vectorizer: Any, training: Training
) -> Callable[[Rows, Rows], tuple[Any, Any]]:
    """Return a function that maps rows of training texts and of held-out texts to their features."""
    if texts is None:
        return lambda train, held_out: (x[train], x[held_out])
    counted_once = _split_features(vectorizer, texts)
    if counted_once is not None:
        return counted_once

    def vectorized(train: Rows, held_out: Rows) -> tuple[Any, Any]:
        copy = clone(vectorizer)
        y = None if is_multi_label(training.y) else training.y[train]
        return copy.fit_transform([texts[row] for row in train], y), copy.transform(
            [texts[row] for row in held_out]
        )

    return vectorized


def _split_features(
    vectorizer: Any, texts: list[str]
) -> Callable[[Rows, Rows], tuple[csr_matrix, csr_matrix]] | None:
    """Return a function that computes the features of given training rows and held-out rows of `texts`.

    Terms are counted only once. Columns and inverse document frequencies are those of the training rows: the
    features equal those from a clone of the vectorizer that is fitted to the training rows.

    Parameters
    ----------
    vectorizer : scikit-learn transformer
        Fitted to the texts.
    texts : list of str

    Returns
    -------
    callable or None
        None for vectorizers other than TF-IDF, and for those that drop columns, for example by `max_features`.
    """
    if type(vectorizer) not in {TfidfVectorizer, WordCharTfidfVectorizer} or vectorizer.vocabulary is not None:
        return None
    if vectorizer.max_features is not None or vectorizer.min_df != 1 or vectorizer.max_df != 1.0:
        return None
    if isinstance(vectorizer, WordCharTfidfVectorizer):
        counts = vectorizer.count_terms(texts)
    else:
        counts = [CountVectorizer.transform(vectorizer, texts)]

    def features(train: Rows, held_out: Rows) -> tuple[csr_matrix, csr_matrix]:
        blocks = []
        for counted in counts:
            of_train, of_held_out = counted[train], counted[held_out]
            occurring = np.flatnonzero(np.bincount(of_train.indices, minlength=counted.shape[1]))
            of_train, of_held_out = of_train[:, occurring], of_held_out[:, occurring]
            weighting = weighting_of(vectorizer).fit(of_train)
            blocks.append(
                [weighting.transform(of_train, copy=False), weighting.transform(of_held_out, copy=False)]
            )
        if len(blocks) == 1:
            return blocks[0][0], blocks[0][1]
        return vectorizer.joined(blocks[0][0], blocks[1][0]), vectorizer.joined(blocks[0][1], blocks[1][1])

    return features
