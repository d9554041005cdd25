"""Exports of annotation tools: the annotations of a text become one label, and unused ones are counted.

The label is the majority vote of the annotators, and its share of the annotations is the weight of the text. On a
tie, the label given first is kept. Annotations that were cancelled, skipped or rejected are left out, and so are
texts without annotations.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

from smalltext_cli.console import InputFileError, counted, listed_names
from smalltext_cli.readers.values import (
    SEVERAL_LABELS,
    InvalidValueError,
    Label,
    parse_label,
    parse_text,
    shown_value,
)
from smalltext_core.label_names import shown_name

Record: TypeAlias = "Mapping[str, Any]"
"""A JSON object, or a table row by column."""

_EXPORT_AGAIN = "Export it again, or pass --format jsonl, json or csv to read it as a table."


@dataclass(frozen=True)
class Columns:
    """The fields of a record to read: that of the text, and that of the label or None.

    `separator` is the separator of several labels in a table cell; `is_table` is True for CSV and TSV, and False
    for JSON.
    """

    text: str
    label: str | None
    multi_label: bool = False
    separator: str | None = None
    is_table: bool = False


@dataclass
class AnnotatedText:
    """A text, and the labels given by each of its annotations.

    `record` holds its columns, `vote_of` has the position of each annotator's vote if a tool spreads it over
    records, and `has_left_out` is True if an annotation is not used.
    """

    place: int
    text: object
    record: Record
    votes: list[tuple[object, ...]] = field(default_factory=list)
    vote_of: dict[str, int] = field(default_factory=dict)
    has_left_out: bool = False


@dataclass
class Collection:
    """The texts of an export, by the key that the records of a text share, and counts of unused annotations.

    `left_out` counts unused annotations by message templates such as ``"{n} cancelled annotation{s}"``; `place` is
    the location of the current record.
    """

    texts: dict[Hashable, AnnotatedText] = field(default_factory=dict)
    left_out: Counter[str] = field(default_factory=Counter)
    place: int = 0

    def text(self, text: object, record: Record, key: Hashable = None) -> AnnotatedText:
        """Return the text of an earlier record with the same key, or a new one."""
        unique = ("place", self.place) if key is None else ("key", key)
        return self.texts.setdefault(unique, AnnotatedText(self.place, text, record))

    def leave_out(self, text: AnnotatedText, reason: str) -> None:
        """Count an annotation that is not used."""
        text.has_left_out = True
        self.left_out[reason] += 1


class ExportFormat(NamedTuple):
    """The reader of one tool's exports.

    `matches` returns whether a record is from this tool; for tables, it is called with the columns and empty
    cells. `columns` returns the fields of the texts and labels, given all records and the requested fields.
    `collect` adds a record and its annotations to a collection.
    """

    title: str
    matches: Callable[[Record], bool]
    columns: Callable[[Sequence[Record], Columns], Columns]
    collect: Callable[[Record, Columns, Collection], None]


class DecidedText(NamedTuple):
    """A text, with the label and the weight that result from its annotations."""

    place: int
    text: str
    label: Label | None
    weight: float | None
    record: Record


class Decision(NamedTuple):
    """The majority label of a text, its share of the annotations, and whether there was a tie."""

    label: Label
    weight: float
    is_tie: bool


def decide(votes: Sequence[tuple[object, ...]], *, multi_label: bool) -> Decision | None:
    """Return the majority decision on a text; None if no annotation has a label.

    Multi-label, each label given by more than half of the annotations applies. The weight is then the share of
    annotations that agree with the decision, averaged over all labels that were given.

    Examples
    --------
    >>> decide([("spam",), ("ham",), ("spam",)], multi_label=False)
    Decision(label='spam', weight=0.6666666666666666, is_tie=False)
    >>> decide([("a", "b"), ("b",)], multi_label=True)
    Decision(label=('a', 'b'), weight=0.75, is_tie=True)
    """
    named = [tuple(dict.fromkeys(map(parse_label, vote))) for vote in votes]
    if multi_label:
        return _set_of_labels(named) if named else None
    given = [names for names in named if names]
    if not given:
        return None
    for names in given:
        if len(names) > 1:
            raise InvalidValueError(f"the text has {len(names)} labels, {listed_names(names, 4)}", SEVERAL_LABELS)
    counts = Counter(names[0] for names in given)
    (label, most), *others = counts.most_common()
    return Decision(label, most / len(given), bool(others) and others[0][1] == most)


def _set_of_labels(votes: Sequence[tuple[str, ...]]) -> Decision:
    counts = Counter(name for names in votes for name in names)
    applying, agreeing, is_tie = [], 0, False
    for name, count in counts.items():
        is_even = 2 * count == len(votes)
        is_tie |= is_even
        if applies := 2 * count > len(votes) or (is_even and name in votes[0]):
            applying.append(name)
        agreeing += count if applies else len(votes) - count
    weight = agreeing / (len(counts) * len(votes)) if counts else 1.0
    return Decision(tuple(applying), weight, is_tie)


def decided_texts(
    tool: ExportFormat,
    name: str,
    unit: str,
    records: Iterable[tuple[int, Record]],
    wanted: Columns,
    on_note: Callable[[str], None],
    *,
    keep_unlabelled: bool = False,
) -> Iterator[DecidedText]:
    """Yield each text of an export once, in order; if labels are read, the unlabelled ones are left out or kept.

    Texts have weights if any text has several annotations. `name` is the file name in messages, and `unit` the
    unit of record numbers. `on_note` is called with a sentence on what was recognised, decided and left out.

    Raises
    ------
    InputFileError
        If a record does not have the format of the tool, or no text has a label.
    """
    given = list(records)
    with _placed(name):
        columns = tool.columns([record for _, record in given], wanted)
    collection = Collection()
    for collection.place, record in given:
        with _placed(f"{name}, {unit} {collection.place}"):
            tool.collect(record, columns, collection)
    found: list[DecidedText] = []
    several = ties = 0
    for one in collection.texts.values():
        with _placed(f"{name}, {unit} {one.place}"):
            text = parse_text(one.text)
            decision = None if columns.label is None else decide(one.votes, multi_label=columns.multi_label)
        if decision is not None:
            found.append(DecidedText(one.place, text, decision.label, decision.weight, one.record))
            several += len(one.votes) > 1
            ties += decision.is_tie
        elif columns.label is None or (keep_unlabelled and not one.has_left_out):
            found.append(DecidedText(one.place, text, None, None, one.record))
        elif not one.has_left_out:
            collection.left_out["{n} text{s} without a label"] += 1
    left_out = ", ".join(
        template.format(n=f"{count:,}", s="" if count == 1 else "s")
        for template, count in collection.left_out.items()
    )
    if given and not found:
        problem = f"no text of this export of {tool.title} has a label (left out: {left_out})"
        raise InputFileError(name, problem, "Label texts, and export them again.")
    if columns.label is None:
        left_out = ""  # texts are read regardless of whether their annotations are used
    summary = _summary(tool, wanted, columns, len(found), several, ties)
    on_note(f"{name}: {summary}; left out: {left_out}." if left_out else f"{name}: {summary}.")
    yield from found if several else (one._replace(weight=None) for one in found)


def _summary(tool: ExportFormat, wanted: Columns, columns: Columns, texts: int, several: int, ties: int) -> str:
    chosen = [
        f"{what} from {shown_name(name)}"
        for what, name, asked in (("texts", columns.text, wanted.text), ("labels", columns.label, wanted.label))
        if name is not None and name != asked
    ]
    parts = [f"read as an export of {tool.title}: {counted(texts, 'text')}", *chosen]
    if several:
        votes = f"{several:,} with several annotations, whose majority is the label and its share the weight"
        parts.append(f"{votes} ({ties:,} of them tied: the label that was given first)" if ties else votes)
    return ", ".join(parts)


@contextmanager
def _placed(place: str) -> Iterator[None]:
    """Add the location to the error about a value."""
    try:
        yield
    except InvalidValueError as error:
        raise InputFileError(place, error.problem, error.next_step) from None


def chosen(wanted: str, known: Sequence[str], what: str, option: str) -> str:
    """Return the requested field, or the only candidate; raise InvalidValueError if there are several."""
    if wanted in known:
        return wanted
    if len(known) == 1:
        return known[0]
    if not known:
        raise InvalidValueError(f"there is nothing that could be {what}", _EXPORT_AGAIN)
    raise InvalidValueError(
        f"{what} could be in {listed_names(known)}, and none of them is called {shown_name(wanted)}",
        f"Name one of them with {option}.",
    )


def chosen_text(wanted: Columns, known: Sequence[str]) -> str:
    """Return the field of the texts."""
    return chosen(wanted.text, known, "the texts", "--text-column")


def chosen_label(wanted: Columns, known: Sequence[str]) -> str | None:
    """Return the field of the labels; None if none are read."""
    return None if wanted.label is None else chosen(wanted.label, known, "the labels", "--label-column")


def keys_of(records: Iterable[Record]) -> list[str]:
    """Return the keys of all records, in order."""
    return list(dict.fromkeys(key for record in records for key in record))


def as_list(value: object, what: str) -> list[Any]:
    """Return a list, or an empty one for None; raise InvalidValueError for anything else."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise InvalidValueError(f"{what} should be a list and is {shown_value(value, 40)}", _EXPORT_AGAIN)
    return value


def as_object(value: object, what: str) -> dict[str, Any]:
    """Return an object, or an empty one for None; raise InvalidValueError for anything else."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InvalidValueError(f"{what} should be an object and is {shown_value(value, 40)}", _EXPORT_AGAIN)
    return value
