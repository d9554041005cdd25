"""Our early stopping handlers beside those of the installed small-text, over the same measurements."""

from __future__ import annotations

import math
import warnings

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

import smalltext_torch as ours
from architecture import packages

theirs = pytest.importorskip("small_text")

METRICS = ("train_loss", "train_acc", "val_loss", "val_acc")
NAN = math.nan


def metric_of(library, name):
    return library.Metric(name, lower_is_better=name.endswith("_loss"))


def handler_of(library, name, **parameters):
    return library.EarlyStopping(metric_of(library, name), **parameters)


def decisions(handler, history):
    """Return what a handler says of each check; with it says to stop, training ends."""
    said = []
    for epoch, measured in enumerate(history, start=1):
        said.append(bool(handler.check_early_stop(epoch, measured)))
        if said[-1]:
            break
    return said


def all_decisions(handler, history):
    return [bool(handler.check_early_stop(epoch, one)) for epoch, one in enumerate(history, start=1)]


# Few distinct values, so that equal ones, and differences of exactly min_delta, are common.
losses = some.integers(0, 8).map(lambda number: number / 4) | some.floats(0, 100)
accuracies = some.integers(0, 8).map(lambda number: number / 8) | some.floats(0, 1)
measurements = some.fixed_dictionaries(
    {"train_loss": losses, "train_acc": accuracies, "val_loss": losses, "val_acc": accuracies}
)
histories = some.lists(measurements, max_size=25)


@some.composite
def settings_of_handlers(draw, with_both=True):
    """Draw the name of a metric, and parameters of a handler."""
    name = draw(some.sampled_from(METRICS))
    of_patience = {
        "min_delta": draw(some.sampled_from([0, 1e-14, 0.125, 0.25, 1.0])),
        "patience": draw(some.integers(0, 4)),
    }
    value = accuracies if name.endswith("_acc") else losses
    of_threshold = {"patience": -1, "threshold": draw(value.filter(lambda threshold: threshold > 0))}
    kinds = [of_patience, of_threshold]
    if with_both:
        kinds.append({**of_threshold, **of_patience})
    return name, draw(some.sampled_from(kinds))


@settings(max_examples=150, deadline=None)
@given(settings_of_handlers(), histories)
def test_a_handler_stops_at_the_same_check(handler, history):
    name, parameters = handler
    said = decisions(handler_of(ours, name, **parameters), history)
    assert said == decisions(handler_of(theirs, name, **parameters), history)


@settings(max_examples=60, deadline=None)
@given(settings_of_handlers(), histories, some.data())
def test_a_check_without_a_validation_set_counts_in_neither(handler, history, data):
    name, parameters = handler
    rows = data.draw(some.sets(some.integers(1, 30)))
    history = [{**one, name: None} if row in rows else one for row, one in enumerate(history)]
    said = decisions(handler_of(ours, name, **parameters), history)
    assert said == decisions(handler_of(theirs, name, **parameters), history)


@settings(max_examples=60, deadline=None)
@given(some.lists(settings_of_handlers(), min_size=1, max_size=3), histories)
def test_any_of_several_stops(handlers, history):
    mine = ours.EarlyStoppingOrCondition([handler_of(ours, name, **of) for name, of in handlers])
    other = theirs.EarlyStoppingOrCondition([handler_of(theirs, name, **of) for name, of in handlers])
    assert decisions(mine, history) == decisions(other, history)


@settings(max_examples=60, deadline=None)
@given(some.lists(settings_of_handlers(with_both=False), min_size=1, max_size=3), histories)
def test_all_of_several_stop_where_every_single_one_of_theirs_does(handlers, history):
    mine = ours.EarlyStoppingAndCondition([handler_of(ours, name, **of) for name, of in handlers])
    single = [all_decisions(handler_of(theirs, name, **of), history) for name, of in handlers]
    assert all_decisions(mine, history) == [all(said) for said in zip(*single, strict=True)]


