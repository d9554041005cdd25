"""What a file of labelled texts holds, told before anything is trained on it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from smalltext_cli.console import messages, note, plain, warn
from smalltext_cli.readers import Label, Labelled
from smalltext_cli.spelling import names_of
from smalltext_core.label_names import alike_notices, shown_name
from smalltext_core.messages import printable, shown

_SHOWN = 60
_MISSING = frozenset(
    ("nan", "none", "null", "na", "n/a", "#n/a", "<na>", "nat", "nil", "undefined", "inf", "-inf", "infinity")
)
"""What programs write where a value is missing, in small letters."""


@dataclass(frozen=True)
class Survey:
    """Counts of a file.

    Parameters
    ----------
    texts : int
    classes : dict of str to int
        How many texts each class has, by name.
    duplicates : int
        Texts that are exact copies of an earlier one.
    contradictions : tuple of str
        Texts that occur with different labels.
    empty : int
        Texts without anything but white space.
    without_class : int
        Multi-label: texts that no class applies to.
    """

    texts: int
    classes: dict[str, int]
    duplicates: int
    contradictions: tuple[str, ...]
    empty: int
    without_class: int

    def as_dict(self) -> dict[str, Any]:
        """Return the counts as what JSON can hold."""
        return {
            "texts": self.texts,
            "classes": self.classes,
            "duplicates": self.duplicates,
            "contradictions": len(self.contradictions),
            "empty": self.empty,
            "without_class": self.without_class,
        }


def survey(data: Labelled) -> Survey:
    """Count what there is."""
    seen: dict[str, set[Label]] = defaultdict(set)
    for text, label in zip(data.texts, data.labels, strict=True):
        seen[text].add(label if isinstance(label, str) else tuple(sorted(label)))
    return Survey(
        texts=len(data.texts),
        classes=dict(sorted(counted_names(data.labels).items())),
        duplicates=len(data.texts) - len(seen),
        contradictions=tuple(text for text, labels in seen.items() if len(labels) > 1),
        empty=sum(not text.strip() for text in data.texts),
        without_class=sum(label == () for label in data.labels),
    )


def show_overlap(data: Labelled, validation: Labelled, name: str) -> None:
    """Warn on standard error of texts to be scored on that are trained on as well."""
    known = set(data.texts)
    seen = sum(text in known for text in validation.texts)
    if seen:
        warn(f"texts of {name} that are trained on as well, so that the scores flatter: {seen:,}")


def show(found: Survey, name: str) -> None:
    """Tell on standard error what a file holds."""
    from rich.table import Table

    console = messages()
    heading = f"{printable(name)}: {found.texts:,} texts in {len(found.classes)} classes"
    console.print(heading, markup=False, soft_wrap=True)
    table = Table("class", box=None, pad_edge=False, padding=(0, 2))
    table.add_column("texts", justify="right")
    table.add_column("share", justify="right")
    for label, count in found.classes.items():
        table.add_row(plain(shown_name(label)[1:-1]), f"{count:,}", f"{count / found.texts:.1%}")
    console.print(table)
    notes = [
        ("exact copies of an earlier text", found.duplicates),
        ("empty texts", found.empty),
        ("texts that no class applies to", found.without_class),
    ]
    for meaning, count in notes:
        if count:
            note(f"{meaning}: {count:,}")
    if found.contradictions:
        warn(
            f"texts that occur with different labels: {len(found.contradictions):,}, such as "
            f"{shown(found.contradictions[0], _SHOWN)}; decide on one"
        )
    for sentence in doubtful_names(found.classes):
        warn(sentence)


def doubtful_names(counts: Mapping[str, int]) -> list[str]:
    """Return a sentence on each reason to doubt that names are meant as they are.

    Parameters
    ----------
    counts : mapping of str to int
        How many texts each class has.

    Examples
    --------
    >>> doubtful_names({"spam": 20, "ham": 30, "nan": 2})
    ["a class is called 'nan' (2 texts). If that means that a text has no label, drop those texts."]
    """
    sentences = alike_notices(counts)
    sentences += [
        f"a class is called {shown_name(name)} ({_texts(count)}). If that means that a text has no label, drop "
        "those texts."
        for name, count in counts.items()
        if name.casefold() in _MISSING
    ]
    lists = [name for name in counts if name.startswith("[") and name.endswith("]")]
    if lists:
        sentences.append(
            f"{_texts(sum(counts[name] for name in lists))} with a list for a label, such as "
            f"{shown_name(lists[0])}. If several classes may apply to a text, pass --multi-label."
        )
    return sentences


def show_unscored(counts: Mapping[str, int], scored: Mapping[str, int], *, held_out: bool) -> None:
    """Warn on standard error of classes that no score is about.

    Parameters
    ----------
    counts : mapping of str to int
        How many texts each class has in all.
    scored : mapping of str to int
        How many of the texts that are scored on.
    held_out : bool
        Whether those are a part of the texts in `counts`.
    """
    missing = [name for name in counts if not scored.get(name)]
    single = [name for name in missing if held_out and counts[name] == 1]
    if single:
        warn(f"classes with one text cannot be scored, since it is needed for training: {_listed(single)}")
    others = [name for name in missing if name not in set(single)]
    if others:
        warn(f"classes that are not scored, since no text to score on has them: {_listed(others)}")


def counted_names(labels: Iterable[Label]) -> Counter[str]:
    """Return how many texts each class has, by name."""
    return Counter(name for label in labels for name in names_of(label))


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(shown_name, names[:10])) + (f" and {len(names) - 10:,} more" if len(names) > 10 else "")


def _texts(count: int) -> str:
    return f"{count:,} text{'' if count == 1 else 's'}"
