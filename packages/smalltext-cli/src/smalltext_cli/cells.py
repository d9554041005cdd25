"""What one cell of a file means: a text, a label or several, a weight."""

from __future__ import annotations

import json
import math
import re
from typing import TypeAlias

from smalltext_cli.errors import shortened

Label: TypeAlias = "str | tuple[str, ...]"
"""The name of a class, or (multi-label) the names of those that apply."""

SEPARATOR = "|"
"""What stands between the labels of a cell unless the user says otherwise."""

_HALF_A_PAIR = re.compile(r"[\ud800-\udfff]")


class CellError(ValueError):
    """A cell does not hold what it should; the reader adds where that was."""

    def __init__(self, problem: str, next_step: str) -> None:
        super().__init__(problem)
        self.problem = problem
        self.next_step = next_step


def text_of(value: object) -> str:
    """Return a text; an empty one is a text, a missing one is not."""
    if value is None:
        raise CellError("the text is missing", "Write an empty string, or drop it.")
    if not isinstance(value, str):
        raise CellError(f"the text is {_kind(value)}, not a string", "Name another column with --text-column.")
    return _whole(value)


def weight_of(value: object) -> float:
    """Return a weight: a finite number, 0 or above."""
    try:
        weight = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        weight = math.nan
    if isinstance(value, bool) or not math.isfinite(weight) or weight < 0:
        given = "missing" if value in (None, "") else shortened(repr(value))
        raise CellError(f"the weight is {given}", "Write a finite number, 0 or above.")
    return weight


def label_of(value: object) -> str:
    """Return the name of a class, without white space around it; numbers and booleans are names too."""
    if isinstance(value, (list, dict)):
        kind = _kind(value)
        raise CellError(
            f"the label is {kind}", "Several labels a text take a model that was trained with --multi-label."
        )
    name = "" if value is None else _name(value)
    if not name:
        raise CellError("the label is missing", "Label it, or drop it.")
    return name


def labels_of(value: object, separator: str | None) -> tuple[str, ...]:
    """Return the names of the classes that apply, each once, in their order; ``[]`` is none of them.

    Parameters
    ----------
    value : object
        A list; or a string that holds a JSON list, or names with a separator between them.
    separator : str or None
        None means `SEPARATOR`, unless the string holds a JSON list.
    """
    if isinstance(value, str):
        cell = value.strip()
        parts: list[object]
        if separator is None and cell.startswith("["):
            parts = _json_list(cell)
        else:
            parts = [part for part in cell.split(separator or SEPARATOR) if part.strip()]
            if not parts:
                value = None
    elif isinstance(value, list):
        parts = value
    elif value is not None:
        parts = [value]
    if value is None:
        raise CellError("the labels are missing", "Write [] if no class applies, or drop it.")
    return tuple(dict.fromkeys(label_of(part) for part in parts))


def _json_list(cell: str) -> list[object]:
    try:
        parts = json.loads(cell)
    except (ValueError, RecursionError):
        parts = None
    if not isinstance(parts, list):
        raise CellError(
            f"{shortened(cell, 40)!r} is no JSON list of labels",
            'Write ["one", "two"], or say with --separator what stands between the labels.',
        )
    return parts


def _name(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (str, int, float)):
        return _whole(str(value).strip())
    raise CellError(f"the label is {_kind(value)}", "Write it as a string.")


def _whole(text: str) -> str:
    if not text.isascii() and _HALF_A_PAIR.search(text):
        raise CellError(
            "a character is half of a surrogate pair, which no text encoding can hold",
            "Write the character whole, or drop it.",
        )
    return text


def _kind(value: object) -> str:
    kinds = {dict: "an object", list: "a list", bool: "true or false", int: "a number", float: "a number"}
    return kinds.get(type(value), f"of type {type(value).__name__}")
