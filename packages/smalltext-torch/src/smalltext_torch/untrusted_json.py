"""JSON files of model folders that may come from anybody: read within bounds, and refused by file and key."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from smalltext_core.errors import ModelFolderError
from smalltext_core.messages import one_line, shown

LARGEST = 64 * 2**20
"""The most bytes that a file of settings may have."""

LARGEST_INTEGER = 2**31 - 1
"""No size, count or token id of a model is larger."""


def refuse(path: Path, key: str, problem: str, allowed: str = "") -> NoReturn:
    """Raise ModelFolderError for a key of a file.

    Parameters
    ----------
    path : Path
    key : str
        The key, or the path of keys, that is to blame; empty if it is the file as a whole.
    problem : str
    allowed : str, default=""
        What is allowed there, and what to do.
    """
    where = f"{path}, key {shown(key, 100)}" if key else str(path)
    raise ModelFolderError(f"{where}: {problem}{f'; allowed: {allowed}' if allowed else ''}.")


def read_json(path: Path, *, unique: bool = False) -> Any:
    """Return the content of a JSON file.

    Parameters
    ----------
    path : Path
    unique : bool, default=False
        Whether to refuse an object with the same key twice. Of such keys, two libraries may take different ones,
        which matters for a file that is handed on as it is.

    Raises
    ------
    ModelFolderError
        If it cannot be read, is no regular file, is larger than 64 MiB, is not JSON, or holds NaN or
        infinity.
    """
    try:
        if path.exists() and not path.is_file():
            refuse(path, "", "it is no regular file")
        if path.stat().st_size > LARGEST:
            refuse(path, "", f"it has more than {LARGEST} bytes")
        return json.loads(
            path.read_bytes(),
            parse_constant=_refuse_constant,
            parse_float=_finite,
            object_pairs_hook=_without_duplicates if unique else None,
        )
    except OSError as error:
        raise ModelFolderError(f"{path} cannot be read: {one_line(str(error))}") from error
    except (ValueError, RecursionError) as error:
        if isinstance(error, ModelFolderError):
            raise
        raise ModelFolderError(f"{path} is damaged, it is not JSON ({one_line(str(error))}).") from error


def read_object(path: Path, *, unique: bool = False) -> dict[str, Any]:
    """Return the content of a file that holds a JSON object; see `read_json`."""
    content = read_json(path, unique=unique)
    if not isinstance(content, dict):
        refuse(path, "", "it holds no JSON object")
    return content


def checked_object(path: Path, content: Mapping[str, Any], types: Mapping[str, Any]) -> dict[str, Any]:
    """Return an object all of whose keys are allowed and hold what they are to hold.

    Parameters
    ----------
    path : Path
        Of the file that it was read from, for errors.
    content : mapping
    types : mapping of str to type, tuple of types, or frozenset of values
        What each allowed key may hold. `None` stands for null; integers are limited to 31 bits, and a boolean is
        no integer.

    Raises
    ------
    ModelFolderError
        If a key is not allowed, or holds something else.
    """
    for key, value in content.items():
        if key not in types:
            refuse(path, key, "this key is not on the list of those that are allowed", ", ".join(sorted(types)))
        if not _fits(value, types[key]):
            refuse(path, key, f"it holds {shown(value, 100)}", _described(types[key]))
    return dict(content)


def _fits(value: object, allowed: Any) -> bool:
    if isinstance(allowed, frozenset):
        return value is None or (isinstance(value, (str, bool, int)) and value in allowed)
    options = allowed if isinstance(allowed, tuple) else (allowed,)
    if value is None:
        return None in options
    if type(value) is int:
        return (int in options and 0 <= value <= LARGEST_INTEGER) or (float in options and abs(value) < 1e9)
    return type(value) in options


def _described(allowed: Any) -> str:
    if isinstance(allowed, frozenset):
        return ", ".join(sorted(map(repr, allowed)))
    options = allowed if isinstance(allowed, tuple) else (allowed,)
    return " or ".join("null" if option is None else option.__name__ for option in options)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON value")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:40]} is beyond the largest number")
    return number


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        raise ValueError("an object has the same key twice")
    return content
