"""Readers of texts, labels and weights from CSV, TSV, JSON lines and Parquet, one row at a time and in order."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import date, datetime
from typing import NamedTuple, TypeAlias

from smalltext_cli.console import InputFileError, UsageError
from smalltext_cli.readers import parquet, text_formats
from smalltext_cli.readers.files import FileFormat, Quoting, Source, open_source
from smalltext_core.errors import InvalidInputError
from smalltext_core.label_names import class_name
from smalltext_core.messages import shown

Label: TypeAlias = "str | tuple[str, ...]"
"""The name of a class, or (multi-label) the names of those that apply."""

_SEPARATOR = "|"
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_MAX_SHOWN = 60


class Row(NamedTuple):
    """One text of a file, with the line on which it begins, or the number of its row in Parquet; from 1."""

    text: str
    label: Label | None
    weight: float | None
    line: int


@dataclass(frozen=True)
class Labelled:
    """All rows of a file, column by column, and a sentence for each reason why there are not as many as lines."""

    texts: list[str]
    labels: list[Label]
    weights: list[float] | None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Reader:
    r"""Reads files of one layout.

    Parameters
    ----------
    text_column : str
        The column, or JSON key, of the texts.
    label_column, weight_column : str, optional
        Those of the labels and weights; by default, none are read.
    multi_label : bool, default=False
        Whether a value holds several labels: a JSON list, or names with a separator between them.
    separator : str, optional
        By default ``|``, unless the value is a JSON list.
    file_format : {"csv", "tsv", "jsonl", "parquet"}, optional
        By default that of the extension, or, for standard input, of the content.
    quoting : {"minimal", "none"}, optional
        CSV and TSV: whether double quotes enclose fields. By default they do in CSV, and in TSV whose header has
        them.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "mails.csv")
    ...     size = path.write_text("text,label\nbuy now,spam\n", encoding="utf-8")
    ...     list(Reader("text", "label").rows(str(path)))
    [Row(text='buy now', label='spam', weight=None, line=2)]
    """

    text_column: str
    label_column: str | None = None
    weight_column: str | None = None
    multi_label: bool = False
    separator: str | None = None
    file_format: FileFormat | None = None
    quoting: Quoting | None = None

    def rows(self, path: str, on_note: Callable[[str], None] | None = None) -> Generator[Row, None, None]:
        """Yield the rows of a file of any length; ``-`` is standard input.

        Once all are read, `on_note` gets a sentence for each reason why there are not as many texts as lines.

        Raises
        ------
        InputFileError
            Naming the file, the line or row, what is wrong there, and what to do.
        """
        named = (self.text_column, self.label_column, self.weight_column)
        columns = [column for column in named if column is not None]
        if len(set(columns)) < len(columns):
            listed = ", ".join(map(repr, columns))
            raise UsageError(f"One column cannot be two things: {listed}. Name different ones.")
        if self.separator == "":
            raise UsageError("--separator: it is empty. Give the character between the labels, such as ';'.")
        with (
            open_source(path, self.file_format) as source,
            closing(self._records(source, columns)) as records,
        ):
            unit = "row" if source.file_format == "parquet" else "line"
            for number, values in records:
                try:
                    row = self._row(number, values)
                except InvalidValueError as error:
                    more = self._missing_labels(records) if isinstance(error, MissingLabelError) else 0
                    also = f", as {'is' if more == 1 else 'are'} {more:,} more" if more else ""
                    place = f"{source.name}, {unit} {number}"
                    raise InputFileError(place, f"{error.problem}{also}", error.next_step) from None
                yield row
        if on_note is not None:
            for sentence in source.counts.notes():
                on_note(sentence)

    def read(self, path: str) -> Labelled:
        """Read a whole file of labelled texts.

        Raises
        ------
        InputFileError
            As `rows` does, and if the file has no rows.
        """
        notes: list[str] = []
        rows = list(self.rows(path, notes.append))
        if not rows:
            raise InputFileError(path, "there are no texts in it", "Give a row for each text.")
        weights = [row.weight for row in rows if row.weight is not None]
        return Labelled(
            [row.text for row in rows],
            [row.label for row in rows if row.label is not None],
            weights if self.weight_column is not None else None,
            tuple(notes),
        )

    def _records(self, source: Source, columns: list[str]) -> Generator[tuple[int, list[object]], None, None]:
        if source.file_format in ("csv", "tsv"):
            yield from text_formats.delimited_records(source, columns, self.quoting)
        elif self.quoting is not None:
            kind = source.file_format.upper()
            raise UsageError(f"--quoting is for CSV and TSV; {source.name} is {kind}. Leave it out.")
        else:
            read = parquet.records if source.file_format == "parquet" else text_formats.json_records
            yield from read(source, columns)

    def _row(self, number: int, values: list[object]) -> Row:
        text = parse_text(values[0])
        label = None if self.label_column is None else self._label(values[1])
        return Row(text, label, None if self.weight_column is None else parse_weight(values[-1]), number)

    def _label(self, value: object) -> Label:
        return parse_labels(value, self.separator) if self.multi_label else parse_label(value)

    def _missing_labels(self, records: Iterator[tuple[int, list[object]]]) -> int:
        """Count the labels that are missing in the rest of a file, as far as it can be read."""
        count = 0
        with suppress(InputFileError):
            for _, values in records:
                count += self._lacks_label(values[1])
        return count

    def _lacks_label(self, value: object) -> bool:
        try:
            self._label(value)
        except InvalidValueError as error:
            return isinstance(error, MissingLabelError)
        return False


class InvalidValueError(ValueError):
    """A value of a column is not what it should be; the reader adds its place."""

    def __init__(self, problem: str, next_step: str) -> None:
        super().__init__(problem)
        self.problem = problem
        self.next_step = next_step


class MissingLabelError(InvalidValueError):
    """A label is missing."""


def parse_text(value: object) -> str:
    """Return a text, which may be empty but not missing."""
    if value is None:
        raise InvalidValueError("the text is missing", "Write an empty string, or drop it.")
    if not isinstance(value, str):
        advice = "Name another column with --text-column."
        raise InvalidValueError(f"the text is {_type_name(value)}, not a string", advice)
    if not value.isascii() and _SURROGATE.search(value):
        raise InvalidValueError(
            "a character is half of a surrogate pair, which no text encoding can hold",
            "Write the character whole, or drop it.",
        )
    return value


def parse_weight(value: object) -> float:
    """Return a weight: a finite number, 0 or above."""
    weight = math.nan
    if isinstance(value, str):
        if _NUMBER.fullmatch(value.strip()):
            weight = float(value.strip())
    elif not isinstance(value, (bool, bytes, bytearray)):
        with suppress(TypeError, ValueError, OverflowError):
            weight = float(value)  # type: ignore[arg-type]
    if not math.isfinite(weight) or weight < 0:
        given = "missing" if value in (None, "") else shown(value, _MAX_SHOWN)
        raise InvalidValueError(f"the weight is {given}", "Write a finite number, 0 or above.")
    return weight


def parse_label(value: object) -> str:
    """Return the name of a class; numbers, booleans and dates become names, null, NaN and blanks are missing."""
    if isinstance(value, (list, dict)):
        advice = "For several labels a text, train with --multi-label."
        raise InvalidValueError(f"the label is {_type_name(value)}", advice)
    if _is_missing(value):
        detail = "" if value is None or value == "" else f" ({shown(value)})"
        raise MissingLabelError(f"the label is missing{detail}", "Label it, or drop it.")
    if isinstance(value, date) and not isinstance(value, datetime):
        value = value.isoformat()
    try:
        return class_name(value)
    except InvalidInputError as error:
        advice = "Write it as a string, or drop it."
        raise InvalidValueError(f"the label is no name: {error.given}", advice) from None


def parse_labels(value: object, separator: str | None) -> tuple[str, ...]:
    """Return the names of several classes, each once and in order; ``[]`` is none of them.

    A value is a list, a string that holds a JSON list (unless a separator is given), or names with the separator,
    by default ``|``, between them.
    """
    parts = value
    if isinstance(value, str):
        text = value.strip()
        if separator is None and text.startswith("["):
            parts = _json_list(text)
        else:
            parts = [part for part in text.split(separator or _SEPARATOR) if part.strip()] or None
    elif not isinstance(value, list):
        parts = None if _is_missing(value) else [value]
    if not isinstance(parts, list):
        raise MissingLabelError("the labels are missing", "Write [] if no class applies, or drop it.")
    return tuple(dict.fromkeys(map(parse_label, parts)))


def _is_missing(value: object) -> bool:
    return value is None or (isinstance(value, str) and not value.strip()) or value != value


def _json_list(text: str) -> list[object]:
    with suppress(ValueError, RecursionError):
        parts = json.loads(text)
        if isinstance(parts, list):
            return parts
    raise InvalidValueError(
        f"{shown(text, _MAX_SHOWN)} is no JSON list of labels",
        'Write ["one", "two"], or say with --separator what stands between the labels.',
    )


def _type_name(value: object) -> str:
    names = {dict: "an object", list: "a list", bool: "true or false", int: "a number", float: "a number"}
    return names.get(type(value), f"of type {type(value).__name__}")
