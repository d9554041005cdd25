"""Rules 1 and 4: the form and the meaning of probabilities."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalltext_core import TextDataset
from smalltext_core.errors import SmallTextError
from smalltext_core.labels import is_multi_label
from smalltext_testing._check import NotApplicableError, expect, rule, with_article
from smalltext_testing._context import CheckContext, indicator
from smalltext_testing.sample_data import noisy_texts, repeated_text

_NOISY_TEXTS = 200
_CALIBRATION_ERROR = 0.2
"""The backends of this project have 0.03 to 0.08 with calibration and up to 0.18 without; probabilities that are
rounded to 0 and 1 have 0.26 and more."""


def expect_probabilities(proba: Any, count: int, num_classes: int, what: str) -> None:
    """Expect a float32 array of a shape, with numbers from 0 to 1."""
    _expect_float32(proba, (count, num_classes), what)
    _expect_zero_to_one(proba, what)


def _expect_float32(proba: Any, shape: tuple[int, int], what: str) -> None:
    found = f"a {type(proba).__module__}.{type(proba).__name__}"
    if isinstance(proba, np.ndarray):
        found = f"an ndarray of {proba.dtype}, shape {proba.shape}"
    expect(
        isinstance(proba, np.ndarray) and proba.dtype == np.float32 and proba.shape == shape,
        seen=f"{what} gave {found}",
        expected=f"a dense ndarray of float32, shape {shape}: one row per text, one column per class",
    )


def _expect_zero_to_one(proba: Any, what: str) -> None:
    outside = ~(np.isfinite(proba) & (proba >= 0) & (proba <= 1))
    expect(
        not outside.any(),
        seen=f"{what} gave {int(outside.sum())} of {outside.size} other numbers: {proba[outside][:3].tolist()}",
        expected="finite numbers from 0 to 1",
    )


@rule(1)
def check_probabilities_are_dense_float32(context: CheckContext) -> None:
    """Probabilities are a dense float32 array with one row per text and one column per class.

    Why: Callers index columns, subtract arrays and stack them. Code written for one backend fails with another
    that returns sparse matrices or lists, and needs twice the memory for float64.
    What to do: end predict_proba with `np.asarray(proba, dtype=np.float32)`; use toarray() for sparse matrices.
    """
    _expect_float32(context.proba, (len(context.texts), context.num_classes), "predict_proba")


@rule(1)
def check_probabilities_lie_between_zero_and_one(context: CheckContext) -> None:
    """Probabilities are finite and lie in [0, 1].

    Why: A logit, a distance or a NaN is not noticed until entropies computed from it select the wrong texts.
    What to do: apply softmax or sigmoid to scores, in float32 or better; look for a division by zero.
    """
    _expect_zero_to_one(np.asarray(context.proba), "predict_proba")


@rule(1)
def check_single_label_rows_sum_to_one(context: CheckContext) -> None:
    """In a single-label problem the probabilities of a text sum to 1.

    Why: Exactly one class applies. Uncertainty measures such as entropy and margin assume it.
    What to do: use softmax over the classes, or divide each row by its sum.
    """
    if context.multi_label:
        raise NotApplicableError("rows of multi-label probabilities do not sum to 1")
    expect_rows_sum_to_one(context.proba, context.texts)


def expect_rows_sum_to_one(proba: Any, texts: TextDataset) -> None:
    """Expect that the single-label probabilities of each text sum to 1."""
    for text, total in zip(texts.x, np.asarray(proba, dtype=np.float64).sum(axis=1), strict=True):
        seen = f"the row of the text {text[:40]!r} sums to {total:.4f}"
        expect(abs(total - 1) < 1e-3, seen=seen, expected="1, within 0.001")


@rule(1)
def check_multi_label_probabilities_are_not_thresholded(context: CheckContext) -> None:
    """In a multi-label problem a probability below the threshold is not set to 0.

    Why: Uncertainty sampling, other thresholds and calibration curves need the probabilities of all classes.
    What to do: apply the threshold to the labels only, as smalltext_core.probabilities.to_labels does.
    """
    if not context.multi_label:
        raise NotApplicableError("single-label problems have no threshold")
    for name, proba in (
        ("predict_proba", context.proba),
        ("predict with return_proba=True", context.fitted.predict(context.texts, return_proba=True)[1]),
    ):
        dense = np.asarray(proba.toarray() if hasattr(proba, "toarray") else proba)
        low = dense[dense <= context.threshold]
        expect(
            low.size == 0 or (low > 0).any(),
            seen=f"all {low.size} probabilities of {name} up to the threshold {context.threshold} are exactly 0",
            expected="the probabilities that the model computed",
        )


@rule(1)
def check_multi_label_columns_are_independent(context: CheckContext) -> None:
    """In a multi-label problem the probabilities of several classes may be high, or those of none.

    Why: Probabilities that sum to 1 cannot express that two classes apply, or that no class does.
    What to do: use a sigmoid for each class, not a softmax over all of them.
    """
    if not context.multi_label or context.num_classes == 1:
        raise NotApplicableError(
            "columns can only depend on each other in multi-label problems with several classes"
        )
    sums = np.asarray(context.proba, dtype=np.float64).sum(axis=1)
    expect(
        (np.abs(sums - 1) > 1e-3).any(),
        seen=f"all {len(sums)} rows sum to 1, also for texts with several classes and with none",
        expected="sums that differ between texts",
    )


@rule(1)
def check_column_k_is_class_k(context: CheckContext) -> None:
    """Column k of the probabilities is class k: training texts of class k have the higher values there.

    Why: No exception is raised if columns are in another order; each probability belongs to another class.
    What to do: compare the order of the model's classes (`classes_` in scikit-learn) with the class numbers, and
    order its columns with smalltext_core.probabilities.place_columns.
    """
    applies = indicator(context.train_set.y, context.num_classes)
    proba = np.asarray(context.fitted.predict_proba(TextDataset(context.train_set.x)), dtype=np.float64)
    if proba.shape != applies.shape:
        raise NotApplicableError("the shape is wrong, see check_probabilities_are_dense_float32")
    # The difference of each column between the texts of a class (a row) and other texts.
    more = np.stack([proba[rows].mean(axis=0) - proba[~rows].mean(axis=0) for rows in applies.T])
    lacking = more.max(axis=1) - more.diagonal()
    worst = int(lacking.argmax())
    column = int(more[worst].argmax())
    expect(
        lacking[worst] <= 0.05,
        seen=f"compared with others, texts of class {worst} have {more[worst, column]:+.2f} in column {column}, "
        f"and {more[worst, worst]:+.2f} in column {worst}",
        expected=f"the most in column {worst}",
    )


@rule(1)
def check_absent_class_keeps_its_column(context: CheckContext) -> None:
    """A class that is missing from the training set keeps its column, and the others keep their numbers.

    Why: Classes are often missing early in active learning. A model that numbers only the classes it has seen
    predicts wrong classes without any error; one that divides by their number of texts predicts NaN.
    What to do: keep the class numbers that the model was trained on, and order its columns with
    smalltext_core.probabilities.place_columns.
    """
    absent, count = (1 if context.num_classes > 2 else 0), context.num_classes
    applies = indicator(context.train_set.y, count)
    applies[:, absent] = False
    if context.multi_label:
        y = context.labels([np.flatnonzero(row).tolist() for row in applies])
        train_set, texts = TextDataset(context.train_set.x, y), context.texts
    else:
        train_set = context.train_set[np.flatnonzero(applies.any(axis=1))]
        texts = TextDataset(train_set.x)
    classifier = context.new()
    try:
        classifier.fit(train_set)
    except SmallTextError as error:
        if context.multi_label or count > 2:
            raise
        raise NotApplicableError(f"training on one class alone is refused: {error}") from error
    proba, labels = classifier.predict_proba(texts), classifier.predict(texts)
    expect_probabilities(proba, len(texts), count, f"after training without class {absent}, predict_proba")
    if context.multi_label:
        _expect_rare_label(labels, proba, absent)
    else:
        rows = np.asarray(train_set.y) == count - 1
        _expect_rare_class(np.asarray(labels)[rows], proba[rows], absent)


def _expect_rare_class(labels: NDArray[Any], proba: NDArray[Any], absent: int) -> None:
    """Expect few predictions of a class for training texts of the last class."""
    expect(
        (labels == absent).mean() <= 0.5 and proba[:, absent].mean() <= proba[:, -1].mean(),
        seen=f"after training without class {absent}, it is predicted for {int((labels == absent).sum())} of "
        f"{len(labels)} training texts of the last class; its mean probability is {proba[:, absent].mean():.2f}",
        expected=f"hardly any prediction of class {absent}, which no training text had",
    )


def _expect_rare_label(labels: Any, proba: NDArray[Any], absent: int) -> None:
    expect(
        is_multi_label(labels) and labels.shape == proba.shape,
        seen=f"predict gave {with_article(type(labels))} of shape {getattr(labels, 'shape', None)}",
        expected=f"a csr_matrix of shape {proba.shape}",
    )
    mean = proba[:, absent].mean()
    expect(
        mean <= 0.6,
        seen=f"after training without class {absent}, it has a mean probability of {mean:.2f}",
        expected="at most 0.6: the class applied to no text",
    )


@rule(4)
def check_probabilities_match_label_frequencies(context: CheckContext) -> None:
    """A text that is labelled class 0 in 80 of 100 cases has a probability near 0.8 for class 0.

    Why: A probability states how often the classifier is right. It does not if training and prediction differ:
    binary cross-entropy with softmax gives 0.94 here, and uncertainty sampling overlooks ambiguous texts.
    What to do: train and predict with the same pair: cross-entropy with softmax, binary cross-entropy with
    sigmoid. Calibrate the scores of a model without such a loss. Look also for a learning rate at which the loss
    oscillates.
    """
    dataset = repeated_text(context.num_classes, context.multi_label)
    proba = context.new().fit(dataset).predict_proba(TextDataset(dataset.x[:1]))[0].astype(np.float64)
    high, low = proba[0], (proba[1] if context.num_classes > 1 else None)
    expect(
        high <= 0.9,
        seen=f"a probability of {high:.3f} for class 0",
        expected="about 0.8, and at most 0.9: the class applied in 80 of 100 cases",
    )
    share = high if context.multi_label or low is None else high / max(high + low, 1e-12)
    expect(
        share >= 0.4,
        seen=f"a share of {share:.3f} for class 0, of the two classes of this text",
        expected="about 0.8 (about 0.5 with balanced class weights), and at least 0.4",
    )
    if context.multi_label and low is not None:
        expect(
            0.1 <= low <= 0.6,
            seen=f"a probability of {low:.3f} for class 1, which applied in 20 of 100 cases",
            expected="about 0.2 (about 0.5 with balanced class weights), from 0.1 to 0.6",
        )


@rule(4)
def check_probabilities_are_calibrated(context: CheckContext) -> None:
    """After training on 200 noisy texts, probabilities differ from the true ones by at most 0.2 on average.

    Why: Uncertainty sampling and thresholds rely on probabilities. A model that fits the noise in its training
    labels is nearly certain where it should be in doubt.
    What to do: calibrate on texts that the model was not trained on, for instance by
    smalltext_core.calibration.fit_temperature; regularise, stop early, or train for fewer epochs.
    """
    if context.num_classes == 1 and not context.multi_label:
        raise NotApplicableError("with one class, every probability is 1")
    rng = np.random.default_rng(0)
    train_set, _ = noisy_texts(context.num_classes, context.multi_label, _NOISY_TEXTS, rng)
    texts, wanted = noisy_texts(context.num_classes, context.multi_label, 2 * _NOISY_TEXTS, rng)
    proba = np.asarray(context.new().fit(train_set).predict_proba(TextDataset(texts.x)), dtype=np.float64)
    expect_probabilities(proba.astype(np.float32), len(texts), context.num_classes, "predict_proba of noisy texts")
    if context.multi_label:
        known = wanted.any(axis=0)
        confidence, true = proba[:, known].ravel(), wanted[:, known].ravel()
    else:
        best = proba.argmax(axis=1)[:, None]
        confidence, true = (np.take_along_axis(each, best, axis=1).ravel() for each in (proba, wanted))
    error = _calibration_error(confidence, true)
    expect(
        error <= _CALIBRATION_ERROR,
        seen=f"an expected calibration error of {error:.3f}: a mean probability of {confidence.mean():.3f}, where "
        f"the true one is {true.mean():.3f}",
        expected=f"at most {_CALIBRATION_ERROR}",
    )


def _calibration_error(confidence: NDArray[np.float64], true: NDArray[np.float64], bins: int = 15) -> float:
    """Return the expected calibration error, with bins of equal width."""
    bin_of = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    return float(np.abs(np.bincount(bin_of, weights=confidence - true)).sum() / len(true))
