"""What a file of labelled texts holds, told before anything is trained on it."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import Any

from smalltext_cli.cells import Label
from smalltext_cli.console import messages
from smalltext_cli.errors import shortened
from smalltext_cli.reading import Labelled


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
    counts: Counter[str] = Counter()
    for text, label in zip(data.texts, data.labels, strict=True):
        names = (label,) if isinstance(label, str) else label
        counts.update(names)
        seen[text].add(label if isinstance(label, str) else tuple(sorted(label)))
    return Survey(
        texts=len(data.texts),
        classes=dict(sorted(counts.items())),
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
        messages().print(
            f"Warning: texts of {name} that are trained on as well, so that the scores flatter: {seen:,}",
            markup=False,
            soft_wrap=True,
        )


def show(found: Survey, name: str) -> None:
    """Tell on standard error what a file holds."""
    from rich.table import Table
    from rich.text import Text

    console = messages()
    console.print(f"{name}: {found.texts:,} texts in {len(found.classes)} classes", markup=False, soft_wrap=True)
    table = Table("class", box=None, pad_edge=False, padding=(0, 2))
    table.add_column("texts", justify="right")
    table.add_column("share", justify="right")
    for label, count in found.classes.items():
        table.add_row(Text(shortened(label)), f"{count:,}", f"{count / found.texts:.1%}")
    console.print(table)
    notes = [
        ("exact copies of an earlier text", found.duplicates),
        ("empty texts", found.empty),
        ("texts that no class applies to", found.without_class),
    ]
    for meaning, count in notes:
        if count:
            console.print(f"Note: {meaning}: {count:,}", markup=False)
    if found.contradictions:
        console.print(
            f"Warning: texts that occur with different labels: {len(found.contradictions):,}, such as "
            f"{shortened(found.contradictions[0])!r}; decide on one",
            markup=False,
            soft_wrap=True,
        )
