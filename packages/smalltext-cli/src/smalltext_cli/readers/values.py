"""Parsing of the values of a row: text, class name or names, and weight."""

from __future__ import annotations

import json
import math
import re
from contextlib import suppress
from datetime import date, datetime
from typing import TypeAlias

from smalltext_core.errors import InvalidInputError
from smalltext_core.label_names import class_name
from smalltext_core.messages import one_line, shown

Label: TypeAlias = "str | tuple[str, ...]"
"""A class name, or (multi-label) the names of the classes that apply."""

SEVERAL_LABELS = "For several labels per text, train with --multi-label."
"""The advice for a text with several labels instead of one."""

SEPARATOR = "|"
"""What separates several labels in a string, unless another separator is given."""

_SURROGATE = re.compile(r"[\ud800-\udfff]")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_MAX_SHOWN = 60
_NAME_ONLY = "Write the name of the class, or name another column with --label-column."
_CHOICES = re.compile(r"""\{\s*["']choices["']\s*:""")
_RESPONSES = re.compile(r"""\[\s*(?:\{\s*["'](?:user_id|value|status)["']\s*:|'[^']*'\s*[,'\]]|array\()""")
"""Matches responses of annotators, or a list in Python or numpy notation."""


class InvalidValueError(ValueError):
    """An invalid value in a column; the reader adds its location."""

    def __init__(self, problem: str, next_step: str) -> None:
        super().__init__(problem)
        self.problem = problem
        self.next_step = next_step


class MissingLabelError(InvalidValueError):
    """A label is missing."""


def parse_text(value: object) -> str:
    """Return a text, which may be empty but not missing."""
    if value is None:
        raise InvalidValueError("the text is missing", "Write an empty string, or drop it.")
    if not isinstance(value, str):
        advice = "Name another column with --text-column."
        raise InvalidValueError(f"the text is {_type_name(value)}, not a string", advice)
    if not value.isascii() and _SURROGATE.search(value):
        raise InvalidValueError(
            "a character is half of a surrogate pair, which no text encoding can hold",
            "Write the character whole, or drop it.",
        )
    return value


def parse_weight(value: object) -> float:
    """Return a weight: a finite number, 0 or above."""
    weight = math.nan
    if isinstance(value, str):
        if _NUMBER.fullmatch(value.strip()):
            weight = float(value.strip())
    elif not isinstance(value, (bool, bytes, bytearray)):
        with suppress(TypeError, ValueError, OverflowError):
            weight = float(value)  # type: ignore[arg-type]
    if not math.isfinite(weight) or weight < 0:
        given = "missing" if value in (None, "") else shown_value(value)
        raise InvalidValueError(f"the weight is {given}", "Write a finite number, 0 or above.")
    return weight


def parse_label(value: object) -> str:
    """Return a class name; numbers, booleans and dates become names, while null, NaN and blanks are missing."""
    _refuse_cell_of_a_tool(value)
    if isinstance(value, list):
        raise InvalidValueError("the label is a list", SEVERAL_LABELS)
    if isinstance(value, dict):
        raise InvalidValueError(f"the label is {shown_value(value)}, not a string", _NAME_ONLY)
    if is_missing(value):
        detail = "" if value is None or value == "" else f" ({shown(value)})"
        raise MissingLabelError(f"the label is missing{detail}", "Label it, drop it, or pass --skip-unlabelled.")
    if isinstance(value, date) and not isinstance(value, datetime):
        value = value.isoformat()
    try:
        return class_name(value)
    except InvalidInputError as error:
        advice = "Write it as a string, or drop it."
        raise InvalidValueError(f"the label cannot be a name: {error.given}", advice) from None


def parse_labels(value: object, separator: str | None) -> tuple[str, ...]:
    """Return distinct class names in order; ``[]`` means that no class applies.

    A value is a list, a string with a JSON list (unless a separator is given), or names separated by the
    separator, by default ``|``.
    """
    _refuse_cell_of_a_tool(value)
    parts = value
    if isinstance(value, str):
        text = value.strip()
        if separator is None and text.startswith("["):
            parts = _json_list(text)
        else:
            parts = [part for part in text.split(separator or SEPARATOR) if part.strip()] or None
    elif not isinstance(value, list):
        parts = None if is_missing(value) else [value]
    if not isinstance(parts, list):
        raise MissingLabelError(
            "the labels are missing", "Write [] if no class applies, drop it, or pass --skip-unlabelled."
        )
    for part in parts:
        if isinstance(part, (list, dict)):
            raise InvalidValueError(f"one of the labels is {shown_value(part)}, not a string", _NAME_ONLY)
    return tuple(dict.fromkeys(map(parse_label, parts)))


def _refuse_cell_of_a_tool(value: object) -> None:
    """Reject label values in the format of an annotation tool, with the name of the tool."""
    if isinstance(value, str):
        text = value.strip()
        is_choices = _CHOICES.match(text) is not None
        is_responses = _RESPONSES.match(text) is not None
    else:
        first = value[0] if isinstance(value, list) and value else None
        is_choices = isinstance(value, dict) and "choices" in value
        is_responses = isinstance(first, dict) and {"value", "user_id"} <= set(first)
    if is_choices:
        raise InvalidValueError(
            f"the label is what Label Studio writes for several choices, {shown_value(value)}",
            "Pass --format label-studio, with --multi-label if several may apply to a text.",
        )
    if is_responses:
        raise InvalidValueError(
            f"the label is a list as Argilla and pandas write it, {shown_value(value)}",
            'Pass --format argilla if these are responses of annotators; else write a JSON list, ["one", "two"].',
        )


def is_missing(value: object) -> bool:
    """Return whether a value is missing: null, NaN or blank."""
    return value is None or (isinstance(value, str) and not value.strip()) or value != value


def _json_list(text: str) -> list[object]:
    with suppress(ValueError, RecursionError):
        parts = json.loads(text)
        if isinstance(parts, list):
            return parts
    raise InvalidValueError(
        f"{shown(text, _MAX_SHOWN)} is not a JSON list of labels",
        'Write ["one", "two"], or give the character between the labels with --separator.',
    )


def shown_value(value: object, limit: int = _MAX_SHOWN) -> str:
    """Return a value for a message, objects and lists as in a JSON file."""
    if not isinstance(value, (list, dict)):
        return shown(value, limit)
    return one_line(json.dumps(value, ensure_ascii=False, default=str), limit)


def _type_name(value: object) -> str:
    names = {list: "a list", bool: "true or false", int: "a number", float: "a number"}
    if isinstance(value, dict):
        return "an object"
    return names.get(type(value), f"of type {type(value).__name__}")