@settings(max_examples=20, deadline=None)
@given(histories)
def test_the_handler_that_never_stops_never_stops(history):
    assert all_decisions(ours.NoopEarlyStopping(), history) == all_decisions(theirs.NoopEarlyStopping(), history)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("val_loss", {"min_delta": -0.1}),
        ("val_loss", {"patience": -1}),
        ("val_loss", {"patience": -1, "threshold": -1.0}),
        ("val_acc", {"threshold": 1.5}),
        ("train_acc", {"threshold": -0.5}),
    ],
)
def test_both_refuse_what_cannot_be_meant(name, parameters):
    for library in (ours, theirs):
        with pytest.raises(ValueError, match="patience|min_delta|threshold"):
            handler_of(library, name, **parameters)


@pytest.mark.parametrize("epoch", [0, -1])
def test_both_count_epochs_from_one(epoch):
    for library in (ours, theirs):
        with pytest.raises(ValueError, match="epoch"):
            handler_of(library, "val_loss").check_early_stop(epoch, {"val_loss": 1.0})


def of_losses(*values):
    return [{"val_loss": value} for value in values]


def patient(library):
    return handler_of(library, "val_loss", patience=1)


def in_two_trainings(library):
    """Return a handler that has seen one training, as `fit` would begin the next one with it."""
    handler = patient(library)
    all_decisions(handler, of_losses(0.1))
    if hasattr(handler, "reset"):
        handler.reset()
    return handler


def of_both_thresholds(library):
    return library.EarlyStoppingAndCondition(
        [
            handler_of(library, "train_acc", patience=-1, threshold=0.9),
            handler_of(library, "val_loss", patience=-1, threshold=0.5),
        ]
    )


DIFFERENCES = {
    "a value that is not a number": (
        patient,
        of_losses(1.0, NAN, NAN, NAN),
        [False, False, True, True],
        [False, False, False, False],
    ),
    "a first value that is not a number": (
        patient,
        of_losses(NAN, 3.0, 2.0, 1.0),
        [False, False, False, False],
        [False, False, True, True],
    ),
    "a first check without a validation set": (
        patient,
        of_losses(None, 3.0, 2.0, 1.0),
        [False, False, False, False],
        [False, False, True, True],
    ),
    "`EarlyStoppingAndCondition`": (
        of_both_thresholds,
        [{"train_acc": 0.95, "val_loss": 1.0}, {"train_acc": 0.95, "val_loss": 0.4}],
        [False, True],
        [True, True],
    ),
    "a handler that is used again": (
        in_two_trainings,
        of_losses(1.0, 0.9, 0.8),
        [False, False, False],
        [False, True, True],
    ),
}
"""What differs on purpose: a handler, measurements, and what ours and small-text's say. The page says why."""


@pytest.mark.parametrize("difference", DIFFERENCES)
def test_a_difference_is_as_the_page_says(difference):
    make, history, said_by_ours, said_by_theirs = DIFFERENCES[difference]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        assert all_decisions(make(ours), history) == said_by_ours
        assert all_decisions(make(theirs), history) == said_by_theirs
    page = (packages.TOP / "docs" / "migration.md").read_text(encoding="utf-8")
    assert difference in page


@pytest.mark.parametrize("unknown", ["valid_loss", "f1", ""])
def test_an_unknown_metric_is_refused_where_theirs_never_stops(unknown):
    with pytest.raises(ValueError, match="metric"):
        handler_of(ours, unknown)
    handler = handler_of(theirs, unknown, patience=0)
    assert not any(all_decisions(handler, of_losses(1.0, 2.0, 3.0)))


@pytest.mark.parametrize("condition", ["EarlyStoppingOrCondition", "EarlyStoppingAndCondition"])
def test_a_condition_of_no_handlers_is_refused_where_theirs_never_stops(condition):
    with pytest.raises(ValueError, match="early_stopping_handlers"):
        getattr(ours, condition)([])
    assert not any(all_decisions(getattr(theirs, condition)([]), of_losses(1.0, 2.0)))
