"""Rule 5: weights are passed by name and count, ones change nothing, a zero is as absence."""

from __future__ import annotations

import inspect
from collections.abc import Callable

import numpy as np

from smalltext_testing.check import BrokenRuleError, expect, rule
from smalltext_testing.subject import Subject, difference, same_bits

_ROUNDING = 1e-3


@rule(5)
def check_arguments_are_taken_by_name(subject: Subject) -> None:
    """`fit` takes `train_set` and `weights` by name, `predict` and `predict_proba` take `data_set`.

    Callers who swap classifiers name these arguments: the second position of `fit` is weights for some
    classifiers, and a validation set for others.

    What to do: give the arguments the names that smalltext_core.AnyClassifier gives them. Further arguments of
    `fit` need defaults.
    """
    fit, fitted, texts = inspect.signature(subject.unfitted.fit), subject.fitted, subject.texts
    _expect_call("fit(train_set=..., weights=...)", lambda: fit.bind(train_set=subject.train_set, weights=None))
    _expect_call("predict(data_set=...)", lambda: fitted.predict(data_set=texts))
    _expect_call("predict_proba(data_set=...)", lambda: fitted.predict_proba(data_set=texts))


def _expect_call(what: str, call: Callable[[], object]) -> None:
    try:
        call()
    except TypeError as error:
        raise BrokenRuleError(f"{what} fails: {error}", "these names are taken") from error


@rule(5)
def check_ones_are_as_no_weights(subject: Subject) -> None:
    """Weights that are all 1 give the same classifier as no weights.

    Callers who compute weights should be able to switch them off by ones. A list is as good as an array.

    What to do: begin fit with smalltext_core.validation.training_data, which turns ones into None; look for
    weights that are divided by their sum in one case and not in the other.
    """
    subject.require_repeatable()
    proba = subject.fit_weighted(subject.train_set, [1.0] * len(subject.train_set)).predict_proba(subject.texts)
    expect(
        same_bits(proba, subject.proba),
        seen=f"other probabilities: {difference(proba, subject.proba)}",
        expected="the same bits",
    )


@rule(5)
def check_scale_of_weights_does_not_matter(subject: Subject) -> None:
    """Weights that are all multiplied by one number give the same classifier.

    Only the ratios of weights say something. A scale that is learned from acts as a regularisation, or as a
    learning rate, that nobody has chosen; a very small one may never let training end.

    What to do: begin fit with smalltext_core.validation.training_data, which divides weights by their mean.
    """
    subject.require_repeatable()
    count = len(subject.train_set)
    weights = 1.0 + np.arange(count) % 3
    proba = np.asarray(subject.fit_weighted(subject.train_set, weights).predict_proba(subject.texts))
    for scale in (7.0, 1e-300, 1e300):
        again = np.asarray(subject.fit_weighted(subject.train_set, weights * scale).predict_proba(subject.texts))
        expect(
            again.shape == proba.shape and bool((np.abs(again - proba) <= _ROUNDING).all()),
            seen=f"other probabilities when all weights are {scale:g} times as great: {difference(again, proba)}",
            expected="the same ones, but for rounding",
        )


@rule(5)
def check_zero_weight_is_as_absence(subject: Subject) -> None:
    """A text with a weight of 0 has no influence on what is learned.

    A weight of 0 is how a caller takes a label back without cutting arrays. Trained on anyway (here: the same
    texts with wrong labels) it spoils the rest.

    What to do: begin fit with smalltext_core.validation.training_data, which leaves such texts out.
    """
    subject.require_learning()
    some, none = subject.margin_of_nine_to_one, subject.fit_contested(1, 0)
    expect(
        none >= some / 2,
        seen=f"it prefers the right labels by {none:.3f} (on a scale from -1 to 1) when the wrong ones weigh "
        f"nothing, and by {some:.3f} when they weigh a ninth",
        expected="the first to be about as great as the second, or greater",
    )


@rule(5)
def check_weights_are_honoured(subject: Subject) -> None:
    """Where labels contradict one another, the ones with the greater weight prevail.

    Weights carry how far a label is trusted, or how rare its class is. A classifier that takes them and ignores
    them is worse than one that refuses.

    What to do: multiply the loss of each text with its weight before the mean, in multi-label problems too, and
    look for weights that are no longer in the order of the texts after a split or a shuffle. A model that cannot
    use weights raises smalltext_core.errors.UnsupportedError.
    """
    subject.require_learning()
    right, wrong = subject.margin_of_nine_to_one, subject.fit_contested(1, 9)
    expect(
        right > wrong + 0.05,
        seen=f"with weights 9 : 1 for the right labels it prefers them by {right:.3f} (on a scale from -1 to 1), "
        f"with 1 : 9 against them by {wrong:.3f}",
        expected="the first to be clearly greater",
    )
