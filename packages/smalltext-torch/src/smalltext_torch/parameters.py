"""The parameters of a classifier, to JSON and from it."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch


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
