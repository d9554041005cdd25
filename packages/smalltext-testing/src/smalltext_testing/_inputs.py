"""Rules 5 and 7: weights; invalid input is rejected before any work, and arguments are not changed or stored."""

from __future__ import annotations

import inspect
import re
import warnings
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np

from smalltext_core import LABEL_IGNORED, LABEL_UNLABELED, TextDataset, csr_to_list
from smalltext_core.errors import NotFittedError, SmallTextError, UnsupportedError
from smalltext_core.labels import Labels, is_multi_label
from smalltext_testing._check import (
    BrokenRuleError,
    attempt,
    difference,
    expect,
    expect_error,
    expect_same_bits,
    rule,
)
from smalltext_testing._context import CheckContext
from smalltext_testing.sample_data import training_texts

_ROUNDING = 1e-3
_TRAINING = ("train_set", "dataset", "y", "x", "labels", "texts")
_PREDICTION = ("data_set", "dataset", "x", "texts")


@rule(5)
def check_arguments_can_be_passed_by_name(context: CheckContext) -> None:
    """`fit` takes `train_set` and `weights` by name, `predict` and `predict_proba` take `data_set`.

    Why: Code that swaps classifiers needs it: the second argument of `fit` may be weights or a validation set.
    What to do: name the arguments as smalltext_core.AnyClassifier does. Other arguments of `fit` need defaults.
    """
    fit, fitted, texts = inspect.signature(context.unfitted.fit), context.fitted, context.texts
    calls: dict[str, tuple[Any, dict[str, Any]]] = {
        "fit(train_set=..., weights=...)": (fit.bind, {"train_set": context.train_set, "weights": None}),
        "predict(data_set=...)": (fitted.predict, {"data_set": texts}),
        "predict_proba(data_set=...)": (fitted.predict_proba, {"data_set": texts}),
    }
    for what, (call, arguments) in calls.items():
        _, error = attempt(call, **arguments)
        expect(not isinstance(error, TypeError), seen=f"{what} raises {error!r}", expected="no TypeError")
        if error is not None:
            raise error


@rule(5)
def check_weights_of_one_equal_no_weights(context: CheckContext) -> None:
    """Weights that are all 1 give the same classifier as no weights.

    Why: Callers who compute weights should be able to switch them off with ones, as a list or an array.
    What to do: begin fit with smalltext_core.validation.training_data, which turns ones into None; look for
    weights that are divided by their sum in one case and not in the other.
    """
    context.require_repeatable()
    classifier = context.fit_weighted(context.train_set, [1.0] * len(context.train_set))
    expect_same_bits(classifier.predict_proba(context.texts), context.proba)


@rule(5)
def check_scale_of_weights_does_not_matter(context: CheckContext) -> None:
    """Weights that are all multiplied by one number give the same classifier.

    Why: Only the ratios of weights have a meaning. Their scale would act as a regularisation or learning rate.
    What to do: begin fit with smalltext_core.validation.training_data, which divides weights by their mean.
    """
    context.require_repeatable()
    once = context.weighted_proba
    for scale in (7.0, 1e-300, 1e300):
        classifier = context.fit_weighted(context.train_set, context.unequal_weights * scale)
        again = np.asarray(classifier.predict_proba(context.texts))
        expect(
            again.shape == once.shape and bool((np.abs(again - once) <= _ROUNDING).all()),
            seen=f"other probabilities when all weights are multiplied by {scale:g}: {difference(again, once)}",
            expected=f"differences of at most {_ROUNDING}",
        )


@rule(5)
def check_zero_weight_equals_absence(context: CheckContext) -> None:
    """A text with a weight of 0 has no influence on what is learned.

    Why: A weight of 0 withdraws a label without changing the arrays; here, that of the same text, wrong.
    What to do: begin fit with smalltext_core.validation.training_data, which removes such texts.
    """
    context.require_learning()
    some, none = context.margin_of_nine_to_one, context.margin_of_weights(1, 0)
    seen = f"right labels are preferred by {none:.3f} (at most 1) with weights 1 : 0, and by {some:.3f} with 9 : 1"
    expect(none >= some / 2, seen=seen, expected="the first to be similar or greater")


