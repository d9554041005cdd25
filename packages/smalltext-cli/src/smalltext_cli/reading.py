"""Texts, labels and weights from CSV, TSV, JSON lines or Parquet, one row at a time and in order."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import NamedTuple

from smalltext_cli import delimited, jsonlines, parquet
from smalltext_cli.account import Account
from smalltext_cli.cells import CellError, Label, MissingLabelError, label_of, labels_of, text_of, weight_of
from smalltext_cli.delimited import Quoting
from smalltext_cli.errors import InputFileError, UsageError
from smalltext_cli.sources import FileFormat, Source, opened


class Row(NamedTuple):
    """One text of a file."""

    text: str
    label: Label | None
    """A name; a tuple of names if multi-label; None if no label column was asked for."""
    weight: float | None
    line: int
    """Where it begins in a text file, or the number of its row in a Parquet file; from 1."""


@dataclass(frozen=True)
class Labelled:
    """All rows of a file, column by column.

    Parameters
    ----------
    texts : list of str
    labels : list of str, or list of tuples of str (multi-label)
    weights : list of float, or None
        None if no weight column was asked for.
    notes : tuple of str
        Why there are not as many texts as lines, a sentence for each reason.
    """

    texts: list[str]
    labels: list[Label]
    weights: list[float] | None
    notes: tuple[str, ...] = ()


def rows(
    path: str,
    *,
    text_column: str,
    label_column: str | None = None,
    weight_column: str | None = None,
    multi_label: bool = False,
    separator: str | None = None,
    file_format: FileFormat | None = None,
    quoting: Quoting | None = None,
    say: Callable[[str], None] | None = None,
) -> Generator[Row, None, None]:
    r"""Read a file row by row, however long it is.

    Parameters
    ----------
    path : str
        A file, or ``-`` for standard input.
    text_column : str
        The column, or JSON key, of the texts.
    label_column, weight_column : str, optional
        Those of the labels and weights, if they are wanted.
    multi_label : bool, default=False
        Whether a cell holds several labels: a JSON list, or names with a separator between them.
    separator : str, optional
        What stands between the labels of a cell. By default ``|``, unless the cell holds a JSON list.
    file_format : {"csv", "tsv", "jsonl", "parquet"}, optional
        By default the ending of the name says it, or, for standard input, how the content begins.
    quoting : {"minimal", "none"}, optional
        CSV and TSV: whether double quotes enclose fields. By default they do in CSV, and in TSV whose header has
        them.
    say : callable
        Is called, once all is read, with a sentence for each reason why there are not as many texts as lines.

    Yields
    ------
    Row

    Raises
    ------
    InputFileError
        Naming the file, the line or row, what is wrong there, and what to do.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "mails.csv")
    ...     size = path.write_text("text,label\nbuy now,spam\n", encoding="utf-8")
    ...     list(rows(str(path), text_column="text", label_column="label"))
    [Row(text='buy now', label='spam', weight=None, line=2)]
    """
    columns = [column for column in (text_column, label_column, weight_column) if column is not None]
    if len(set(columns)) < len(columns):
        raise UsageError(f"One column cannot be two things: {', '.join(map(repr, columns))}. Name different ones.")
    if separator == "":
        raise UsageError("--separator: it is empty. Give the character between the labels, such as ';'.")

    def labelled(value: object) -> Label:
        return labels_of(value, separator) if multi_label else label_of(value)

    with opened(path, file_format) as source:
        account = Account(source.name)
        with closing(_records(source, path, columns, account, quoting)) as records:
            unit = "row" if source.file_format == "parquet" else "line"
            for number, values in records:
                try:
                    text = text_of(values[0])
                    label = None if label_column is None else labelled(values[1])
                    weight = None if weight_column is None else weight_of(values[-1])
                except CellError as error:
                    more = _missing(records, labelled) if isinstance(error, MissingLabelError) else 0
                    problem = error.problem + (
                        f", as {'is' if more == 1 else 'are'} {more:,} more" if more else ""
                    )
                    raise InputFileError(f"{source.name}, {unit} {number}", problem, error.next_step) from None
                yield Row(text, label, weight, number)
        if say is not None:
            for sentence in account.notes():
                say(sentence)


def _missing(records: Iterator[tuple[int, list[object]]], labelled: Callable[[object], Label]) -> int:
    """Count the labels that are missing in what is left of a file, as far as it can be read."""
    count = 0
    with suppress(InputFileError):
        for _, values in records:
            count += _is_missing(values[1], labelled)
    return count


def _is_missing(value: object, labelled: Callable[[object], Label]) -> bool:
    try:
        labelled(value)
    except MissingLabelError:
        return True
    except CellError:
        return False
    return False


def read_labelled(
    path: str,
    *,
    text_column: str,
    label_column: str,
    weight_column: str | None = None,
    multi_label: bool = False,
    separator: str | None = None,
    file_format: FileFormat | None = None,
    quoting: Quoting | None = None,
) -> Labelled:
    """Read a whole file of labelled texts; the parameters are those of `rows`.

    Raises
    ------
    InputFileError
        As `rows` does, and if the file has no rows.
    """
    texts: list[str] = []
    labels: list[Label] = []
    weights: list[float] = []
    notes: list[str] = []
    for row in rows(
        path,
        text_column=text_column,
        label_column=label_column,
        weight_column=weight_column,
        multi_label=multi_label,
        separator=separator,
        file_format=file_format,
        quoting=quoting,
        say=notes.append,
    ):
        texts.append(row.text)
        if row.label is not None:
            labels.append(row.label)
        if row.weight is not None:
            weights.append(row.weight)
    if not texts:
        raise InputFileError(path, "there are no texts in it", "Give a row for each text.")
    return Labelled(texts, labels, weights if weight_column is not None else None, tuple(notes))


def _records(
    source: Source, path: str, columns: list[str], account: Account, quoting: Quoting | None
) -> Generator[tuple[int, list[object]], None, None]:
    if quoting is not None and source.file_format not in ("csv", "tsv"):
        raise UsageError(
            f"--quoting is for CSV and TSV; {source.name} is {source.file_format.upper()}. Leave it out."
        )
    if source.file_format == "parquet":
        yield from parquet.records(source, path, columns, account)
    elif source.file_format == "jsonl":
        yield from jsonlines.records(source, columns, account)
    else:
        yield from delimited.records(source, columns, account, quoting)
