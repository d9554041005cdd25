"""Formatting of values in messages: short, printable, and without terminal control characters.

File names, labels, texts, arguments and messages of plugins are untrusted. Shown unchanged, an escape sequence in
them could clear the screen, set the title of the window or hide a line; a bidirectional override could disguise a
path.
"""

from __future__ import annotations

import re
from array import array
from collections import UserList, deque
from collections.abc import Iterable, Mapping, MappingView
from itertools import islice
from shlex import quote

import numpy as np

LIMIT = 300
"""The maximum number of characters of one value."""

_JOINERS = "\u200c\u200d"
"""Invisible, but many scripts and emoji need them, and they do not affect a terminal."""

_DOTS = "..."

_LISTED, _DEPTH = 4, 3
"""The maximum number of entries of a collection, and the maximum depth of nested collections."""

_BRACKETS = {tuple: "()", set: "{}", frozenset: "{}"} | dict.fromkeys(
    (list, deque, UserList, array, MappingView), "[]"
)


def printable(text: str, limit: int | None = LIMIT, *, keep: str = "") -> str:
    r"""Return a text shortened to `limit` characters (None keeps all) and with unprintable ones escaped.

    Control characters (also line feeds), bidirectional and other invisible formatting characters, spaces other
    than the ASCII one, and halves of surrogate pairs are escaped as in Python (``\x1b``, ``\u202e``), unless they
    are in `keep`. The middle of a longer text is replaced by dots.

    Examples
    --------
    >>> print(printable("a\x1b[2Jb"))
    a\x1b[2Jb
    >>> printable("x" * 50, limit=20)
    'xxxxxxxxxxx...xxxxxx'
    """
    if limit is not None:
        text = _shortened(text, limit)
    if text.isprintable():
        return text
    escaped = "".join(_escaped(character, keep) for character in text)
    return escaped if limit is None else _shortened(escaped, limit)


def shown(value: object, limit: int = LIMIT) -> str:
    """Return the `repr` of a value for a message: printable, at most `limit` characters, and never an error.

    Long strings, numbers, arrays and collections are shortened first: their full `repr` could take gigabytes.

    Examples
    --------
    >>> shown({"a": 1})
    "{'a': 1}"
    >>> shown(list(range(1_000_000)))
    '[0, 1, 2, 3, ...]'
    """
    return printable(_bounded(value, limit, _DEPTH), limit)


def brief(value: object) -> str:
    """Return the `repr` of a value in at most 100 characters; see `shown`.

    Examples
    --------
    >>> brief(list(range(1_000_000)))
    '[0, 1, 2, 3, ...]'
    """
    return shown(value, 100)


def _bounded(value: object, limit: int, depth: int) -> str:
    """Return a `repr` of bounded length; subclasses are treated as their base classes."""
    try:
        if isinstance(value, np.ndarray):
            return f"an array of {value.dtype}, shape {value.shape}"
        if isinstance(value, str):
            return repr(_shortened(str.__str__(value), limit))
        if isinstance(value, (bytes, bytearray)):
            part = bytes(value[:40])
            return f"{part!r}... ({len(value):,} bytes)" if len(value) > len(part) else repr(value)
        if isinstance(value, int) and value.bit_length() > 256:
            return f"a number of {value.bit_length():,} bits"
        if isinstance(value, Mapping):
            pairs = (
                f"{_bounded(key, limit, depth - 1)}: {_bounded(value[key], limit, depth - 1)}" for key in value
            )
            return _listed(value, "{}", pairs, depth)
        for kind, brackets in _BRACKETS.items():
            if isinstance(value, kind):
                return _listed(value, brackets, (_bounded(one, limit, depth - 1) for one in value), depth)
        return _shortened(repr(value), limit)
    except Exception:  # in the __repr__ of an object; not the subject of the message
        return f"a {type(value).__name__}"


def _listed(value: object, brackets: str, entries: Iterable[str], depth: int) -> str:
    """Format the first entries of a collection, with its type unless the brackets show it."""
    first = [_DOTS] if depth <= 0 else list(islice(entries, _LISTED + 1))
    if len(first) > _LISTED:
        first[_LISTED] = _DOTS
    comma = "," if brackets == "()" and len(first) == 1 else ""
    listed = f"{brackets[0]}{', '.join(first)}{comma}{brackets[1]}"
    plain = type(value) in (list, tuple, dict) or (type(value) is set and first)
    return listed if plain else f"{type(value).__name__}({listed if first else ''})"


def one_line(text: str, limit: int | None = LIMIT) -> str:
    """Return a multi-line text, such as the message of another library, as one printable line."""
    return printable(re.sub(r"[ \t]*[\r\n]+\s*", " ", text.strip()), limit)


def _shortened(text: str, limit: int) -> str:
    if len(text) <= limit:
        return text
    end = limit * 3 // 10
    return text[: limit - len(_DOTS) - end] + _DOTS + text[len(text) - end :]


def _escaped(character: str, keep: str) -> str:
    if character.isprintable() or character in _JOINERS or character in keep:
        return character
    return repr(character)[1:-1]


REQUIREMENTS: Mapping[str, tuple[str, ...]] = {
    "smalltext-cli": ("smalltext-scale", "smalltext-testing"),
    "smalltext-core": (),
    "smalltext-embeddings": ("smalltext-cache",),
    "smalltext-embeddings[sentence-transformers]": ("smalltext-tokenizers", "smalltext-torch"),
    "smalltext-embeddings[static]": ("smalltext-tokenizers",),
    "smalltext-kimcnn": ("smalltext-tokenizers", "smalltext-torch"),
    "smalltext-onnx": ("smalltext-tokenizers",),
    "smalltext-onnx[export]": ("smalltext-tokenizers", "smalltext-torch"),
    "smalltext-setfit": ("smalltext-cache", "smalltext-tokenizers", "smalltext-torch"),
    "smalltext-sklearn": (),
    "smalltext-testing": (),
    "smalltext-torch": ("smalltext-tokenizers",),
    "smalltext-transformers": ("smalltext-tokenizers", "smalltext-torch"),
}
"""The packages of this project, and those that each (or its extra) requires, directly or not, besides the core."""


def install_command(distribution: str, *, upgrade: bool = False) -> str:
    """Return the command that installs a distribution; for those of this project, also the one for a clone.

    Examples
    --------
    >>> install_command("smalltext-sklearn")
    'pip install smalltext-sklearn (in a clone: pip install ./packages/smalltext-sklearn)'
    >>> install_command("smalltext-cli[audit]")
    "pip install 'smalltext-cli[audit]' (in a clone: pip install './packages/smalltext-cli[audit]')"
    """
    command = "pip install --upgrade" if upgrade else "pip install"
    if distribution.partition("[")[0] not in REQUIREMENTS:
        return f"{command} {distribution}"
    needed = (*REQUIREMENTS.get(distribution, ()), distribution)
    folders = " ".join(quote(f"./packages/{each}") for each in needed)  # shells expand brackets
    return f"{command} {quote(distribution)} (in a clone: {command} {folders})"
