"""Rules 2, 3, 10 and 11: predicted labels, unusual texts, copies, and independence of batches and order."""

from __future__ import annotations

import copy
import pickle
from contextlib import suppress
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix

from smalltext_core import TextDataset
from smalltext_core.errors import UnsupportedError
from smalltext_core.probabilities import Probabilities
from smalltext_testing._check import NotApplicableError, expect, expect_same_bits, rule, with_article
from smalltext_testing._context import CheckContext
from smalltext_testing._probabilities import expect_probabilities, expect_rows_sum_to_one
from smalltext_testing.sample_data import joined, unusual_texts

_ROUNDING = 1e-5
_COPIES = 12
"""The number of copies of each text for several batches; usual batches have up to 128 texts."""


def _expect_labels(labels: Any, count: int, context: CheckContext, what: str) -> None:
    """Expect the type and the shape of predicted labels."""
    kind: type = csr_matrix if context.multi_label else np.ndarray
    shape = (count, context.num_classes) if context.multi_label else (count,)
    found = getattr(labels, "dtype", None), getattr(labels, "shape", None)
    expect(
        isinstance(labels, kind) and found == (np.int32, shape),
        seen=f"{what} gave {with_article(type(labels))} of {found[0]}, shape {found[1]}",
        expected=f"{with_article(kind)} of int32, shape {shape}",
    )


@rule(2)
def check_single_label_predictions_are_int32(context: CheckContext) -> None:
    """Single-label predictions are an int32 array of shape (n,), with numbers from 0 to num_classes - 1.

    Why: Predicted labels are compared with those of datasets, and written into them; with a column vector or
    floats the comparison gives a matrix, or no matches at all.
    What to do: end predict with `smalltext_core.probabilities.to_labels(proba, multi_label=False)`.
    """
    if context.multi_label:
        raise NotApplicableError("the problem is multi-label")
    labels = context.fitted.predict(context.texts)
    _expect_labels(labels, len(context.texts), context, "predict")
    outside = labels[(labels < 0) | (labels >= context.num_classes)]
    expect(
        outside.size == 0,
        seen=f"the labels {outside[:3].tolist()}",
        expected=f"class numbers from 0 to {context.num_classes - 1}",
    )


@rule(2)
def check_multi_label_predictions_are_csr(context: CheckContext) -> None:
    """Multi-label predictions are a csr_matrix of int32, shape (n, num_classes), which stores only ones.

    Why: Code that reads the `indices` of the matrix takes a stored 0 or 2 for a label.
    What to do: end predict with `smalltext_core.probabilities.to_labels(proba, multi_label=True)`.
    """
    if not context.multi_label:
        raise NotApplicableError("the problem is single-label")
    labels = context.fitted.predict(context.texts)
    _expect_labels(labels, len(context.texts), context, "predict")
    expect(
        (labels.data == 1).all(),
        seen=f"stored entries {np.unique(labels.data).tolist()}",
        expected="only ones; a class that does not apply has no entry",
    )


@rule(2)
def check_predictions_agree_with_probabilities(context: CheckContext) -> None:
    """The label is the most probable class or, in multi-label problems, every class above its threshold.

    Why: If labels and probabilities disagree, one of them is wrong. "Above" is strict: `proba > threshold`, with
    the attribute multi_label_threshold_ of the fitted classifier, else multi_label_threshold, else 0.5. Each is
    one number, or one for each class.
    What to do: compute labels from the same probabilities, with smalltext_core.probabilities.to_labels.
    """
    labels, proba = context.fitted.predict(context.texts), np.asarray(context.proba)
    if context.multi_label:
        dense, threshold = (
            labels.toarray() if hasattr(labels, "toarray") else np.asarray(labels),
            context.threshold,
        )
        expect(
            threshold.shape in ((), (context.num_classes,)),
            seen=f"thresholds of shape {threshold.shape}",
            expected=f"one number, or one for each of the {context.num_classes} classes",
        )
        wrong = (dense > 0) != (proba > threshold)
        example = f"{dense[wrong][:1].tolist()} for a probability of {proba[wrong][:1].tolist()}"
        expected = f"1 exactly where the probability is greater than {threshold}"
    else:
        flat = np.asarray(labels).reshape(-1).astype(np.intp)
        wrong = proba[np.arange(len(proba)), np.clip(flat, 0, context.num_classes - 1)] < proba.max(axis=1)
        example = f"{flat[wrong][:1].tolist()} for {proba[wrong][:1].tolist()}"
        expected = "the number of the most probable class"
    expect(not wrong.any(), seen=f"{int(wrong.sum())} labels differ, such as {example}", expected=expected)


