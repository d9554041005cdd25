"""The parameters of a classifier: checks, and the way into a manifest and back."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from smalltext_core.errors import InvalidInputError
from smalltext_core.numbers import is_number, is_whole
from smalltext_core.terminal import shown


def check_count(argument: str, value: object) -> int:
    """Return a whole number that has to be 1 or above, or say so."""
    if not is_whole(value) or value < 1:
        raise InvalidInputError(argument, shown(value), "a whole number, 1 or above")
    return int(value)


def check_positive(argument: str, value: object) -> float:
    """Return a finite number that has to be above 0, or say so."""
    if not is_number(value) or not 0 < value < float("inf"):
        raise InvalidInputError(argument, shown(value), "a finite number above 0")
    return float(value)


def check_within(argument: str, value: object, least: float, most: float = float("inf")) -> float:
    """Return a finite number that has to be within bounds, or say so."""
    if not is_number(value) or not least <= value <= most or value == float("inf"):
        bounds = f"{least} or above" if most == float("inf") else f"from {least} to {most}"
        raise InvalidInputError(argument, shown(value), f"a finite number, {bounds}")
    return float(value)


def constructor_parameters(classifier: object) -> dict[str, Any]:
    """Return the constructor's arguments, as the attributes of the same names hold them."""
    names = inspect.signature(type(classifier).__init__).parameters
    return {name: getattr(classifier, name) for name in names if name != "self"}


def to_json(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return parameters as a manifest can hold them."""
    held = {name: _to_json(value) for name, value in parameters.items()}
    class_weight = parameters.get("class_weight")
    if isinstance(class_weight, Mapping):  # as pairs, since the keys of an object would all be strings
        held["class_weight"] = [[_to_json(label), float(weight)] for label, weight in class_weight.items()]
    return held


def _to_json(value: Any) -> Any:
    if isinstance(value, torch.device):
        return str(value)
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return {str(key): _to_json(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_to_json(inner) for inner in value]
    return value


def from_json(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Undo what JSON does to parameters: class weights are pairs, or (by earlier versions) numbers as strings."""
    restored = dict(parameters)
    if isinstance(restored.get("class_weight"), Mapping):
        restored["class_weight"] = {int(label): weight for label, weight in restored["class_weight"].items()}
    elif isinstance(restored.get("class_weight"), list):
        restored["class_weight"] = {label: float(weight) for label, weight in restored["class_weight"]}
    return restored
