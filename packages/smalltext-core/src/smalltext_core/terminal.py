"""Text that may be shown on a terminal: short, and without characters that control it.

Names of files, labels, texts, arguments and what plugins say come from others. Shown unchanged, an escape sequence
in them could clear the screen, retitle the window or hide a line, and a bidirectional override could make a path
read as another one.
"""

from __future__ import annotations

import re

LIMIT = 300
"""How many characters of one value are shown."""

_JOINERS = "\u200c\u200d"
"""Invisible, but they spell words of many scripts and join emoji; a terminal takes them for nothing else."""

_DOTS = "..."


def printable(text: str, limit: int | None = LIMIT, *, keep: str = "") -> str:
    r"""Return a text with every character escaped that a terminal would not simply draw, and shortened.

    Control characters (the line feed too), bidirectional and other invisible formatting characters, spaces other
    than the plain one, and halves of surrogate pairs are written as Python escapes them: ``\x1b``, ``\u202e``.

    Parameters
    ----------
    text : str
    limit : int or None, default=300
        The greatest number of characters; the middle of a longer text is left out, so that its end is still seen.
        None keeps all of it.
    keep : str, default=""
        Characters that are kept although they are not printable, such as a line feed.

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
    """Return the `repr` of any value as it may be shown in a message: printable, shortened, and never an error.

    Examples
    --------
    >>> shown({"a": 1})
    "{'a': 1}"
    """
    try:
        text = repr(value)
    except Exception:  # an object of somebody else's; what is wrong with it is not the subject of the message
        text = f"a {type(value).__name__}"
    return printable(text, limit)


def one_line(text: str, limit: int | None = LIMIT) -> str:
    """Return a text of several lines, such as the message of another library, as one printable line."""
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
