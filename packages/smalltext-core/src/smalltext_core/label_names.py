"""Names of classes: `LabelNames`, the normalisation of names, and names that look alike.

Names have no leading and trailing whitespace and are in Unicode's composed form (NFC), whether they come from
Python, a file or a saved model. Numbers and booleans are converted: 1 and 1.0 are "1", True is "true".
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Any, TypeGuard

import numpy as np
import scipy
from numpy.typing import NDArray

from smalltext_core.conversion import as_sequence, is_whole, nfc
from smalltext_core.errors import InvalidInputError
from smalltext_core.labels import Labels, as_labels, csr_to_list, is_multi_label, list_to_csr, marked_rows
from smalltext_core.messages import brief

_ALLOWED = "a name (a string that is not empty), a finite number, True or False"

_INVISIBLE = frozenset(map(ord, "\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")).union(
    range(0xFE00, 0xFE10), range(0xE0100, 0xE01F0)
)
"""Invisible code points that Python counts as printable."""

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


@dataclass(frozen=True)
class LabelNames:
    """The names of classes: class number k is ``names[k]``.

    Names are normalised by `smalltext_core.label_names.class_name`, also those that are looked up: whitespace
    around them is stripped, they are in NFC, and numbers are converted. InvalidInputError is raised if one is
    empty, if two are equal, or if the names have no order (a set, a mapping).

    Parameters
    ----------
    names : sequence of str
        The names, in the order of the class numbers.

    Examples
    --------
    >>> names = LabelNames.of(["spam", "ham ", "spam"])
    >>> names.names
    ('ham', 'spam')
    >>> names.encode(["spam", " ham"]).tolist()
    [1, 0]
    >>> names.decode(np.array([0, 1]))
    ['ham', 'spam']
    """

    names: tuple[str, ...]

    def __post_init__(self) -> None:
        given = as_sequence(self.names, "names", "a sequence of names", "name")
        object.__setattr__(self, "names", tuple(class_name(name, "names") for name in given))
        if len(set(self.names)) != len(self.names):
            twice = next(name for name, count in Counter(self.names).items() if count > 1)
            both = [one for one, name in zip(given, self.names, strict=True) if name == twice]
            listed = " and ".join(shown_name(one) if isinstance(one, str) else brief(one) for one in both[:2])
            allowed = "a distinct name for each class"
            advice = f"Both are the name {shown_name(twice)}." if both[0] != both[1] else ""
            raise InvalidInputError("names", f"{listed}, the same name twice", allowed, advice)

    @classmethod
    def of(cls, labels: Iterable[object]) -> LabelNames:
        """Collect the distinct names in labels, sorted.

        Parameters
        ----------
        labels : iterable of names, or of lists of names
            The labels of texts.
        """
        given = labels if isinstance(labels, AbstractSet) else as_label_rows(labels)
        return cls(tuple(sorted(set(names_of_rows(given)))))

    @classmethod
    def saved(cls, names: Iterable[str]) -> LabelNames:
        """Return the names of a saved model unchanged, even if an earlier version normalised names differently.

        Names are also found by their current normal form, unless that is the name of another class.

        Parameters
        ----------
        names : iterable of str
            The names of the classes, in the order of their numbers.
        """
        kept = cls(())
        object.__setattr__(kept, "names", tuple(names))
        return kept

    def __len__(self) -> int:
        return len(self.names)

    @cached_property
    def _numbers(self) -> dict[str, int]:
        exact = {name: number for number, name in enumerate(self.names)}
        by_rule: dict[str, int] = {}
        for number, name in enumerate(self.names):
            with suppress(InvalidInputError):
                by_rule.setdefault(class_name(name), number)
        return by_rule | exact

    def number(self, name: object, argument: str = "labels") -> int:
        """Return the class number of a name; InvalidInputError lists the names that exist.

        Parameters
        ----------
        name : str, int, float or bool
            The name, in any form that the rule for names accepts.
        argument : str, default="labels"
            The name of the argument in errors.
        """
        if type(name) is str and name in self._numbers:
            return self._numbers[name]
        advice = ""
        try:
            unknown = class_name(name)
            if unknown in self._numbers:
                return self._numbers[unknown]
            alike = next((group for group in alike_names([*self.names, unknown]) if unknown in group), ())
            given, *others = shown_apart([unknown, *(other for other in alike if other != unknown)][:2])
            advice = f"It looks like {others[0]}, and is another name." if others else ""
        except InvalidInputError as error:
            given = error.given
        more = f" and {len(self) - 20} more" if len(self) > 20 else ""
        allowed = f"one of {', '.join(map(shown_name, self.names[:20]))}{more}"
        raise InvalidInputError(argument, given, allowed, advice)

    def encode(self, labels: Iterable[object]) -> NDArray[np.int32]:
        """Convert names to class numbers, shape (n,).

        Parameters
        ----------
        labels : iterable of names
            The label of each text.
        """
        return np.array([self.number(label) for label in as_label_rows(labels)], dtype=np.int32)

    def encode_multi_label(self, labels: Iterable[Iterable[object]]) -> scipy.sparse.csr_matrix:
        """Convert lists of names to a multi-label matrix of shape (n, num_classes).

        Parameters
        ----------
        labels : iterable of lists of names
            The labels of each text.
        """
        rows = []
        for row in as_label_rows(labels):
            if not is_row(row):
                raise InvalidInputError("labels", f"{brief(row)} for a text", "a list of names for each text")
            rows.append([self.number(name) for name in row])
        return list_to_csr(rows, len(self))

    def decode(self, y: Labels) -> list[str] | list[list[str]]:
        """Convert class numbers to names: a string for each text, or a list of strings (multi-label).

        Parameters
        ----------
        y : array-like of int, shape (n,), or csr_matrix, shape (n, num_classes)
            Class numbers; InvalidInputError is raised for a row without a label, a number without a name, and for
            anything else, such as probabilities.
        """
        y = as_labels(y)
        numbers = y.indices if is_multi_label(y) else y
        if marked_rows(y).any() or (numbers.size and not 0 <= numbers.min() <= numbers.max() < len(self)):
            allowed = f"class numbers from 0 to {len(self) - 1}, one for each name"
            raise InvalidInputError("y", "rows without a label, or a label without a name", allowed)
        if is_multi_label(y):
            return [[self.names[k] for k in row] for row in csr_to_list(y) if isinstance(row, list)]
        return [self.names[k] for k in y.tolist()]


def as_label_rows(labels: object) -> list[Any]:
    """Return labels as a list; InvalidInputError for a table, a mapping, a set or a single string."""
    return as_sequence(labels, "labels", "a name, or a list of names, for each text", "label")


def is_row(label: object) -> TypeGuard[Iterable[object]]:
    """Return whether a value is a list of labels; multi-label problems have one list per text."""
    several = isinstance(label, Iterable) and not isinstance(label, (str, bytes, bytearray, Mapping))
    return several and getattr(label, "ndim", 1) != 0


def names_of_rows(labels: Iterable[object]) -> Iterator[str]:
    """Yield the class names in labels, row by row; errors name the row."""
    known: dict[object, str] = {}  # strings that occur again are looked up
    for row, label in enumerate(labels):
        for one in label if is_row(label) else (label,):
            try:
                name = known[one] if type(one) is str and one in known else class_name(one)
            except InvalidInputError as error:
                given = f"{error.given} at row {row}"
                raise InvalidInputError("labels", given, error.allowed, error.next_step) from None
            if type(one) is str:
                known[one] = name
            yield name


def as_label_names(label_names: LabelNames | Iterable[object]) -> LabelNames:
    """Return label names of any accepted type as LabelNames."""
    return label_names if isinstance(label_names, LabelNames) else LabelNames(label_names)  # type: ignore[arg-type]


def class_name(label: object, argument: str = "labels") -> str:
    r"""Return the class name of a label.

    Parameters
    ----------
    label : str, int, float, bool, Decimal, or the scalar of numpy for one of these
        Whole numbers have one name, whatever their type: 1 and 1.0 are both "1".
    argument : str, default="labels"
        The name of the argument in errors.

    Returns
    -------
    str
        Without leading and trailing whitespace, in NFC.

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
            what = f"the name {shown_name(name)}, which contains half of a surrogate pair"
            raise InvalidInputError(argument, what, _ALLOWED, "Write the whole character, or remove it.")
    if not name:
        given = "an empty name" if not label else f"a name of only whitespace, {shown_name(label)}"
        raise InvalidInputError(argument, given, _ALLOWED, "Leave texts without a label out.")
    return name


