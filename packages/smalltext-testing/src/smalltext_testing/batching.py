"""Rule 11: what is predicted for a text depends on the model and that text alone."""

from __future__ import annotations

from typing import Any

import numpy as np

from smalltext_core.dataset import TextDataset
from smalltext_core.probabilities import Probabilities
from smalltext_testing.check import expect, not_applicable, rule
from smalltext_testing.subject import Subject

_ROUNDING = 1e-5


def _expect_close(proba: Probabilities, subject: Subject, what: str) -> None:
    gaps = np.abs(np.asarray(proba, dtype=np.float64) - subject.proba).max(axis=1)
    worst = int(gaps.argmax())
    expect(
        gaps[worst] <= _ROUNDING,
        seen=f"{what}, the probabilities of {int((gaps > _ROUNDING).sum())} of {len(gaps)} texts differ, of "
        f"{subject.texts.x[worst][:40]!r} by {gaps[worst]:.3g}",
        expected=f"differences of at most {_ROUNDING}, the rounding of float32",
    )


@rule(11)
def check_neighbours_do_not_matter(subject: Subject) -> None:
    """A text has the same probabilities alone and among others, shorter and longer ones.

    Padding that leaks into a mean, or statistics of the batch, make a text's answer depend on who stands beside
    it; results cannot be repeated then, nor cached.

    What to do: mask the padding in attention, pooling and convolution; put the network into evaluation mode.
    """
    alone = [subject.fitted.predict_proba(subject.texts[row]) for row in range(len(subject.texts))]
    _expect_close(np.concatenate(alone), subject, "one at a time")
    long = TextDataset([*subject.texts.x, " ".join(subject.train_set.x * 3)])
    _expect_close(subject.fitted.predict_proba(long)[:-1], subject, "beside a very long text")


@rule(11)
def check_results_come_back_in_order(subject: Subject) -> None:
    """In whatever order texts are given, each row of the result belongs to the text at its place.

    Backends sort texts by length to save padding; one that forgets to sort back gives every text the answer of
    another.

    What to do: keep the permutation, and write results to `result[order]`.
    """
    count = len(subject.texts)
    order = np.random.default_rng(0).permutation(count)
    for rows in (order, np.arange(count)[::-1]):
        proba = subject.fitted.predict_proba(TextDataset([subject.texts.x[row] for row in rows]))
        back = np.empty_like(proba)
        back[rows] = proba
        _expect_close(back, subject, "in another order")


@rule(11)
def check_batch_size_does_not_matter(subject: Subject) -> None:
    """Other batch sizes (the attribute mini_batch_size) give the same probabilities.

    Batch size is a matter of memory and speed. If it changes answers, a model behaves otherwise on a larger
    machine.

    What to do: as for neighbours; look also at the last, smaller batch, and at sums that are divided by the
    batch size.
    """
    fitted = subject.fitted
    given = getattr(fitted, "mini_batch_size", None)
    if given is None:
        raise not_applicable("the classifier has no attribute mini_batch_size")
    try:
        for size in (1, 3, 1000):
            fitted.mini_batch_size = size
            _expect_close(fitted.predict_proba(subject.texts), subject, f"with mini_batch_size={size}")
    finally:
        fitted.mini_batch_size = given


@rule(11)
def check_predictions_are_made_in_evaluation_mode(subject: Subject) -> None:
    """After model.train() predictions are the same: they are made in evaluation mode, and the mode stays.

    A step of the user's own, or a library that explains predictions, may leave a network in training mode.
    Dropout is active then, and every prediction is another one, without an error or a warning.

    What to do: switch each module to evaluation mode around every prediction (predict, predict_proba, embed,
    validate), and restore the mode of each; `smalltext_torch.inference.evaluation_mode` does.
    """
    fitted = subject.fitted
    model: Any = getattr(fitted, "model", None)
    if not (callable(getattr(model, "train", None)) and callable(getattr(model, "eval", None))):
        raise not_applicable("the classifier has no attribute model with train() and eval()")
    before, modes = _predictions(subject), _modes(model)
    try:
        model.train()
        wanted = _modes(model)
        after = _predictions(subject)
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
            _modes(model) == wanted,
            seen="modules that were in training mode are in evaluation mode after predictions",
            expected="each module in the mode that it was in",
        )
    finally:
        for module, training in modes:
            module.training = training


def _predictions(subject: Subject) -> dict[str, Any]:
    """Return everything that a classifier says of the unseen texts, by the name of the method that says it."""
    fitted = subject.fitted
    results: dict[str, Any] = {"predict_proba": fitted.predict_proba(subject.texts)}
    if callable(getattr(fitted, "embed", None)):
        results["embed"] = fitted.embed(subject.texts)
    if callable(getattr(fitted, "validate", None)):
        results["validate"] = fitted.validate(subject.train_set)
    return results


def _close(one: Any, other: Any) -> bool:
    return bool(np.allclose(one, other, rtol=_ROUNDING, atol=_ROUNDING))


def _modes(model: Any) -> list[tuple[Any, bool]]:
    """Return the modules of a network, and whether each is in training mode."""
    modules = model.modules() if callable(getattr(model, "modules", None)) else [model]
    return [(module, module.training) for module in modules if hasattr(module, "training")]
