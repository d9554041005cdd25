"""How the signature of a function differs from that of another, parameter by parameter."""

from __future__ import annotations

import enum
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

UNKNOWN = "..."
"""A default that the documentation does not show."""

_PASSED_BY_POSITION = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


@dataclass(frozen=True)
class Parameter:
    """A parameter: its name, whether it can be given by position, and its default, or None if it has none."""

    name: str
    by_position: bool
    default: str | None


def parameters(function: Callable[..., Any]) -> list[Parameter]:
    """Return the parameters of a function, or of the constructor of a class."""
    return [
        Parameter(
            name,
            one.kind in _PASSED_BY_POSITION,
            None if one.default is inspect.Parameter.empty else shown(one.default),
        )
        for name, one in inspect.signature(function).parameters.items()
        if name != "self"
    ]


def shown(default: object) -> str:
    """Return a default as text that two libraries can agree on."""
    if default is ...:
        return UNKNOWN
    if isinstance(default, enum.Enum):
        return repr(default.value)
    if isinstance(default, type):
        return default.__name__
    if isinstance(default, (list, tuple)):
        opening, closing = "[]" if isinstance(default, list) else "()"
        return opening + ", ".join(map(shown, default)) + closing
    if hasattr(default, "lower_is_better"):
        return f"Metric({default.name})"
    return repr(default)


def differences(where: str, theirs: Callable[..., Any], ours: Callable[..., Any]) -> set[str]:
    """Return how ours differs for a caller of theirs; new keyword-only parameters are no difference to one."""
    given, taken = parameters(theirs), {one.name: one for one in parameters(ours)}
    found = set()
    for position, one in enumerate(given):
        name = f"{where}({one.name})"
        if one.name not in taken:
            found.add(f"{name} {_instead(position, theirs, ours)}")
            continue
        mine = taken[one.name]
        if one.by_position and not mine.by_position:
            found.add(f"{name} is keyword-only")
        if one.default != mine.default and UNKNOWN not in (one.default, mine.default):
            given_as = one.name if one.default is None else f"{one.name}={one.default}"
            found.add(f"{where}({given_as}) is {mine.default or 'required'} here")
    found |= {f"{where}({name}) is new, before keyword-only parameters" for name in new_by_position(theirs, ours)}
    ordered = [one.name for one in given if one.by_position and one.name in taken and taken[one.name].by_position]
    if ordered != [name for name in taken if name in ordered]:
        found.add(f"{where} takes {', '.join(ordered)} in another order")
    return found


def new_by_position(theirs: Callable[..., Any], ours: Callable[..., Any]) -> list[str]:
    """Return parameters of ours that theirs lacks and that can be given by position."""
    known = parameters(theirs)
    names = {one.name for one in known}
    return [
        one.name
        for position, one in enumerate(parameters(ours))
        if one.by_position and one.name not in names and not _renames(position, known, parameters(ours))
    ]


def new_by_keyword(theirs: Callable[..., Any], ours: Callable[..., Any]) -> list[str]:
    """Return keyword-only parameters of ours that theirs lacks."""
    names = {one.name for one in parameters(theirs)}
    return [one.name for one in parameters(ours) if not one.by_position and one.name not in names]


def _instead(position: int, theirs: Callable[..., Any], ours: Callable[..., Any]) -> str:
    mine = parameters(ours)
    if _renames(position, parameters(theirs), mine):
        return f"is called {mine[position].name}"
    return "is missing"


def _renames(position: int, theirs: list[Parameter], ours: list[Parameter]) -> bool:
    """Tell whether at a position there stand parameters that the other signature does not know."""
    if position >= min(len(theirs), len(ours)):
        return False
    names, mine = {one.name for one in theirs}, {one.name for one in ours}
    return (
        theirs[position].name not in mine
        and ours[position].name not in names
        and theirs[position].by_position
        and ours[position].by_position
    )
