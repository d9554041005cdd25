"""Reading a value that somebody typed by the annotation of the parameter that it is for."""

from __future__ import annotations

import ast
import collections.abc
import enum
import json
import pathlib
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any

_TRUE = ("true", "yes", "on")
_FALSE = ("false", "no", "off")

_NOTHING = object()

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
    """Take an annotation apart into what it admits.

    Parameters
    ----------
    annotation : object
        A type, a union, or the source of either.
    namespace : mapping of str to Any
        Where names in the source are looked up. What is not found there (often because it is imported for
        type checkers only) is left out.

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
        # The annotation comes from a module that is installed and has just been imported.
        found = eval(compile(ast.Expression(tree), "annotation", "eval"), known)  # noqa: S307
    except Exception:
        return ()
    return members(found, namespace)


def parse(text: str, admitted: Sequence[Any]) -> Any:
    """Return what a text means where values of the given types are admitted.

    The narrowest reading wins: ``3`` is a number where numbers are admitted, and a string elsewhere.

    Raises
    ------
    ValueError
        If it is none of them.

    Examples
    --------
    >>> parse("none", (int, type(None))), parse("3", (int, str)), parse("[3, 4]", (list[int],))
    (None, 3, [3, 4])
    """
    has_text = str in admitted or Any in admitted or object in admitted
    for reading in (_none, _bool, _int, _float, _choice, _container):
        for annotation in admitted:
            value = reading(text, annotation, admitted)
            if value is not _NOTHING:
                return value
    if has_text:
        return _anything(text) if str not in admitted else text
    for annotation in admitted:
        if annotation is pathlib.Path:
            return pathlib.Path(text)
        if (value := _comma_separated(text, annotation)) is not _NOTHING:
            return value
    raise ValueError(text)


def _none(text: str, annotation: Any, _: Sequence[Any]) -> Any:
    return None if annotation is type(None) and text.lower() in ("none", "null") else _NOTHING


def _bool(text: str, annotation: Any, admitted: Sequence[Any]) -> Any:
    if annotation is not bool:
        return _NOTHING
    numbers = int in admitted or float in admitted
    if text.lower() in _TRUE or (text == "1" and not numbers):
        return True
    return False if text.lower() in _FALSE or (text == "0" and not numbers) else _NOTHING


def _int(text: str, annotation: Any, _: Sequence[Any]) -> Any:
    try:
        return int(text) if annotation is int else _NOTHING
    except ValueError:
        return _NOTHING


def _float(text: str, annotation: Any, _: Sequence[Any]) -> Any:
    try:
        return float(text) if annotation is float else _NOTHING
    except ValueError:
        return _NOTHING


def _choice(text: str, annotation: Any, _: Sequence[Any]) -> Any:
    if typing.get_origin(annotation) is typing.Literal:
        return next((value for value in typing.get_args(annotation) if str(value) == text), _NOTHING)
    if isinstance(annotation, enum.EnumMeta):
        found: Any = next(
            (one for one in list[Any](annotation) if text.lower() in (one.name.lower(), str(one.value).lower())),
            _NOTHING,
        )
        return found
    return _NOTHING


def _container(text: str, annotation: Any, _: Sequence[Any]) -> Any:
    """Read a JSON list or object."""
    if text.lstrip()[:1] not in ("[", "{"):
        return _NOTHING
    try:
        return _converted(json.loads(text), annotation)
    except (ValueError, RecursionError):
        return _NOTHING


def _comma_separated(text: str, annotation: Any) -> Any:
    """Read ``3,4,5`` where a list of numbers is admitted."""
    if (typing.get_origin(annotation) or annotation) not in _SEQUENCES:
        return _NOTHING
    try:
        return _converted([part.strip() for part in text.split(",")], annotation)
    except ValueError:
        return _NOTHING


def _converted(value: Any, annotation: Any) -> Any:
    """Turn what JSON can hold into what an annotation asks for, or raise ValueError."""
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
    """Turn one entry of a list or object into what its annotation asks for."""
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
    """Read a text without an annotation: as JSON, or else as a string."""
    literal = {"None": "null", "True": "true", "False": "false"}.get(text, text)
    try:
        return json.loads(literal)
    except (ValueError, RecursionError):
        return text


def written(annotation: Any) -> str:
    """Return a type as source code has it, without the modules of names.

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
    """Say in words which texts `parse` takes; empty if there are none.

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
