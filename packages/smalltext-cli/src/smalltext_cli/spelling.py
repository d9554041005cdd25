"""Labels that are one value in two spellings: files of numbers and truth values do not agree on how to write them.

pandas writes ``1.0`` into a CSV file where JSON lines have ``1``, and ``True`` where they have ``true``. Other
texts are never taken for one another: ``007`` is not ``7``, and ``1.10`` is not ``1.1``.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from smalltext_cli.readers import Label
from smalltext_core.label_names import shown_name

_WHOLE = re.compile(r"(-?(?:0|[1-9][0-9]*))(?:\.0+)?")
_TRUTH = {
    spelling: spelling.lower() for word in ("true", "false") for spelling in (word, word.title(), word.upper())
}


def one_spelling(
    labels: Sequence[Label], name: str, known: Iterable[str] | None = None
) -> tuple[list[Label], list[str]]:
    """Give labels that are the same number or truth value one name.

    Parameters
    ----------
    labels : sequence of str, or of tuples of str (multi-label)
    name : str
        What the file is called in notes.
    known : iterable of str, optional
        The names that classes have already; by default those in `labels`.

    Returns
    -------
    labels : list
        Those that were given, in which a name that is not known has become one that is, if it is the same value.
    notes : list of str
        A sentence for each name that was replaced, with its count.

    Examples
    --------
    >>> one_spelling(["1", "1.0", "007"], "a.csv")
    (['1', '1', '007'], ["a.csv: 1 label '1.0' taken for '1', which is the same value."])
    """
    counts = Counter(one for label in labels for one in names_of(label))
    instead = _instead(counts, known)
    if not instead:
        return list(labels), []
    notes = [
        f"{name}: {counts[one]:,} label{'' if counts[one] == 1 else 's'} {shown_name(one)} taken for "
        f"{shown_name(other)}, which is the same value."
        for one, other in instead.items()
    ]
    return [_renamed(label, instead) for label in labels], notes


def names_of(label: Label | None) -> tuple[str, ...]:
    """Return the names in a label: one, or several (multi-label)."""
    assert label is not None
    return (label,) if isinstance(label, str) else label


def _instead(counts: Mapping[str, int], known: Iterable[str] | None) -> dict[str, str]:
    """Return what to call the names that are not known, but the same value as one that is."""
    by_value: dict[str, list[str]] = {}
    for name in counts if known is None else known:
        if (value := _value(name)) is not None:
            by_value.setdefault(value, []).append(name)
    chosen = {
        value: min(names, key=lambda name: (name != value, len(name), name)) for value, names in by_value.items()
    }
    kept = set(chosen.values()) if known is None else {name for names in by_value.values() for name in names}
    return {
        name: chosen[value]
        for name in sorted(counts)
        if name not in kept and (value := _value(name)) is not None and value in chosen
    }


def _value(name: str) -> str | None:
    """Return the usual spelling of a whole number or a truth value; None for any other name."""
    if name in _TRUTH:
        return _TRUTH[name]
    found = _WHOLE.fullmatch(name)
    return None if found is None else "0" if found[1] == "-0" else found[1]


def _renamed(label: Label, instead: Mapping[str, str]) -> Label:
    if isinstance(label, str):
        return instead.get(label, label)
    return tuple(dict.fromkeys(instead.get(name, name) for name in label))
