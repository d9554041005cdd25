"""What one cell of a file means: a text, a label or several, a weight."""

from __future__ import annotations

import json
import math
import re
from contextlib import suppress
from datetime import date, datetime
from typing import TypeAlias

from smalltext_core.errors import InvalidInputError
from smalltext_core.label_names import class_name
from smalltext_core.messages import shown

Label: TypeAlias = "str | tuple[str, ...]"
"""The name of a class, or (multi-label) the names of those that apply."""

SEPARATOR = "|"
"""What stands between the labels of a cell unless the user says otherwise."""

_HALF_A_PAIR = re.compile(r"[\ud800-\udfff]")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)

_SHOWN = 60


class CellError(ValueError):
    """A cell does not hold what it should; the reader adds where that was."""

    def __init__(self, problem: str, next_step: str) -> None:
        super().__init__(problem)
        self.problem = problem
        self.next_step = next_step


class MissingLabelError(CellError):
    """A cell has no label."""


def text_of(value: object) -> str:
    """Return a text; an empty one is a text, a missing one is not."""
    if value is None:
        raise CellError("the text is missing", "Write an empty string, or drop it.")
    if not isinstance(value, str):
        raise CellError(f"the text is {_kind(value)}, not a string", "Name another column with --text-column.")
    if not value.isascii() and _HALF_A_PAIR.search(value):
        raise CellError(
            "a character is half of a surrogate pair, which no text encoding can hold",
            "Write the character whole, or drop it.",
        )
    return value


def weight_of(value: object) -> float:
    """Return a weight: a finite number, 0 or above."""
    weight = math.nan
    if isinstance(value, str):
        if _NUMBER.fullmatch(value.strip()):
            weight = float(value.strip())
    elif not isinstance(value, (bool, bytes, bytearray)):
        with suppress(TypeError, ValueError, OverflowError):
            weight = float(value)  # type: ignore[arg-type]
    if not math.isfinite(weight) or weight < 0:
        given = "missing" if value in (None, "") else shown(value, _SHOWN)
        raise CellError(f"the weight is {given}", "Write a finite number, 0 or above.")
    return weight


def label_of(value: object) -> str:
    """Return the name of a class by the rule that holds in Python too; numbers, booleans and dates are names.

    Raises
    ------
    MissingLabelError
        If there is none: null, NaN, or nothing but white space.
    CellError
        If it is infinite, or no name.
    """
    if isinstance(value, (list, dict)):
        kind = _kind(value)
        raise CellError(
            f"the label is {kind}", "Several labels a text take a model that was trained with --multi-label."
        )
    if _is_missing(value):
        said = "the label is missing" if value is None or value == "" else f"the label is missing ({shown(value)})"
        raise MissingLabelError(said, "Label it, or drop it.")
    if isinstance(value, date) and not isinstance(value, datetime):
        value = value.isoformat()
    try:
        return class_name(value)
    except InvalidInputError as error:
        raise CellError(f"the label is no name: {error.given}", "Write it as a string, or drop it.") from None


def _is_missing(value: object) -> bool:
    return value is None or (isinstance(value, str) and not value.strip()) or value != value


def labels_of(value: object, separator: str | None) -> tuple[str, ...]:
    """Return the names of the classes that apply, each once, in their order; ``[]`` is none of them.

    Parameters
    ----------
    value : object
        A list; or a string that holds a JSON list, or names with a separator between them.
    separator : str or None
        None means `SEPARATOR`, unless the string holds a JSON list.
    """
    parts: list[object]
    if isinstance(value, str):
        cell = value.strip()
        if separator is None and cell.startswith("["):
            parts = _json_list(cell)
        else:
            parts = [part for part in cell.split(separator or SEPARATOR) if part.strip()]
            if not parts:
                value = None
    elif isinstance(value, list):
        parts = value
    elif not _is_missing(value):
        parts = [value]
    else:
        value = None
    if value is None:
        raise MissingLabelError("the labels are missing", "Write [] if no class applies, or drop it.")
    return tuple(dict.fromkeys(label_of(part) for part in parts))


def _json_list(cell: str) -> list[object]:
    try:
        parts = json.loads(cell)
    except (ValueError, RecursionError):
        parts = None
    if not isinstance(parts, list):
        raise CellError(
            f"{shown(cell, _SHOWN)} is no JSON list of labels",
            'Write ["one", "two"], or say with --separator what stands between the labels.',
        )
    return parts


def _kind(value: object) -> str:
    kinds = {dict: "an object", list: "a list", bool: "true or false", int: "a number", float: "a number"}
    return kinds.get(type(value), f"of type {type(value).__name__}")