@rule(5)
def check_weights_are_honoured(context: CheckContext) -> None:
    """Where labels contradict one another, those with the greater weight prevail.

    Why: A classifier that accepts and ignores weights gives wrong results without a warning.
    What to do: multiply the loss of each text by its weight before the mean, in multi-label problems too, and look
    for weights that are no longer in the order of the texts after a split or a shuffle. A model that does not
    support weights raises smalltext_core.errors.UnsupportedError.
    """
    context.require_learning()
    right, wrong = context.margin_of_nine_to_one, context.margin_of_weights(1, 9)
    seen = (
        f"right labels are preferred by {right:.3f} (at most 1) with weights 9 : 1, and by {wrong:.3f} with 1 : 9"
    )
    expect(right > wrong + 0.05, seen=seen, expected="the first to be clearly greater")


@rule(5)
def check_second_fit_uses_its_own_weights(context: CheckContext) -> None:
    """A second fit uses the weights that it is given, and none if it is given none.

    Why: An active learner trains one classifier many times, with other weights each time. If they are used in the
    first training only, or kept for the next one, the others are wrong without a warning.
    What to do: pass weights from function to function as an argument; do not make them an attribute, and do not
    create the weighted loss or sampler only once.
    """
    context.require_fits_from_scratch()
    context.require_repeatable()
    weighted, (classifier, _) = context.weighted_proba, context.opposite
    found = classifier.fit(context.train_set, weights=context.unequal_weights.copy()).predict_proba(context.texts)
    what = "after a fit without weights and another one with weights, other probabilities than those of"
    expect_same_bits(found, weighted, f"{what} a new classifier that is trained with these weights")
    found = classifier.fit(context.train_set).predict_proba(context.texts)
    what = "after a fit with weights and another one without, other probabilities than those of"
    expect_same_bits(found, context.proba, f"{what} a new classifier that is trained without weights")


def _expect_refusal(
    what: str, names: tuple[str, ...], call: Callable[..., Any], *data: Any, **weights: Any
) -> None:
    """Expect an exception of smalltext_core.errors whose message names the argument."""
    expected = f"an exception of smalltext_core.errors whose message names the argument ({names[0]})"
    error = expect_error(SmallTextError, expected, what, call, *data, **weights)
    words = set(re.findall(r"\w+", str(error)))
    expect(words & set(names), seen=f"the message does not name the argument: {error}", expected=expected)


def _with_first_label(context: CheckContext, label: Any, num_classes: int | None = None) -> TextDataset:
    """Return the training set with another label, or marker, of its first text."""
    y = context.train_set.y
    return TextDataset(context.train_set.x, context.labels([label, *_as_rows(y)[1:]], num_classes))


@rule(7)
def check_empty_training_set_is_refused(context: CheckContext) -> None:
    """Training on no texts at all is refused.

    Why: It happens when a filter goes wrong; "zero-size array to reduction operation" does not help to find it.
    What to do: begin fit with smalltext_core.validation.training_data.
    """
    train_set = TextDataset([], context.labels([]))
    _expect_refusal("fit on an empty training set", _TRAINING, context.new().fit, train_set)


@rule(7)
def check_labels_out_of_range_are_refused(context: CheckContext) -> None:
    """A label that is num_classes or above is refused.

    Why: Otherwise it is dropped silently, widens the model's output, or causes an index error.
    What to do: begin fit with smalltext_core.validation.training_data.
    """
    label = context.num_classes
    train_set = _with_first_label(context, [label] if context.multi_label else label, label + 1)
    what = f"fit on the label {label} with num_classes={label}"
    _expect_refusal(what, (*_TRAINING, "num_classes"), context.new().fit, train_set)


@rule(7)
def check_unlabelled_rows_are_refused(context: CheckContext) -> None:
    """A training set with a text marked LABEL_UNLABELED or LABEL_IGNORED is refused.

    Why: These markers are negative numbers. A model takes -1 for another class, or for the last one.
    What to do: begin fit with smalltext_core.validation.training_data.
    """
    for marker, name in ((LABEL_UNLABELED, "LABEL_UNLABELED"), (LABEL_IGNORED, "LABEL_IGNORED")):
        train_set = _with_first_label(context, marker)
        _expect_refusal(f"fit on a text marked {name}", _TRAINING, context.new().fit, train_set)


@rule(7)
def check_wrong_kind_of_labels_is_refused(context: CheckContext) -> None:
    """A multi-label dataset is refused by a single-label classifier, and the other way round.

    Why: Labels that are read as the other kind train a meaningless model without an error.
    What to do: begin fit with smalltext_core.validation.training_data.
    """
    other = training_texts(max(context.num_classes, 2), not context.multi_label)
    what = f"fit on a dataset with is_multi_label={other.is_multi_label}"
    _expect_refusal(what, (*_TRAINING, "multi_label"), context.new().fit, other)