@rule(2)
def check_return_proba_gives_the_same_results(context: CheckContext) -> None:
    """predict(..., return_proba=True) gives the labels of predict and the probabilities of predict_proba.

    Why: It saves a second pass over the texts; nobody who uses it expects other numbers or another type.
    What to do: compute the probabilities once, the labels from them, and return both.
    """
    both = context.fitted.predict(context.texts, return_proba=True)
    expect(
        isinstance(both, tuple) and len(both) == 2,
        seen=f"a {type(both).__name__}",
        expected="a tuple (labels, proba)",
    )
    labels, proba = both
    _expect_labels(labels, len(context.texts), context, "predict with return_proba=True")
    expect(isinstance(proba, np.ndarray), seen=f"a {type(proba).__name__} of probabilities", expected="an ndarray")
    expect_same_bits(proba, context.proba, expected="those of predict_proba")
    alone = context.fitted.predict(context.texts)
    same = (labels != alone).nnz == 0 if context.multi_label else np.array_equal(labels, alone)
    expect(same, seen="other labels than without return_proba", expected="the same labels")


def _expect_results(context: CheckContext, texts: TextDataset, what: str) -> Probabilities:
    """Expect labels and probabilities of the required form for texts, and return the probabilities."""
    fitted, count = context.fitted, len(texts)
    results: dict[str, tuple[Any, Probabilities]] = {
        f"of {what}": (fitted.predict(texts), fitted.predict_proba(texts)),
        f"of {what} with return_proba=True": fitted.predict(texts, return_proba=True),
    }
    for how, (labels, proba) in results.items():
        expect_probabilities(proba, count, context.num_classes, f"predict_proba {how}")
        _expect_labels(labels, count, context, f"predict {how}")
    return results[f"of {what}"][1]


@rule(3)
def check_no_texts_give_empty_results(context: CheckContext) -> None:
    """Labelling no texts gives empty results of the usual shapes and types.

    Why: A filter that matches nothing is not an error. Code that stacks results needs the shape (0, num_classes).
    What to do: return smalltext_core.probabilities.empty_probabilities(num_classes), and its labels as usual.
    """
    _expect_results(context, TextDataset([]), "no texts")


@rule(3)
def check_one_text_works(context: CheckContext) -> None:
    """Labelling a single text gives one row.

    Why: A squeezed dimension turns the answer for one text into a scalar, and the caller's loop fails.
    What to do: look for squeeze(), for indexing that drops a dimension, and for batch statistics of one row.
    """
    _expect_results(context, TextDataset(context.train_set.x[:1]), "one text")


@rule(3)
def check_unusual_texts_can_be_labelled(context: CheckContext) -> None:
    """Empty, blank, very long and unknown texts, emoji, any script and control characters can be labelled.

    Why: One such text must not stop the labelling of a million others.
    What to do: truncate long texts; represent a text without known words by zeros or the padding token; normalise
    logarithms of probabilities, since products over the words of a long text underflow to 0.
    """
    proba = _expect_results(context, unusual_texts(), "unusual texts")
    if not context.multi_label:
        expect_rows_sum_to_one(proba, unusual_texts())


