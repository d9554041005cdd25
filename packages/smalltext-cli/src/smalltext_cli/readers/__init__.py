"""Readers of texts, labels and weights from tables, JSON, plain text and exports of annotation tools."""

from __future__ import annotations

import io
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Literal, NamedTuple

from smalltext_cli.console import InputFileError, UsageError
from smalltext_cli.readers import recognition
from smalltext_cli.readers.exports import Columns, ExportFormat, decided_texts
from smalltext_cli.readers.files import (
    EXPORTS,
    InputFormat,
    LineCounts,
    Quoting,
    Record,
    Source,
    open_source,
)
from smalltext_cli.readers.values import (
    InvalidValueError,
    Label,
    MissingLabelError,
    parse_label,
    parse_labels,
    parse_text,
    parse_weight,
)
from smalltext_core.label_names import shown_name

__all__ = ["InvalidValueError", "Label", "Labelled", "MissingLabelError", "Reader", "Row"]

UNCERTAINTY = "uncertainty"
"""The column that identifies files written by `smalltext suggest`."""

_NO_COLUMNS: Mapping[str, object] = {}


class Row(NamedTuple):
    """One text of a file, with its first line or its row number, counted from 1.

    `columns` are all columns of the file, if the reader keeps them.
    """

    text: str
    label: Label | None
    weight: float | None
    line: int
    columns: Mapping[str, object] = _NO_COLUMNS


@dataclass(frozen=True)
class Labelled:
    """All rows of a file, column by column, and notes on why there are fewer or more rows than lines.

    `lines` are the line or row numbers of the texts, depending on `unit`.
    """

    texts: list[str]
    labels: list[Label]
    weights: list[float] | None
    notes: tuple[str, ...] = ()
    lines: list[int] = field(default_factory=list)
    unit: Literal["line", "row"] = "line"


@dataclass(frozen=True)
class OpenedFile:
    """A file whose rows are being read.

    Parameters
    ----------
    rows : iterator of Row
    source : Source
        The format, the unit of the row numbers, and the header once the first row is read.
    """

    rows: Generator[Row, None, None]
    source: Source


