"""Parsing of strings by type annotation, such as ``3,4`` by ``list[int]``, and descriptions of allowed values."""

from __future__ import annotations

import ast
import collections.abc
import enum
import json
import pathlib
import types
import typing
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

_TRUE = ("true", "yes", "on")
_FALSE = ("false", "no", "off")

_SEQUENCES: dict[Any, type] = {
    list: list,
    tuple: tuple,
    set: set,
    frozenset: frozenset,
    collections.abc.Sequence: list,
    collections.abc.Iterable: list,
    collections.abc.Collection: list,
    collections.abc.Set: set,
}

_MAPPINGS = (dict, collections.abc.Mapping, collections.abc.MutableMapping)


def members(annotation: object, namespace: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return the types that an annotation allows: the members of a union, or else the type itself.

    Names in its source are looked up in the namespace; missing names, often imported for type checkers only, are
    left out.

    Examples
    --------
    >>> members("float | Missing | None", {})
    (<class 'float'>, <class 'NoneType'>)
    """
    if isinstance(annotation, str):
        return _from_source(annotation, namespace)
    if typing.get_origin(annotation) is typing.Annotated:
        return members(typing.get_args(annotation)[0], namespace)
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return tuple(one for part in typing.get_args(annotation) for one in members(part, namespace))
    if isinstance(annotation, typing.ForwardRef):
        return _from_source(annotation.__forward_arg__, namespace)
    return (type(None),) if annotation is None else (annotation,)


def _from_source(source: str, namespace: Mapping[str, Any]) -> tuple[Any, ...]:
    tree = ast.parse(source, mode="eval").body
    if isinstance(tree, ast.BinOp) and isinstance(tree.op, ast.BitOr):
        parts = (ast.unparse(tree.left), ast.unparse(tree.right))
        return tuple(one for part in parts for one in _from_source(part, namespace))
    known = {**vars(collections.abc), **vars(typing), "np": None, **namespace}
    try:
        # Safe, since the annotation comes from an installed module that has just been imported.
        found = eval(compile(ast.Expression(tree), "annotation", "eval"), known)  # noqa: S307
    except Exception:
        return ()
    return members(found, namespace)


def parse(text: str, admitted: Sequence[Any]) -> Any:
    """Parse a string as one of the allowed types.

    The most specific type wins: ``3`` is a number if numbers are allowed, or else a string.

    Raises
    ------
    ValueError
        If it is none of them.

    Examples
    --------
    >>> parse("none", (int, type(None))), parse("3", (int, str)), parse("[3, 4]", (list[int],))
    (None, 3, [3, 4])
    """
    numbers = int in admitted or float in admitted
    for annotation in sorted(admitted, key=_precedence):
        with suppress(ValueError, RecursionError):
            return _parse_as(text, annotation, numbers=numbers)
    if str in admitted:
        return text
    if Any in admitted or object in admitted:
        return _anything(text)
    for annotation in admitted:
        if annotation is pathlib.Path:
            return pathlib.Path(text)
        if (typing.get_origin(annotation) or annotation) in _SEQUENCES:  # 3,4,5 without brackets
            with suppress(ValueError):
                return _converted([part.strip() for part in text.split(",")], annotation)
    raise ValueError(text)


def _precedence(annotation: Any) -> int:
    """Return the rank of a type in the order of trial: None, booleans, numbers, choices, and then all others."""
    if typing.get_origin(annotation) is typing.Literal or isinstance(annotation, enum.EnumMeta):
        return 4
    return next((k for k, kind in enumerate((type(None), bool, int, float)) if annotation is kind), 5)


def _parse_as(text: str, annotation: Any, *, numbers: bool) -> Any:
    """Parse a string as one type, or raise ValueError; 0 and 1 are booleans unless `numbers` are allowed."""
    lower = text.lower()
    if annotation is type(None) and lower in ("none", "null"):
        return None
    if annotation is bool and (lower in (*_TRUE, *_FALSE) or (text in ("0", "1") and not numbers)):
        return lower in (*_TRUE, "1")
    if annotation in (int, float):
        return annotation(text)
    choices: list[tuple[tuple[str, ...], Any]] = []
    if typing.get_origin(annotation) is typing.Literal:
        choices = [((str(value),), value) for value in typing.get_args(annotation) if str(value) == text]
    elif isinstance(annotation, enum.EnumMeta):
        choices = [((one.name.lower(), str(one.value).lower()), one) for one in list[Any](annotation)]
    for spellings, value in choices:
        if text in spellings or lower in spellings:
            return value
    if text.lstrip()[:1] in ("[", "{"):
        return _converted(json.loads(text), annotation)
    raise ValueError(text)


def _converted(value: Any, annotation: Any) -> Any:
    """Convert a JSON value to the type of an annotation, or raise ValueError."""
    origin, arguments = typing.get_origin(annotation) or annotation, typing.get_args(annotation)
    if annotation in (Any, object):
        return value
    if isinstance(value, dict) and origin in _MAPPINGS:
        key, item = arguments or (Any, Any)
        return {_item(name, key): _item(one, item) for name, one in value.items()}
    if isinstance(value, list) and origin in _SEQUENCES:
        kinds = _item_types(origin, arguments, len(value))
        return _SEQUENCES[origin](_item(one, kind) for one, kind in zip(value, kinds, strict=True))
    raise ValueError(value)


def _item_types(origin: Any, arguments: tuple[Any, ...], count: int) -> list[Any]:
    if origin is tuple and arguments and arguments[-1] is not Ellipsis:
        if len(arguments) != count:
            raise ValueError(count)
        return list(arguments)
    return [arguments[0] if arguments else Any] * count


def _item(value: Any, annotation: Any) -> Any:
    """Convert one entry of a list or object."""
    admitted = members(annotation, {})
    if isinstance(value, str):
        return parse(value, admitted)
    if isinstance(value, (list, dict)):
        kinds = [typing.get_origin(one) or one for one in admitted]
        wanted = _MAPPINGS if isinstance(value, dict) else tuple(_SEQUENCES)
        fitting = [one for one, kind in zip(admitted, kinds, strict=True) if kind in (*wanted, Any, object)]
        return _converted(value, fitting[0] if fitting else None)
    if Any in admitted:
        return value
    kinds = [one for one in admitted if isinstance(one, type)]
    if type(value) in kinds:
        return value
    return parse(json.dumps(value), admitted)


def _anything(text: str) -> Any:
    """Parse a string of unknown type: as JSON, or else as a string."""
    literal = {"None": "null", "True": "true", "False": "false"}.get(text, text)
    try:
        return json.loads(literal)
    except (ValueError, RecursionError):
        return text


def written(annotation: Any) -> str:
    """Return a type as written in source code, without module names.

    Examples
    --------
    >>> written(pathlib.Path), written(Mapping[str, float | None]), written(typing.Literal["a"])
    ('Path', 'Mapping[str, float | None]', "Literal['a']")
    """
    if annotation in (type(None), Ellipsis):
        return "..." if annotation is Ellipsis else "None"
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Literal:
        return f"Literal[{', '.join(map(repr, arguments))}]"
    if origin in (typing.Union, types.UnionType):
        return " | ".join(map(written, arguments))
    name = getattr(origin or annotation, "__name__", repr(annotation))
    return f"{name}[{', '.join(map(written, arguments))}]" if arguments else name


def described(admitted: Sequence[Any]) -> str:
    """Describe the strings that `parse` accepts; empty if there are none.

    Examples
    --------
    >>> described((float, type(None)))
    'a number, or none'
    """
    words = dict.fromkeys(word for annotation in admitted if (word := _described(annotation)))
    if type(None) in admitted:
        words.pop("none")
        words["none"] = None
    *before, last = [*words] or [""]
    return f"{', '.join(before)}, or {last}" if before else last


def _described(annotation: Any) -> str:
    plain: dict[Any, str] = {
        type(None): "none",
        bool: "true or false",
        int: "a whole number",
        float: "a number",
        str: "a string",
        pathlib.Path: "a path",
        Any: "anything",
        object: "anything",
    }
    origin = typing.get_origin(annotation) or annotation
    if origin is typing.Literal:
        return ", ".join(repr(value) for value in typing.get_args(annotation))
    if isinstance(annotation, enum.EnumMeta):
        return ", ".join(repr(one.name.lower()) for one in annotation)  # type: ignore[var-annotated]
    if origin in _MAPPINGS:
        return 'a JSON object such as {"key": value}'
    if origin in _SEQUENCES:
        return "a JSON list such as [1, 2]"
    return plain.get(annotation, "")
