"""Checks of labelled data: class names, spellings of labels, duplicates, contradictory labels, and overlap."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from smalltext_cli.console import InputFileError, counted, messages, new_table, note, plain, print_message, warn
from smalltext_cli.readers import Label, Labelled
from smalltext_cli.readers.values import SEPARATOR
from smalltext_cli.training_texts import TrainingTexts
from smalltext_core import LabelNames
from smalltext_core.label_names import alike_names, alike_notices, shown_apart, shown_name
from smalltext_core.messages import printable, shown

_MAX_SHOWN = 60
_MAX_CLASSES = 1_000
_MAX_CLASSES_OF_FEW_TEXTS = 100
_MISSING_VALUES = frozenset(
    ("nan", "none", "null", "na", "n/a", "#n/a", "<na>", "nat", "nil", "undefined", "inf", "-inf", "infinity")
)
_WHOLE_NUMBER = re.compile(r"(-?(?:0|[1-9][0-9]*))(?:\.0+)?")
_BOOLEANS = {
    spelling: spelling.lower() for word in ("true", "false") for spelling in (word, word.title(), word.upper())
}


def label_set(label: Label | None) -> tuple[str, ...]:
    """Return the class names in a label: one, or several (multi-label)."""
    assert label is not None
    return (label,) if isinstance(label, str) else label


def class_counts(labels: Iterable[Label]) -> Counter[str]:
    """Return the number of texts of each class, by name."""
    return Counter(name for label in labels for name in label_set(label))


def class_names(
    labels: Sequence[Label], file: str, column: str, *, multi_label: bool, max_classes: int | None = None
) -> LabelNames:
    """Return the classes that occur, or reject labels of fewer than two classes, or of too many.

    Too many are more than `max_classes`, by default 1,000 or half the number of texts if that is less, but at
    least 100: then the column probably holds ids or titles rather than labels.

    Raises
    ------
    InputFileError
    """
    names = LabelNames.of(labels)
    allowed = max_classes or min(_MAX_CLASSES, max(_MAX_CLASSES_OF_FEW_TEXTS, len(labels) // 2))
    if len(names) > allowed:
        raise InputFileError(
            file,
            f"the column {column!r} holds {len(names):,} different labels in {len(labels):,} texts, such as "
            f"{shown_name(names.names[0], 30)} and {shown_name(names.names[-1], 30)}",
            "Name the column of the labels with --label-column; if these are really classes, say so with "
            f"--max-classes {len(names)}.",
        )
    if multi_label and not len(names):
        raise InputFileError(file, "no text has a label", "Label some.")
    if not multi_label and len(names) < 2:
        raise InputFileError(
            file,
            f"all texts have one label, {shown_name(names.names[0])}",
            "Give texts of at least two classes, or name another column with --label-column.",
        )
    return names


def similar_name_hint(unknown: Iterable[str], known: Iterable[str]) -> str:
    """Return a hint and a space for the first unknown name that resembles a known one; empty if none does."""
    for name in unknown:
        for group in alike_names([name, *known]):
            if name in group:
                other = next(one for one in group if one != name)
                given, meant = shown_apart([name, other])
                return f"{given} looks like {meant}, but is a different name. "
    return ""


def unify_spellings(
    labels: Sequence[Label], file: str, known: Iterable[str] | None = None
) -> tuple[list[Label], list[str]]:
    """Merge labels that are spellings of the same whole number or boolean.

    pandas may write ``1.0`` to a CSV file where JSON Lines have ``1``, and ``True`` where they have ``true``.
    Other names are never merged: ``007`` is not ``7``, and ``1.10`` is not ``1.1``.

    Names that are not `known` (by default, all but one of each value) are replaced by a known one. There is a note
    on each of them, with the `file` and the number of labels.

    Examples
    --------
    >>> unify_spellings(["1", "1.0", "007"], "a.csv")
    (['1', '1', '007'], ["a.csv: 1 label '1.0' read as '1', which is the same value."])
    """
    counts = class_counts(labels)
    renamed = _renamed(counts, known)
    if not renamed:
        return list(labels), []
    notes = [
        f"{file}: {counted(counts[one], 'label')} {shown_name(one)} read as "
        f"{shown_name(other)}, which is the same value."
        for one, other in renamed.items()
    ]
    unified: list[Label] = []
    for label in labels:
        names = tuple(dict.fromkeys(renamed.get(name, name) for name in label_set(label)))
        unified.append(names[0] if isinstance(label, str) else names)
    return unified, notes


def _renamed(counts: Mapping[str, int], known: Iterable[str] | None) -> dict[str, str]:
    """Map the names that are not known to known names with the same value."""
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
    """Return the canonical spelling of a whole number or boolean; None for any other name."""
    if name in _BOOLEANS:
        return _BOOLEANS[name]
    found = _WHOLE_NUMBER.fullmatch(name)
    return None if found is None else "0" if found[1] == "-0" else found[1]


@dataclass(frozen=True)
class DataSummary:
    """Counts of labelled texts: all, by class, copies of an earlier text, blank texts, and texts without a class.

    `contradictions` are texts that occur with different labels.
    """

    texts: int
    classes: dict[str, int]
    duplicates: int
    contradictions: tuple[str, ...]
    empty: int
    without_class: int

    @classmethod
    def of(cls, data: Labelled) -> DataSummary:
        """Count texts, classes and duplicates."""
        seen: dict[str, set[Label]] = defaultdict(set)
        for text, label in zip(data.texts, data.labels, strict=True):
            seen[text].add(label if isinstance(label, str) else tuple(sorted(label)))
        return cls(
            texts=len(data.texts),
            classes=dict(sorted(class_counts(data.labels).items())),
            duplicates=len(data.texts) - len(seen),
            contradictions=tuple(text for text, labels in seen.items() if len(labels) > 1),
            empty=sum(not text.strip() for text in data.texts),
            without_class=sum(label == () for label in data.labels),
        )

    def as_dict(self) -> dict[str, Any]:
        """Return the counts as JSON values."""
        return {**vars(self), "contradictions": len(self.contradictions)}

    def show(self, file: str, *, multi_label: bool) -> None:
        """Print a table of the classes, and notes and warnings, to standard error."""
        heading = f"{printable(file)}: {counted(self.texts, 'text')} in {counted(len(self.classes), 'class')}"
        print_message(heading)
        table = new_table("class", "texts", "share", padding=(0, 2))
        for label, count in self.classes.items():
            table.add_row(plain(shown_name(label)[1:-1]), f"{count:,}", f"{count / self.texts:.1%}")
        messages().print(table)
        for meaning, count in (
            ("exact copies of an earlier text", self.duplicates),
            ("empty texts", self.empty),
            ("texts that no class applies to", self.without_class),
        ):
            if count:
                note(f"{meaning}: {count:,}")
        if self.contradictions:
            warn(
                f"texts that occur with different labels: {len(self.contradictions):,}, such as "
                f"{shown(self.contradictions[0], _MAX_SHOWN)}; decide on one"
            )
        warn_of_names(self.classes, multi_label=multi_label)


def warn_of_names(counts: Mapping[str, int], *, multi_label: bool) -> None:
    """Warn on standard error about class names that may be mistakes."""
    for sentence in suspicious_names(counts, multi_label=multi_label):
        warn(sentence)


def suspicious_names(counts: Mapping[str, int], *, multi_label: bool = False) -> list[str]:
    """Return a sentence on each suspicious class name, given the number of texts of each class.

    In single-label problems, names that look like several labels are among them.

    Examples
    --------
    >>> suspicious_names({"spam": 20, "ham": 30, "nan": 2})
    ["a class is called 'nan' (2 texts). If that means that a text has no label, drop those texts."]
    """
    sentences = alike_notices(counts)
    sentences += [
        f"a class is called {shown_name(name)} ({counted(count, 'text')}). If that means that a text has no "
        "label, drop those texts."
        for name, count in counts.items()
        if name.casefold() in _MISSING_VALUES
    ]
    lists = [name for name in counts if name.startswith("[") and name.endswith("]")]
    several = lists or [name for name in counts if SEPARATOR in name.strip(SEPARATOR)]
    if several and not multi_label:
        what = "a list for a label" if lists else f"a label that contains {SEPARATOR!r}"
        sentences.append(
            f"{counted(sum(counts[name] for name in several), 'text')} with {what}, such as "
            f"{shown_name(several[0])}. If several classes may apply to a text, pass --multi-label."
        )
    return sentences


def warn_of_overlap(data: Labelled, validation: Labelled, file: str) -> None:
    """Warn on standard error about validation texts that are also in the training data."""
    seen = int(TrainingTexts.of(data.texts).contain(validation.texts).sum())
    if seen:
        warn(trained_on_warning(seen, len(validation.texts), file))


def trained_on_warning(seen: int, texts: int, file: str) -> str:
    """Return the warning that a model was trained on some of the texts to score.

    Examples
    --------
    >>> trained_on_warning(2, 10, "test.csv")
    'test.csv: the model was trained on 2 of 10 texts, so the scores are too optimistic. Score it on other texts.'
    """
    return (
        f"{file}: the model was trained on {seen:,} of {counted(texts, 'text')}, so the scores are too "
        "optimistic. Score it on other texts."
    )


def warn_of_unscored(counts: Mapping[str, int], scored: Mapping[str, int], *, held_out: bool) -> None:
    """Warn on standard error about classes without texts to score.

    `counts` is the total number of texts of each class, and `scored` the number of texts to score, which are part
    of the former if `held_out`.
    """
    missing = [name for name in counts if not scored.get(name)]
    single = [name for name in missing if held_out and counts[name] == 1]
    others = [name for name in missing if name not in set(single)]
    if single:
        warn(f"classes with one text cannot be scored, since it is needed for training: {_listed(single)}")
    if others:
        warn(f"classes that are not scored, since no text to score on has them: {_listed(others)}")


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(shown_name, names[:10])) + (f" and {len(names) - 10:,} more" if len(names) > 10 else "")