@dataclass(frozen=True)
class Reader:
    r"""Reads files of one layout.

    Parameters
    ----------
    text_column : str
        The column, or JSON key, of the texts.
    label_column, weight_column : str, optional
        The columns of the labels and weights; by default, none are read.
    multi_label : bool, default=False
        Whether a value may hold several labels: a JSON list, or names with a separator between them.
    separator : str, optional
        The separator between labels; by default ``|``, unless the value is a JSON list.
    file_format : str, optional
        "csv", "tsv", "jsonl", "json", "txt", "parquet" or "xlsx"; by default according to the extension, or for
        standard input to the content. Exports of annotation tools are recognised by their structure, unless the
        tool is given: "label-studio", "argilla", "doccano", "prodigy", "spacy" or "fasttext".
    quoting : {"minimal", "none"}, optional
        CSV and TSV: whether double quotes enclose fields. By default they do in CSV, and in TSV with a quoted
        header.
    sheet : str, optional
        The sheet of an Excel workbook; by default the first.
    keep_columns : bool, default=False
        Whether rows keep all columns of the file.
    unlabelled : {"refuse", "skip", "keep"}, default="refuse"
        The treatment of rows without a label: raise an error, skip and count them, or set their label to None. In
        files written by ``smalltext suggest``, they are skipped rather than refused.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "mails.csv")
    ...     size = path.write_text("text,label\nbuy now,spam\n", encoding="utf-8")
    ...     list(Reader("text", "label").rows(str(path)))
    [Row(text='buy now', label='spam', weight=None, line=2, columns={})]
    """

    text_column: str
    label_column: str | None = None
    weight_column: str | None = None
    multi_label: bool = False
    separator: str | None = None
    file_format: InputFormat | None = None
    quoting: Quoting | None = None
    sheet: str | None = None
    keep_columns: bool = False
    unlabelled: Literal["refuse", "skip", "keep"] = "refuse"

    def rows(self, path: str) -> Generator[Row, None, None]:
        """Yield the rows of a file of any length; ``-`` is standard input.

        Raises
        ------
        InputFileError
            Naming the file, the line or row, what is wrong there, and what to do.
        """
        with self.open(path) as opened:
            yield from opened.rows

    @contextmanager
    def open(self, path: str, skip: int = 0) -> Iterator[OpenedFile]:
        """Open a file of any length, to read its rows from number `skip` on; ``-`` is standard input.

        In Parquet, rows that are skipped are not read; in other formats they are.

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
        with open_source(path, self.file_format) as source:
            if self.sheet is not None and source.file_format != "xlsx":
                kind = source.file_format.upper()
                raise UsageError(f"--sheet is for Excel workbooks; {source.name} is {kind}. Leave it out.")
            source = replace(source, sheet=self.sheet)
            if self.has_row_numbers(source):
                source, skip = replace(source, skip=skip), 0
            with closing(self._rows(source, columns)) as rows:
                for _ in islice(rows, skip):
                    pass
                yield OpenedFile(rows, source)

    def has_row_numbers(self, source: Source) -> bool:
        """Return whether rows can be accessed by number and counted without reading the whole file."""
        return source.file_format == "parquet" and self.file_format not in EXPORTS

    def _rows(self, source: Source, columns: list[str]) -> Generator[Row, None, None]:
        wanted = Columns(
            self.text_column,
            self.label_column,
            self.multi_label,
            self.separator,
            is_table=source.file_format in ("csv", "tsv"),
        )
        tool, records = self._records(source, columns, wanted)
        if tool is not None:
            yield from self._rows_of_export(source, tool, records, wanted)
            source.check_unchanged()  # before the caller overwrites the file with its results
            return
        with closing(records):
            for number, values, every in records:
                try:
                    row = self._row(number, values)
                except InvalidValueError as error:
                    if isinstance(error, MissingLabelError) and self._skips_unlabelled(source, every):
                        source.counts.unlabelled += 1
                        continue
                    more = self._missing_labels(records) if isinstance(error, MissingLabelError) else 0
                    also = f", as {'is' if more == 1 else 'are'} {more:,} more" if more else ""
                    place = f"{source.name}, {source.unit} {number}"
                    raise InputFileError(place, f"{error.problem}{also}", error.next_step) from None
                yield row._replace(columns=every) if self.keep_columns else row
        source.check_unchanged()

    def _rows_of_export(
        self, source: Source, tool: ExportFormat, records: Iterator[Record], wanted: Columns
    ) -> Iterator[Row]:
        if self.weight_column is not None:
            raise UsageError(
                f"--weight-column: the weights of an export of {tool.title} are the agreement of its annotators. "
                "Leave it out, or pass the format of the file, such as --format csv, to read it as a table."
            )
        given = {number: record for number, _, record in records}
        remarks = source.counts.remarks.append
        keep = self.unlabelled == "keep"
        # Rows of a table are kept as they are, JSON objects and lines of fastText as the reader of the tool
        # changes them.
        is_table = source.header and tool is not recognition.TOOLS["fasttext"]
        cells = ((number, _as_cells(record, source)) for number, record in given.items())
        for found in decided_texts(tool, source.name, source.unit, cells, wanted, remarks, keep_unlabelled=keep):
            row = Row(found.text, found.label, found.weight, found.place)
            kept = given[found.place] if is_table else found.record
            yield row._replace(columns=kept) if self.keep_columns else row

    def read(self, path: str) -> Labelled:
        """Read a whole file of labelled texts.

        Raises
        ------
        InputFileError
            Like `rows`, and if the file has no rows.
        """
        with self.open(path) as opened:
            rows = list(opened.rows)
        if opened.source.counts.unlabelled and not rows:
            advice = f"Fill in the column {shown_name(str(self.label_column))}."
            raise InputFileError(path, "no text has a label yet", advice)
        if not rows:
            raise InputFileError(path, "there are no texts in it", "Give a row for each text.")
        weights = [row.weight for row in rows if row.weight is not None]
        return Labelled(
            [row.text for row in rows],
            [row.label for row in rows if row.label is not None],
            weights or None,
            tuple(opened.source.counts.notes()),
            [row.line for row in rows],
            opened.source.unit,
        )

    def _records(
        self, source: Source, columns: list[str], wanted: Columns
    ) -> tuple[ExportFormat | None, Generator[Record, None, None]]:
        """Return the annotation tool that exported the file, if any, and the records."""
        if self.quoting is not None and not wanted.is_table:
            kind = source.file_format.upper()
            raise UsageError(f"--quoting is for CSV and TSV; {source.name} is {kind}. Leave it out.")
        forced = self.file_format if self.file_format in EXPORTS else None
        return recognition.records(
            source,
            columns,
            wanted,
            forced=forced,
            is_table=self.file_format is not None and forced is None,
            quoting=self.quoting,
            keep_columns=self.keep_columns,
        )

    def _row(self, number: int, values: list[object]) -> Row:
        text = parse_text(values[0])
        label = None
        if self.label_column is not None:
            try:
                label = self._label(values[1])
            except MissingLabelError:
                if self.unlabelled != "keep":
                    raise
        return Row(text, label, None if self.weight_column is None else parse_weight(values[-1]), number)

    def _skips_unlabelled(self, source: Source, columns: Mapping[str, object]) -> bool:
        return self.unlabelled == "skip" or UNCERTAINTY in source.header or UNCERTAINTY in columns

    def _label(self, value: object) -> Label:
        return parse_labels(value, self.separator) if self.multi_label else parse_label(value)

    def _missing_labels(self, records: Iterator[Record]) -> int:
        """Count the missing labels in the rest of a file, as far as it can be read."""
        count = 0
        with suppress(InputFileError):
            for _, values, _ in records:
                count += self._lacks_label(values[1])
        return count

    def _lacks_label(self, value: object) -> bool:
        try:
            self._label(value)
        except InvalidValueError as error:
            return isinstance(error, MissingLabelError)
        return False


def _as_cells(record: Mapping[str, object], source: Source) -> Mapping[str, object]:
    """Return a record, in a workbook with empty strings for empty cells, as in CSV."""
    if source.file_format != "xlsx":
        return record
    return {name: "" if value is None else value for name, value in record.items()}


@contextmanager
def given_texts(texts: Sequence[str], column: str) -> Iterator[OpenedFile]:
    """Open texts given as arguments like a file with one column; raise UsageError for an invalid text."""
    counts = LineCounts("--text")
    source = Source("", "--text", "txt", io.BytesIO(), counts, header=[column])

    def row(number: int, text: str) -> Row:
        try:
            return Row(parse_text(text), None, None, number, {column: text})
        except InvalidValueError as error:
            raise UsageError(f"--text {number}: {error.problem}. {error.next_step}") from None

    yield OpenedFile((row(number, text) for number, text in enumerate(texts, start=1)), source)
