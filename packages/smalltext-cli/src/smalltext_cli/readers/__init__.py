"""Readers of texts, labels and weights from CSV, TSV, JSON lines and Parquet, one row at a time and in order."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from smalltext_cli.console import InputFileError, UsageError
from smalltext_cli.readers import parquet, text_formats
from smalltext_cli.readers.files import FileFormat, Quoting, Source, open_source
from smalltext_cli.readers.values import (
    InvalidValueError,
    MissingLabelError,
    parse_label,
    parse_labels,
    parse_text,
    parse_weight,
)

Label: TypeAlias = "str | tuple[str, ...]"
"""The name of a class, or (multi-label) the names of those that apply."""


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