@rule(3)
def check_unusual_texts_can_be_trained_on(context: CheckContext) -> None:
    """Empty, blank, very long and foreign texts may occur in a training set.

    Why: Labelled data contains them, and one of them must not end a training that ran for an hour.
    What to do: as for labelling; look also for a division by the length of a text.
    """
    plain, unusual = context.train_set, unusual_texts()
    rows = np.arange(len(unusual)) % len(plain)
    train_set = TextDataset(plain.x + unusual.x, joined(plain.y, plain.y[rows]))
    proba = context.new().fit(train_set).predict_proba(context.texts)
    expect_probabilities(proba, len(context.texts), context.num_classes, "predict_proba after training on them")


@rule(10)
def check_pickle_restores_the_classifier(context: CheckContext) -> None:
    """A fitted classifier gives the same probabilities bit for bit after pickling, also if it is trained then.

    Why: Process pools and schedulers send objects by pickle, and the caches of notebooks store them.
    What to do: look for lambdas, local classes, locks, open files and loggers among the attributes, and leave them
    out in __getstate__, but no parameter such as the seed. Libraries may attach them in embed, to a model that
    returns hidden states.
    """
    restored = pickle.loads(pickle.dumps(context.fitted))  # noqa: S301 - pickled by this process
    expect_same_bits(restored.predict_proba(context.texts), context.proba)
    if callable(getattr(restored, "embed", None)):
        with suppress(UnsupportedError):
            restored.embed(context.texts)
        pickle.dumps(restored)
    _expect_trains_like_a_new_one(restored, context, "a pickled classifier")


@rule(10)
def check_deepcopy_is_independent(context: CheckContext) -> None:
    """A deep copy predicts and trains the same bit for bit, and training it does not change the original.

    Why: Active learners keep a copy of the best model so far, and continue to train the original.
    What to do: as for pickle; look also for a __deepcopy__ that shares the model.
    """
    copied = copy.deepcopy(context.fitted)
    expect_same_bits(copied.predict_proba(context.texts), context.proba)
    _expect_trains_like_a_new_one(copied, context, "a copy")
    after = context.fitted.predict_proba(context.texts)
    expect_same_bits(after, context.proba, "after training the copy, other probabilities of the original")


def _expect_trains_like_a_new_one(classifier: Any, context: CheckContext, what: str) -> None:
    """Train a classifier; expect the probabilities of a new one, unless they differ from training to training."""
    proba = classifier.fit(context.opposite_train_set).predict_proba(context.texts)
    if context.fits_are_comparable:
        seen = f"after training {what}, other probabilities than those of a new classifier"
        expect_same_bits(proba, context.opposite[1], seen)


def _expect_close(proba: Probabilities, context: CheckContext, what: str) -> None:
    gaps = np.abs(np.asarray(proba, dtype=np.float64) - context.proba).max(axis=1)
    worst = int(gaps.argmax())
    expect(
        gaps[worst] <= _ROUNDING,
        seen=f"{what}, the probabilities of {int((gaps > _ROUNDING).sum())} of {len(gaps)} texts differ, of "
        f"{context.texts.x[worst][:40]!r} by {gaps[worst]:.3g}",
        expected=f"differences of at most {_ROUNDING}, the rounding of float32",
    )


@rule(11)
def check_neighbours_do_not_matter(context: CheckContext) -> None:
    """A text has the same probabilities alone and in a batch with shorter and longer texts.

    Why: If padding leaks into a mean, or the network uses statistics of the batch, results are not reproducible.
    What to do: mask the padding in attention, pooling and convolution; put the network into evaluation mode.
    """
    alone = [context.fitted.predict_proba(context.texts[row]) for row in range(len(context.texts))]
    _expect_close(np.concatenate(alone), context, "one at a time")
    long = TextDataset([*context.texts.x, " ".join(context.train_set.x * 3)])
    _expect_close(context.fitted.predict_proba(long)[:-1], context, "together with a very long text")


