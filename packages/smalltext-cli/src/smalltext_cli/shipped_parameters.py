"""The parameters of a classifier as shipped by its package, to be read without importing its libraries.

A package may hold a file ``parameters.json``, an object with an entry for each of its classifiers::

    {
        "kimcnn": {
            "open_ended": false,
            "parameters": [
                {
                    "name": "lr",
                    "type": "float",
                    "required": false,
                    "default": 0.001,
                    "meaning": "The learning rate.",
                }
            ],
        }
    }

They are the parameters that ``smalltext info kimcnn --json`` prints. Without the file, the classifier is imported.
"""

from __future__ import annotations

import json
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from smalltext_cli.console import jsonable
from smalltext_cli.parameters import REQUIRED, Parameter, Parameters, builder_parameters
from smalltext_core import ClassifierSpec

PARAMETERS_FILE = "parameters.json"
_MAX_BYTES = 1_000_000


def parameters_of(spec: ClassifierSpec) -> Parameters:
    """Return the parameters of a classifier: shipped by its package, or else read from its signature."""
    return shipped_parameters(spec) or builder_parameters(spec.resolve("builder"))


def shipped_parameters(spec: ClassifierSpec) -> Parameters | None:
    """Return the parameters of a classifier shipped by its package; None if they are missing or invalid.

    They have no Python types, so they cannot be used to parse values.
    """
    package = (spec.builder or spec.classifier).partition(":")[0].partition(".")[0]
    with suppress(OSError, ValueError, KeyError, TypeError, AttributeError, ImportError):
        found = find_spec(package)
        if found is None or found.origin is None:
            return None
        path = Path(found.origin).with_name(PARAMETERS_FILE)
        if path.stat().st_size > _MAX_BYTES:
            return None
        content = json.loads(path.read_text(encoding="utf-8"))[spec.name]
        named = {one["name"]: _parameter(one) for one in content["parameters"]}
        return Parameters(named, bool(content["open_ended"]))
    return None


def as_json(parameters: Parameters) -> list[dict[str, Any]]:
    """Return parameters as JSON values."""
    return [
        {
            "name": one.name,
            "type": one.type_text,
            "required": one.is_required,
            "default": None if one.is_required else jsonable(one.default),
            "meaning": one.meaning,
        }
        for one in parameters.named.values()
    ]


def _parameter(content: dict[str, Any]) -> Parameter:
    name, kind, meaning = (content[key] for key in ("name", "type", "meaning"))
    if not all(isinstance(text, str) for text in (name, kind, meaning)):
        raise TypeError(name)
    return Parameter(name, kind, (), REQUIRED if content["required"] else content["default"], meaning)
