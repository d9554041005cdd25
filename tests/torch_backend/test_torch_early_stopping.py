from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest

from smalltext_core.errors import InvalidInputError
from smalltext_torch import (
    EarlyStopping,
    EarlyStoppingAndCondition,
    EarlyStoppingHandler,
    EarlyStoppingOrCondition,
    Metric,
    NoopEarlyStopping,
)

LOSS = Metric("val_loss")
ACCURACY = Metric("train_acc", lower_is_better=False)


class Says:
    def __init__(self, answer: bool) -> None:
        self.answer = answer
        self.asked = 0

    def check_early_stop(self, epoch: int, measured_values: Any) -> bool:
        self.asked += 1
        return self.answer


def answers(handler: EarlyStoppingHandler, values: Iterable[float | None], name: str = "val_loss") -> list[bool]:
    return [handler.check_early_stop(epoch, {name: value}) for epoch, value in enumerate(values, start=1)]


def test_stops_when_patience_is_exhausted() -> None:
    assert answers(EarlyStopping(LOSS, patience=2), [3, 2, 2, 2, 2]) == [False, False, False, False, True]


def test_patience_is_the_number_of_checks_without_improvement() -> None:
    assert answers(EarlyStopping(LOSS, patience=2), [1, 2, 2, 2, 2, 2]) == [False] * 3 + [True] * 3


def test_patience_of_0_stops_at_the_first_check_without_improvement() -> None:
    assert answers(EarlyStopping(LOSS, patience=0), [3, 2, 2]) == [False, False, True]


def test_an_improvement_starts_the_count_again() -> None:
    assert answers(EarlyStopping(LOSS, patience=1), [3, 3, 2, 2, 1, 1, 1]) == [False] * 6 + [True]


def test_an_improvement_below_min_delta_does_not_count() -> None:
    assert answers(EarlyStopping(LOSS, min_delta=0.5, patience=0), [3, 2.6]) == [False, True]


def test_an_accuracy_improves_upwards() -> None:
    handler = EarlyStopping(ACCURACY, patience=0)

    assert answers(handler, [0.5, 0.6, 0.5], "train_acc") == [False, False, True]


def test_stops_beyond_the_threshold_at_once() -> None:
    handler = EarlyStopping(ACCURACY, patience=-1, threshold=0.9)

    assert answers(handler, [0.9, 0.5, 0.91], "train_acc") == [False, False, True]


def test_a_loss_crosses_its_threshold_downwards() -> None:
    assert answers(EarlyStopping(LOSS, patience=-1, threshold=0.1), [0.2, 0.05]) == [False, True]


def test_missing_metrics_never_stop() -> None:
    assert answers(EarlyStopping(LOSS, patience=0), [None, None, None]) == [False] * 3
    assert not EarlyStopping(LOSS, patience=0).check_early_stop(1, {})


def test_a_sequence_of_handlers_stops_only_when_all_do() -> None:
    assert not EarlyStoppingAndCondition([Says(True), Says(False)]).check_early_stop(1, {})
    assert EarlyStoppingAndCondition([Says(True), Says(True)]).check_early_stop(1, {})


def test_or_stops_when_any_does() -> None:
    assert EarlyStoppingOrCondition([Says(False), Says(True)]).check_early_stop(1, {})
    assert not EarlyStoppingOrCondition([Says(False), Says(False)]).check_early_stop(1, {})


@pytest.mark.parametrize("condition", [EarlyStoppingAndCondition, EarlyStoppingOrCondition])
@pytest.mark.parametrize("answer", [True, False])
def test_conditions_call_every_handler(condition: Any, answer: bool) -> None:
    handlers = [Says(answer), Says(not answer), Says(answer)]

    condition(handlers).check_early_stop(1, {})

    assert [handler.asked for handler in handlers] == [1, 1, 1]


def test_noop_never_stops() -> None:
    assert not NoopEarlyStopping().check_early_stop(1, {"val_loss": math.nan})


def test_reset_restores_the_initial_state() -> None:
    handler = EarlyStoppingOrCondition([EarlyStopping(LOSS, patience=1)])
    first = answers(handler, [1, 2, 2])

    handler.reset()

    assert answers(handler, [1, 2, 2]) == first == [False, False, True]


@pytest.mark.parametrize("patience", [1, np.int32(1), np.float64(1)])
def test_answers_are_python_booleans(patience: Any) -> None:
    given = answers(EarlyStopping(LOSS, patience=patience), map(np.float32, [2, 2, 2]))

    assert given == [False, False, True]
    assert {type(answer) for answer in given} == {bool}
    assert type(LOSS.improves(np.float32(1), np.float32(2))) is bool


def test_a_nan_loss_is_no_improvement() -> None:
    assert answers(EarlyStopping(LOSS, patience=2), [1, *[math.nan] * 3]) == [False, False, False, True]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"metric": LOSS, "min_delta": -1}, "min_delta"),
        ({"metric": LOSS, "patience": -1}, "patience"),
        ({"metric": ACCURACY, "threshold": 1.5}, "threshold"),
        ({"metric": Metric("val_f1")}, "metric"),
        ({"metric": "val_loss"}, "metric"),
        ({"metric": LOSS, "min_delta": "0"}, "min_delta"),
        ({"metric": LOSS, "patience": [5]}, "patience"),
        ({"metric": ACCURACY, "threshold": None}, "threshold"),
    ],
)
def test_invalid_arguments_are_refused(arguments: dict[str, Any], named: str) -> None:
    with pytest.raises(InvalidInputError, match=named):
        EarlyStopping(**arguments)


def test_epochs_count_from_1() -> None:
    with pytest.raises(InvalidInputError, match="epoch"):
        EarlyStopping(LOSS).check_early_stop(0, {"val_loss": 1.0})


@pytest.mark.parametrize("condition", [EarlyStoppingAndCondition, EarlyStoppingOrCondition])
@pytest.mark.parametrize(
    "handlers",
    [[], ["val_loss"], [EarlyStopping], EarlyStopping(LOSS), LOSS, "none", None, 5],
    ids=["none of them", "a name", "a class", "a handler", "a metric", "a word", "None", "a number"],
)
def test_conditions_of_anything_but_handlers_are_refused(condition: Any, handlers: Any) -> None:
    with pytest.raises(InvalidInputError, match="early_stopping_handlers"):
        condition(handlers)