@rule(11)
def check_results_come_back_in_order(context: CheckContext) -> None:
    """Each row of the result belongs to the text at the same position, in whatever order texts are given.

    Why: Texts are sorted by length to save padding; without restoring the order each gets another one's result.
    What to do: keep the permutation, and write results to `result[order]`; look also at how batches are joined.
    """
    count = len(context.texts)
    rng = np.random.default_rng(0)
    for rows in (rng.permutation(count), np.arange(count)[::-1], rng.permutation(count * _COPIES) % count):
        proba = context.fitted.predict_proba(TextDataset([context.texts.x[row] for row in rows]))
        what = "in another order" if len(rows) == count else f"among {len(rows)} texts in another order"
        for places in np.argsort(rows, kind="stable").reshape(count, -1).T:
            _expect_close(proba[places], context, what)


@rule(11)
def check_batch_size_does_not_matter(context: CheckContext) -> None:
    """Other batch sizes (the attribute mini_batch_size) give the same probabilities.

    Why: Batch size should affect memory and speed only, or a model behaves differently on another machine.
    What to do: as for neighbours; look also at the last, smaller batch, and at a division by the batch size.
    """
    fitted = context.fitted
    given = getattr(fitted, "mini_batch_size", None)
    if given is None:
        raise NotApplicableError("the classifier has no attribute mini_batch_size")
    try:
        fitted.mini_batch_size = given
    except AttributeError as error:  # of a property or a frozen dataclass
        raise NotApplicableError("the attribute mini_batch_size cannot be set") from error
    try:
        for size in (1, 3, 1000):
            fitted.mini_batch_size = size
            _expect_close(fitted.predict_proba(context.texts), context, f"with mini_batch_size={size}")
    finally:
        fitted.mini_batch_size = given


@rule(11)
def check_predictions_are_made_in_evaluation_mode(context: CheckContext) -> None:
    """Predictions are made in evaluation mode, also after model.train(), and the mode is restored.

    Why: The caller, or a library that explains predictions, may leave a network in training mode. With dropout
    active every prediction is different, without an error or a warning.
    What to do: switch each module to evaluation mode around every prediction (predict, predict_proba, embed,
    validate), and restore the mode of each; `smalltext_torch.device.evaluation_mode` does.
    """
    model: Any = getattr(context.fitted, "model", None)
    if not (callable(getattr(model, "train", None)) and callable(getattr(model, "eval", None))):
        raise NotApplicableError("the classifier has no attribute model with train() and eval()")
    before, modes = _results(context), _training_modes(model)
    try:
        model.train()
        expected_modes = _training_modes(model)
        after = _results(context)
        changed = [
            name
            for name, value in before.items()
            if not np.allclose(value, after[name], rtol=_ROUNDING, atol=_ROUNDING)
        ]
        expect(
            not changed,
            seen=f"after model.train(), other results of {', '.join(changed)}",
            expected="the same results as before",
        )
        expect(
            _training_modes(model) == expected_modes,
            seen="modules that were in training mode are in evaluation mode after predictions",
            expected="each module in its previous mode",
        )
    finally:
        for module, training in modes:
            module.training = training


def _results(context: CheckContext) -> dict[str, Any]:
    """Return the results of all prediction methods."""
    fitted = context.fitted
    results: dict[str, Any] = {"predict_proba": fitted.predict_proba(context.texts)}
    if callable(getattr(fitted, "embed", None)):
        results["embed"] = fitted.embed(context.texts)
    if callable(getattr(fitted, "validate", None)):
        results["validate"] = fitted.validate(context.train_set)
    return results


def _training_modes(model: Any) -> list[tuple[Any, bool]]:
    """Return the modules of a network, and whether each is in training mode."""
    modules = model.modules() if callable(getattr(model, "modules", None)) else [model]
    return [(module, module.training) for module in modules if hasattr(module, "training")]