@rule(7)
def check_none_among_texts_is_refused(context: CheckContext) -> None:
    """None in place of a text is rejected, in training and in prediction.

    Why: Tables contain None for an empty cell. Converted to a string, it trains the word "none".
    What to do: begin fit with smalltext_core.validation.training_data, and predict_proba with prediction_data.
    """
    train_set, data_set = (TextDataset(each.x, each.y) for each in (context.train_set, context.texts))
    train_set.x[-1] = data_set.x[0] = None  # type: ignore[call-overload]
    _expect_refusal("fit on None among texts", _TRAINING, context.new().fit, train_set)
    for name in ("predict", "predict_proba"):
        _expect_refusal(f"{name} of None among texts", _PREDICTION, getattr(context.fitted, name), data_set)


@rule(7)
def check_weights_of_wrong_length_are_refused(context: CheckContext) -> None:
    """Weights are refused unless there is one for each text.

    Why: Truncated or repeated to fit, they weigh the wrong texts.
    What to do: begin fit with smalltext_core.validation.training_data.
    """
    count = len(context.train_set)
    for weights in (np.ones(count - 1), np.ones(count + 1), np.ones((count, 1))):
        what = f"fit on {count} texts with weights of shape {weights.shape}"
        _expect_refusal(what, ("weights",), context.new().fit, context.train_set, weights=weights)


@rule(7)
def check_invalid_weights_are_refused(context: CheckContext) -> None:
    """Weights that are NaN, infinite, negative or all zero are refused.

    Why: NaN and infinity turn the whole model into NaN, and a negative weight trains it to be wrong.
    What to do: begin fit with smalltext_core.validation.training_data.
    """
    count = len(context.train_set)
    cases = {
        f"a weight of {value}": [value, *np.linspace(0.5, 1.5, count - 1)] for value in (np.nan, np.inf, -1.0)
    }
    for what, weights in {**cases, "weights that are all zero": np.zeros(count)}.items():
        fit = context.new().fit
        _expect_refusal(f"fit with {what}", ("weights",), fit, context.train_set, weights=np.array(weights))


@rule(7)
def check_predicting_before_fitting_is_refused(context: CheckContext) -> None:
    """A classifier that is not fitted raises NotFittedError when it predicts, even for no texts.

    Why: "NoneType has no attribute" does not explain the cause; an empty result hides that fit was forgotten.
    What to do: begin predict_proba with smalltext_core.validation.prediction_data, before the case of no texts,
    and let the factory's new() make a new classifier on each call.
    """
    assert context.fitted is not None  # trained first, since a factory may return the same object
    for name in ("predict", "predict_proba"):
        for data_set in (context.texts, TextDataset([])):
            what, method = f"{name} of {len(data_set)} texts before fit", getattr(context.new(), name)
            expect_error(NotFittedError, "smalltext_core.errors.NotFittedError", what, method, data_set)


@rule(7)
def check_failed_fit_keeps_the_model(context: CheckContext) -> None:
    """After a fit that was refused, predictions are the same as before it.

    Why: An active learner that meets an invalid batch continues with its model, which must not be half replaced.
    What to do: check everything first, train into local variables, and assign attributes in the last lines.
    """
    texts, y = context.train_set.x, context.train_set.y
    classifier = context.new().fit(context.train_set)
    before = classifier.predict_proba(context.texts)
    unlabelled = context.labels([LABEL_UNLABELED] * len(texts))
    attempts: list[tuple[str, TextDataset, dict[str, Any]]] = [
        ("an empty training set", TextDataset([], context.labels([])), {}),
        ("unlabelled texts", TextDataset(texts, unlabelled), {}),
        ("negative weights", TextDataset(texts, y), {"weights": np.full(len(texts), -1.0)}),
        ("too few weights", TextDataset(texts, y), {"weights": np.ones(1)}),
    ]
    for what, train_set, arguments in attempts:
        _, refused = attempt(classifier.fit, train_set, **arguments)
        after, error = attempt(classifier.predict_proba, context.texts)
        expect(error is None, seen=f"after a fit on {what}, predict_proba raises {error!r}", expected="no error")
        if refused is not None:  # other checks test whether and how it is refused
            expect_same_bits(after, before, f"after a fit on {what} failed, other probabilities")
        before = after