def shown_name(name: str, limit: int = 60) -> str:
    r"""Return a name in quotes for messages, shortened to `limit` characters, with invisible ones escaped.

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
    """Return a key that is equal for names that look alike or differ only in case."""
    folded = unicodedata.normalize("NFKC", name).casefold().translate(_TYPED_ALIKE)
    visible = (
        " " if character.isspace() else character
        for character in unicodedata.normalize("NFKC", folded)
        if character.isspace() or (character.isprintable() and ord(character) not in _INVISIBLE)
    )
    return " ".join("".join(visible).split()).translate(_LATIN)


def alike_names(names: Iterable[str]) -> list[tuple[str, ...]]:
    """Return the groups of names that look alike or differ only in case, each sorted.

    Names are alike if they differ only in whitespace, invisible characters, forms that Unicode considers
    compatible, or letters of other alphabets that look the same.

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
    r"""Return names that look alike for messages, with the characters that differ escaped unless they are ASCII.

    Examples
    --------
    >>> print(*shown_apart(["na\u00efve film", "na\u00efve\u00a0film"]))
    'naïve film' 'naïve\xa0film'
    """
    group = list(names)
    common = frozenset.intersection(*map(frozenset, group)) if group else frozenset()
    return [_shown(name, frozenset(one for one in name if not one.isascii()) - common) for name in group]


def alike_notices(counts: Mapping[str, int]) -> list[str]:
    """Return a sentence for each group of names that look alike or differ only in case.

    `counts` maps each name to its number of texts.

    Examples
    --------
    >>> alike_notices({"spam": 20, "Spam": 1, "ham": 30})
    ["'Spam' (1 text) and 'spam' (20 texts) differ only in case; they are two classes."]
    """
    notices = []
    for group in alike_names(counts):
        shown = [
            f"{name} ({counts[raw]:,} text{'' if counts[raw] == 1 else 's'})"
            for raw, name in zip(group, shown_apart(group), strict=True)
        ]
        listed = f"{', '.join(shown[:10][:-1])} and {shown[:10][-1]}" + (", ..." if len(shown) > 10 else "")
        how = "differ only in case" if len({name.casefold() for name in group}) == 1 else "look alike"
        number = "two" if len(group) == 2 else f"{len(group)}"
        notices.append(f"{listed} {how}; they are {number} classes.")
    return notices
