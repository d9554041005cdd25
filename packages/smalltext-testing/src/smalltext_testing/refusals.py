"""Rule 7: bad input is refused before any work, in words that help."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np

from smalltext_core.dataset import TextDataset
from smalltext_core.errors import NotFittedError, SmallTextError
from smalltext_core.labels import LABEL_IGNORED, LABEL_UNLABELED, csr_to_list, is_multi_label, list_to_csr
from smalltext_testing.check import BrokenRuleError, expect, rule
from smalltext_testing.subject import Subject, difference, same_bits
from smalltext_testing.texts import training_texts

_TRAINING = ("train_set", "dataset", "y", "x", "labels", "texts")
_PREDICTING = ("data_set", "dataset", "x", "texts")


def expect_refusal(action: Callable[[], Any], what: str, names: tuple[str, ...]) -> None:
    """Expect an exception of smalltext_core.errors whose message names the argument."""
    expected = f"an exception of smalltext_core.errors whose message names the argument ({names[0]})"
    try:
        action()
    except SmallTextError as error:
        words = set(re.findall(r"\w+", str(error)))
        expect(
            words & set(names), seen=f"{what} is refused without naming the argument: {error}", expected=expected
        )
    except Exception as error:
        raise BrokenRuleError(f"{what} ends in {type(error).__name__}: {str(error)[:200]}", expected) from error
    else:
        raise BrokenRuleError(f"{what} is accepted", expected)


def _fit(subject: Subject, train_set: Any, weights: Any = None) -> Callable[[], Any]:
    if weights is None:
        return lambda: subject.new().fit(train_set)
    return lambda: subject.new().fit(train_set, weights=weights)


@rule(7)
def check_empty_training_set_is_refused(subject: Subject) -> None:
    """Training on no texts at all is refused.

    It happens when a filter goes wrong. What a backend says of its own accord ("zero-size array to reduction
    operation") does not help to find it.

    What to do: begin fit with smalltext_core.validation.training_data.
    """
    y = list_to_csr([], subject.num_classes) if subject.multi_label else []
    expect_refusal(_fit(subject, TextDataset([], y)), "an empty training set", _TRAINING)


@rule(7)
def check_labels_out_of_range_are_refused(subject: Subject) -> None:
    """A label that is num_classes or above is refused.

    It is silently dropped otherwise, widens the model's output, or ends in an index error deep inside.

    What to do: begin fit with smalltext_core.validation.training_data.
    """
    wider = subject.num_classes + 1
    if subject.multi_label:
        rows = csr_to_list(subject.train_set.y)
        y: Any = list_to_csr([[wider - 1], *rows[1:]], wider)
    else:
        y = np.array(subject.train_set.y)
        y[0] = wider - 1
    what = f"the label {wider - 1} among {subject.num_classes} classes"
    expect_refusal(_fit(subject, TextDataset(subject.train_set.x, y)), what, (*_TRAINING, "num_classes"))


@rule(7)
def check_unlabelled_rows_are_refused(subject: Subject) -> None:
    """A training set with a row that is LABEL_UNLABELED or LABEL_IGNORED is refused.

    These markers are negative numbers. A model takes -1 for a class of its own, or for the last one.

    What to do: begin fit with smalltext_core.validation.training_data.
    """
    for marker, name in ((LABEL_UNLABELED, "LABEL_UNLABELED"), (LABEL_IGNORED, "LABEL_IGNORED")):
        if subject.multi_label:
            rows = csr_to_list(subject.train_set.y)
            y: Any = list_to_csr([marker, *rows[1:]], subject.num_classes)
        else:
            y = np.array(subject.train_set.y)
            y[0] = marker
        expect_refusal(
            _fit(subject, TextDataset(subject.train_set.x, y)), f"a row marked {name} in training", _TRAINING
        )


@rule(7)
def check_wrong_kind_of_labels_is_refused(subject: Subject) -> None:
    """A multi-label set given to a single-label classifier is refused, and the other way round.

    Read as the other kind, labels become nonsense that trains without an error.

    What to do: begin fit with smalltext_core.validation.training_data.
    """
    other = training_texts(max(subject.num_classes, 2), not subject.multi_label)
    what = "a single-label set for a multi-label classifier"
    if is_multi_label(other.y):
        what = "a multi-label set for a single-label classifier"
    expect_refusal(_fit(subject, other), what, (*_TRAINING, "multi_label"))


@rule(7)
def check_none_among_texts_is_refused(subject: Subject) -> None:
    """None in the place of a text is refused, in training and in predicting.

    Tables deliver None for an empty cell. Made a string, it trains the word "none".

    What to do: begin fit with smalltext_core.validation.training_data and predict_proba with prediction_data of
    the same module.
    """
    holes: list[Any] = [*subject.train_set.x[:-1], None]
    train_set = TextDataset(subject.train_set.x, subject.train_set.y)
    train_set.x[:] = holes
    expect_refusal(_fit(subject, train_set), "None among the training texts", _TRAINING)
    data_set = TextDataset(subject.texts.x)
    data_set.x[0] = None  # type: ignore[call-overload]
    for method in (subject.fitted.predict, subject.fitted.predict_proba):
        expect_refusal(lambda method=method: method(data_set), "None among the texts to label", _PREDICTING)  # type: ignore[misc]


@rule(7)
def check_weights_of_another_length_are_refused(subject: Subject) -> None:
    """Weights that are not one for each text are refused.

    Cut short or repeated to fit, they weigh the wrong texts.

    What to do: begin fit with smalltext_core.validation.training_data.
    """
    count = len(subject.train_set)
    for weights in (np.ones(count - 1), np.ones(count + 1), np.ones((count, 1))):
        what = f"weights of shape {weights.shape} for {count} texts"
        expect_refusal(_fit(subject, subject.train_set, weights), what, ("weights",))


@rule(7)
def check_impossible_weights_are_refused(subject: Subject) -> None:
    """Weights that are NaN, infinite, negative or all zero are refused.

    NaN and infinity turn the whole model into NaN, a negative weight makes it learn to be wrong, and nothing can
    be learned from zeros.

    What to do: begin fit with smalltext_core.validation.training_data.
    """
    count = len(subject.train_set)
    for value in (float("nan"), float("inf"), -1.0):
        weights = np.linspace(0.5, 1.5, count)
        weights[0] = value
        expect_refusal(_fit(subject, subject.train_set, weights), f"a weight of {value}", ("weights",))
    expect_refusal(_fit(subject, subject.train_set, np.zeros(count)), "weights that are all zero", ("weights",))


@rule(7)
def check_predicting_before_fitting_is_refused(subject: Subject) -> None:
    """A classifier that was not fitted says so when it is asked for predictions, even of no texts at all.

    The usual "NoneType has no attribute" leaves the caller guessing; an empty answer hides that fit was forgotten.

    What to do: begin predict_proba with smalltext_core.validation.prediction_data, before the case of no texts,
    and let the factory's new() make a new classifier on each call.
    """
    expected = "smalltext_core.errors.NotFittedError"
    assert subject.fitted is not None
    for method in ("predict", "predict_proba"):
        for data_set in (subject.texts, TextDataset([])):
            what = f"{method} of {len(data_set)} texts before fit"
            try:
                getattr(subject.new(), method)(data_set)
            except NotFittedError:
                continue
            except Exception as error:
                raise BrokenRuleError(
                    f"{what} ends in {type(error).__name__}: {str(error)[:200]}", expected
                ) from error
            raise BrokenRuleError(f"{what} is answered", expected)


@rule(7)
def check_failed_fit_leaves_the_model_as_it_was(subject: Subject) -> None:
    """After a fit that was refused, the classifier predicts what it predicted before.

    An active learner that meets a bad batch goes on with the model it has; it must not find half of a new one.

    What to do: check everything first, train into local variables, and assign attributes in the last lines.
    """
    texts, y = subject.train_set.x, subject.train_set.y
    classifier = subject.new().fit(subject.train_set)
    before = classifier.predict_proba(subject.texts)
    nothing = list_to_csr([], subject.num_classes) if subject.multi_label else []
    unlabelled = list_to_csr([None] * len(texts), subject.num_classes) if subject.multi_label else None
    attempts: list[tuple[str, TextDataset, Any]] = [
        ("an empty training set", TextDataset([], nothing), None),
        ("unlabelled texts", TextDataset(texts, unlabelled), None),
        ("negative weights", TextDataset(texts, y), np.full(len(texts), -1.0)),
        ("too few weights", TextDataset(texts, y), np.ones(1)),
    ]
    for what, train_set, weights in attempts:
        try:
            classifier.fit(train_set) if weights is None else classifier.fit(train_set, weights=weights)
        except Exception:  # noqa: S110 - that it is refused, and how, is for the other checks of this rule
            pass
        else:
            before = classifier.predict_proba(subject.texts)
            continue
        try:
            after = classifier.predict_proba(subject.texts)
        except Exception as error:
            raise BrokenRuleError(
                f"after a fit on {what} failed, predict_proba raises {type(error).__name__}: {str(error)[:200]}",
                "the former model",
            ) from error
        expect(
            same_bits(after, before),
            seen=f"after a fit on {what} failed, other probabilities: {difference(after, before)}",
            expected="the former model, bit for bit",
        )
