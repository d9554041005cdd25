from __future__ import annotations

from typing import Any

import pytest

from smalltext_core.errors import InvalidInputError
from smalltext_torch import Metric, ModelSelection, ModelSelectionHandler, NoopModelSelection


def add(selection: ModelSelectionHandler, **losses: tuple[float, float]) -> None:
    for name, (loss, accuracy) in losses.items():
        selection.add_model(name, None, {"val_loss": loss, "val_acc": accuracy})


def selected(selection: ModelSelectionHandler, *arguments: Any) -> str:
    result = selection.select(*arguments)
    assert result is not None
    return result.model_id


def test_the_least_validation_loss_is_selected() -> None:
    selection = ModelSelection()
    add(selection, a=(0.5, 0.9), b=(0.3, 0.1), c=(0.4, 0.9))

    assert selected(selection) == "b"


def test_the_next_metric_decides_between_equals_and_then_the_first_one_stays() -> None:
    selection = ModelSelection()
    add(selection, a=(0.5, 0.7), b=(0.5, 0.8), c=(0.5, 0.8))

    assert selected(selection) == "b"


def test_metrics_can_be_named() -> None:
    selection = ModelSelection()
    add(selection, a=(0.5, 0.9), b=(0.3, 0.1))

    assert selected(selection, "val_acc") == selected(selection, ["val_acc", "val_loss"]) == "a"


def test_nan_is_the_worst_value() -> None:
    selection = ModelSelection()
    add(selection, a=(float("nan"), 0.9), b=(0.3, 0.1))

    assert selected(selection) == "b"


def test_nothing_is_selected_without_models() -> None:
    assert ModelSelection().select() is None


def test_noop_selects_nothing() -> None:
    selection = NoopModelSelection()
    add(selection, a=(0.5, 0.9))

    assert selection.select() is None


def test_a_reset_removes_the_models() -> None:
    selection = ModelSelection()
    add(selection, a=(0.1, 0.9))
    selection.reset()
    add(selection, a=(0.5, 0.9))

    assert selected(selection) == "a"


def test_a_model_that_stopped_training_can_be_selected() -> None:
    selection = ModelSelection(fields_config={"early_stop": bool})
    add(selection, e1=(0.9, 0.5))
    selection.add_model("e2", None, {"val_loss": 0.1, "val_acc": 0.99}, {"early_stop": True})

    assert selected(selection) == "e2"


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"default_select_by": ["val_f1"]}, "default_select_by"),
        ({"default_select_by": [["val_loss"]]}, "default_select_by"),
        ({"default_select_by": Metric("val_loss")}, "default_select_by"),
        ({"default_select_by": None}, "default_select_by"),
        ({"required": ["val_f1"]}, "required"),
        ({"required": 5}, "required"),
        ({"metrics": ["val_loss"]}, "metrics"),
        ({"metrics": "val_loss"}, "metrics"),
        ({"metrics": None}, "metrics"),
        ({"fields_config": ["note"]}, "fields_config"),
        ({"fields_config": {1: str}}, "fields_config"),
    ],
)
def test_unknown_metrics_and_arguments_of_other_types_are_refused(arguments: dict[str, Any], named: str) -> None:
    with pytest.raises(InvalidInputError, match=named):
        ModelSelection(**arguments)


@pytest.mark.parametrize("wrong", [5, Metric("val_loss"), ["val_f1"], [["val_loss"]]], ids=repr)
def test_only_names_of_metrics_can_be_selected_by(wrong: Any) -> None:
    with pytest.raises(InvalidInputError, match="select_by"):
        ModelSelection().select(wrong)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("a", None, {"val_loss": 1.0, "val_acc": 1.0}), "model_id"),
        (("b", "folder", {"val_loss": 1.0, "val_acc": 1.0}), "model_path"),
        (("b", None, {"val_loss": 1.0}), "measured_values"),
        (("b", None, {"val_loss": 1.0, "val_acc": 1.0}, {"note": 1}), "fields"),
    ],
)
def test_models_that_cannot_be_distinguished_or_compared_are_refused(arguments: Any, named: str) -> None:
    selection = ModelSelection()
    selection.add_model("a", "folder", {"val_loss": 1.0, "val_acc": 1.0})

    with pytest.raises(InvalidInputError, match=named):
        selection.add_model(*arguments)