def _as_rows(y: Labels) -> list[Any]:
    """Return labels as comparable lists."""
    return csr_to_list(y) if is_multi_label(y) else y.tolist()


def _overwrite(y: Labels) -> None:
    """Try to change labels in place, like a caller who does not know that they are read-only."""
    with suppress(ValueError), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scipy warns that this is slow before it raises
        y[0] = 0
    if is_multi_label(y):
        with suppress(ValueError):
            y.data[:] = 0


@rule(7)
def check_fit_uses_current_labels(context: CheckContext) -> None:
    """Training on a dataset whose labels were changed uses the labels that the dataset has now.

    Why: An active learner labels texts and trains again on the same dataset. A classifier that caches by the
    identity of a dataset, or reads stored zeros of a matrix, learns old labels.
    What to do: read data_set.y in every fit, and keep nothing of a dataset from one fit to the next.
    """
    context.require_repeatable()
    dataset = context.train_set.clone()
    classifier = context.new().fit(dataset)
    _overwrite(dataset.y)
    _overwrite(dataset[:].y)
    dataset.y = context.opposite_labels
    _overwrite(dataset.y)
    classifier = context.new() if context.attribute("warm_start") else classifier
    found = classifier.fit(dataset).predict_proba(context.texts)
    _, wanted = context.opposite
    expect_same_bits(found, wanted, "other probabilities than with a new dataset of these labels")


@rule(7)
def check_dataset_changed_after_training_does_not_matter(context: CheckContext) -> None:
    """Changing the training set after fit does not change the classifier.

    Why: The labels of a pool change while a classifier that was trained on it is in use.
    What to do: keep what was learned, not the dataset.
    """
    dataset = context.train_set.clone()
    classifier = context.new().fit(dataset)
    before = np.array(classifier.predict_proba(context.texts))
    dataset.y = context.opposite_labels
    dataset.x[:] = ["something else entirely"] * len(dataset)
    expect_same_bits(classifier.predict_proba(context.texts), before, "other probabilities after it")


@rule(7)
def check_datasets_are_not_changed(context: CheckContext) -> None:
    """Training and predicting leave the texts and the labels of a dataset as they are.

    Why: The caller uses them further: an active learner its pool, a comparison with the next classifier.
    What to do: work on copies, such as `[text.lower() for text in data_set.x]`, and set no attribute of a dataset.
    """
    texts = [f" {text.title()} " for text in context.train_set.x]  # cleaning would change them
    classifier = context.new()
    for name in ("fit", "predict", "predict_proba", "embed", "validate"):
        method = getattr(classifier, name, None)
        if method is None:
            continue
        y = context.train_set.y if name == "fit" else context.opposite_labels  # not the predicted labels
        dataset = TextDataset(texts, y, label_names=context.train_set.label_names)
        _, error = attempt(method, dataset)
        if error is not None and not isinstance(error, UnsupportedError):
            raise error
        same = _as_rows(dataset.y) == _as_rows(y)
        changed = [*(["texts"] if dataset.x != texts else []), *([] if same else ["labels"])]
        expect(not changed, seen=f"{name} changed the {' and the '.join(changed)}", expected="the same dataset")


@rule(7)
def check_read_only_arrays_work(context: CheckContext) -> None:
    """Weights and labels in read-only memory are accepted, and no argument of fit is changed.

    Why: Arrays that are memory-mapped, or shared between processes, are read-only. A classifier that normalises
    weights in place fails on them, and changes the caller's weights otherwise.
    What to do: begin fit with smalltext_core.validation.training_data, which copies weights.
    """
    context.require_repeatable()
    weights, locked = context.unequal_weights.copy(), context.unequal_weights.copy()
    locked.flags.writeable = False
    train_set, before = context.train_set, context.train_set
    proba = context.fit_weighted(train_set, weights).predict_proba(context.texts)
    same_data = train_set.x == before.x and _as_rows(train_set.y) == _as_rows(before.y)
    expect(
        bool((weights == locked).all()) and same_data,
        seen="other weights, texts or labels than before fit",
        expected="unchanged arguments of fit",
    )
    try:
        classifier = context.fit_weighted(context.train_set[:], locked)
    except ValueError as error:
        raise BrokenRuleError(f"fit raises {error!r}", "read-only arrays are accepted") from error
    expect_same_bits(classifier.predict_proba(context.texts[:]), proba)
