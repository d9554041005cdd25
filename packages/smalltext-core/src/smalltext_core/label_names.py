"""The rule for names of classes, and how names are told apart where they look alike.

A name is stripped of leading and trailing white space and in Unicode's composed form (NFC), wherever it comes
from: Python, a file, a saved model. Numbers and booleans are names too: 1 and 1.0 are "1", True is "true".
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from decimal import Decimal
from itertools import groupby

import numpy as np

from smalltext_core.errors import InvalidInputError
from smalltext_core.values import is_whole

_ALLOWED = "a name (a string that is not empty), a finite number, True or False"

_INVISIBLE = frozenset(
    [
        0x034F,
        0x115F,
        0x1160,
        0x17B4,
        0x17B5,
        0x2800,
        0x3164,
        0xFFA0,
        *range(0xFE00, 0xFE10),
        *range(0xE0100, 0xE01F0),
    ]
)
"""Code points that Python counts as printable although they show nothing."""

_LATIN = str.maketrans(
    "\u0430\u0435\u043e\u0440\u0441\u0443\u0445\u0456\u0458\u0455\u0501\u051b\u051d\u04bb\u04cf"
    "\u0432\u043a\u043c\u043d\u0442"
    "\u03bf\u03b1\u03b9\u03ba\u03bd\u03c1\u03c5\u03c7\u03b2\u03b5\u03b6\u03b7\u03bc\u03c4\u0131",
    "aeopcyxijsdqwhlbkmhtoaikvpuxbezhmti",
)
"""Cyrillic and Greek letters (and the dotless i), and the Latin ones that they, or their capitals, look like."""

_TYPED_ALIKE = str.maketrans(
    {**dict.fromkeys("\u2018\u2019\u201b\u2032\u00b4`", "'"), **dict.fromkeys("\u201c\u201d\u201f\u2033", '"')}
    | dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2212\u00ad", "-")
)

_LONG = 1_000
"""In characters; below it, `unicodedata.normalize` takes milliseconds at most, whatever it has to sort."""
_RUN_OF_MARKS = re.compile(r"[^\w\x00-\u02ff]{50,}")
"""Combining marks are neither letters nor digits, and begin at U+0300. Other characters in a run do no harm."""


def class_name(label: object, argument: str = "labels") -> str:
    r"""Return the name of the class that a label stands for.

    Parameters
    ----------
    label : str, int, float, bool, Decimal, or the scalar of numpy for one of these
        Whole numbers have one name, however they are held: 1 and 1.0 are both "1".
    argument : str, default="labels"
        What the label is called in errors.

    Returns
    -------
    str
        Without leading and trailing white space, in NFC.

    Raises
    ------
    InvalidInputError
        If the label is missing (None, NaN), infinite, empty, of another type, or holds half of a surrogate pair.

    Examples
    --------
    >>> class_name(" good\u00a0"), class_name(1.0), class_name(True)
    ('good', '1', 'true')
    """
    if isinstance(label, str):
        return _name_of_text(label, argument)
    if isinstance(label, (bool, np.bool_)):
        return "true" if label else "false"
    if is_whole(label):
        if int(label).bit_length() > 1024:
            raise InvalidInputError(argument, f"a number of {int(label).bit_length()} bits", _ALLOWED)
        return str(int(label))
    if not isinstance(label, (float, np.floating, Decimal)):
        given = "None" if label is None else f"a label of type {type(label).__name__}"
        advice = "Leave texts without a label out, or write it as a string."
        raise InvalidInputError(argument, given, _ALLOWED, advice)
    if not (label.is_finite() if isinstance(label, Decimal) else np.isfinite(label)):
        raise InvalidInputError(argument, str(label), _ALLOWED, "Leave texts without a label out.")
    if isinstance(label, Decimal):
        if abs(label.adjusted()) > 308:
            raise InvalidInputError(argument, "a number beyond those of floats", _ALLOWED)
        return str(int(label)) if label == label.to_integral_value() else str(label.normalize())
    return str(int(label)) if float(label).is_integer() else str(label)


def _name_of_text(label: str, argument: str) -> str:
    name = str.__str__(label).strip()
    if not name.isascii():
        name = nfc(name).strip()
        if any("\ud800" <= character <= "\udfff" for character in name):
            what = f"the name {shown_name(name)}, in which a character is half of a surrogate pair"
            raise InvalidInputError(argument, what, _ALLOWED, "Write the character whole, or drop it.")
    if not name:
        given = "an empty name" if not label else f"a name of white space alone, {shown_name(label)}"
        raise InvalidInputError(argument, given, _ALLOWED, "Leave texts without a label out.")
    return name


def shown_name(name: str, limit: int = 60) -> str:
    r"""Return a name in quotes, as messages show it: what cannot be seen, or be told from another, is escaped.

    Parameters
    ----------
    name : str
    limit : int, default=60
        Of longer names the beginning is shown.

    Examples
    --------
    >>> print(shown_name("a\u00a0fine\tfilm\u200b"))
    'a\xa0fine\tfilm\u200b'
    """
    return _shown(name, frozenset(), limit)


def _shown(name: str, escaped: frozenset[str], limit: int = 60) -> str:
    """Show a name with some characters escaped, in addition to those that cannot be seen."""
    part = name if len(name) <= limit else f"{name[: limit - 3]}..."
    composed = unicodedata.is_normalized("NFC", part)

    def is_escaped(character: str) -> bool:
        if character in escaped or ord(character) in _INVISIBLE:
            return True
        if composed or character.isascii():
            return False
        combines = unicodedata.combining(character) or "\u1100" <= character <= "\u11ff"
        return bool(combines) or unicodedata.normalize("NFC", character) != character

    return "".join(ascii(one)[1:-1] if is_escaped(one) else one for one in repr(part))


def _skeleton(name: str) -> str:
    """Return what names that look alike, or differ in case alone, have in common."""
    folded = unicodedata.normalize("NFKC", name).casefold().translate(_TYPED_ALIKE)
    visible = (
        " " if character.isspace() else character
        for character in unicodedata.normalize("NFKC", folded)
        if character.isspace() or (character.isprintable() and ord(character) not in _INVISIBLE)
    )
    return " ".join("".join(visible).split()).translate(_LATIN)


def alike_names(names: Iterable[str]) -> list[tuple[str, ...]]:
    """Return the groups of names that look alike or differ in case alone, each sorted.

    Names are alike that differ in white space, in characters that cannot be seen, in forms that Unicode counts as
    compatible, or in letters of other alphabets that look the same.

    Examples
    --------
    >>> alike_names(["spam", "Spam", "ham"])
    [('Spam', 'spam')]
    """
    groups: dict[str, list[str]] = {}
    for name in dict.fromkeys(names):
        groups.setdefault(_skeleton(name), []).append(name)
    return [tuple(sorted(group)) for group in groups.values() if len(group) > 1]


def shown_apart(names: Iterable[str]) -> list[str]:
    r"""Return names that look alike as messages show them, with what differs escaped if it is not ASCII.

    Examples
    --------
    >>> print(*shown_apart(["na\u00efve film", "na\u00efve\u00a0film"]))
    'naïve film' 'naïve\xa0film'
    """
    group = list(names)
    common = frozenset.intersection(*map(frozenset, group)) if group else frozenset()
    return [_shown(name, frozenset(one for one in name if not one.isascii()) - common) for name in group]


def alike_notices(counts: Mapping[str, int]) -> list[str]:
    """Return a sentence for each group of names that look alike or differ in case alone.

    Parameters
    ----------
    counts : mapping of str to int
        How many texts each class has.

    Examples
    --------
    >>> alike_notices({"spam": 20, "Spam": 1, "ham": 30})
    ["'Spam' (1 text) and 'spam' (20 texts) differ in case alone; they are two classes."]
    """
    notices = []
    for group in alike_names(counts):
        shown = [
            f"{name} ({counts[raw]:,} text{'' if counts[raw] == 1 else 's'})"
            for raw, name in zip(group, shown_apart(group), strict=True)
        ]
        listed = f"{', '.join(shown[:10][:-1])} and {shown[:10][-1]}" + (", ..." if len(shown) > 10 else "")
        how = "differ in case alone" if len({name.casefold() for name in group}) == 1 else "look alike"
        number = "two" if len(group) == 2 else f"{len(group)}"
        notices.append(f"{listed} {how}; they are {number} classes.")
    return notices


def nfc(text: str) -> str:
    r"""Return a text in the composed form of Unicode, NFC.

    Parameters
    ----------
    text : str
        It may hold half surrogate pairs, which stay as they are.

    Returns
    -------
    str

    Examples
    --------
    >>> nfc("cafe\u0301") == "caf\u00e9"
    True
    """
    if text.isascii():
        return text
    if len(text) > _LONG:
        text = _RUN_OF_MARKS.sub(_sorted_marks, text)
    return unicodedata.normalize("NFC", text)


def _sorted_marks(run: re.Match[str]) -> str:
    decomposed = "".join(unicodedata.normalize("NFD", character) for character in run[0])
    return "".join(
        "".join(sorted(group, key=unicodedata.combining) if marks else group)
        for marks, group in groupby(decomposed, lambda character: unicodedata.combining(character) != 0)
    )
