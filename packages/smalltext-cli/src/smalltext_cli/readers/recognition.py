"""Recognition of exports of annotation tools, by their first record or header."""

from __future__ import annotations

import csv
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import chain

from smalltext_cli.readers import annotation_files, argilla, binary, json_objects, label_studio, text_formats
from smalltext_cli.readers.exports import Columns, ExportFormat
from smalltext_cli.readers.files import ExportName, Quoting, Record, Source, begins_like_fasttext
from smalltext_cli.readers.json_objects import JsonObject

TOOLS: dict[ExportName, ExportFormat] = {
    "label-studio": label_studio.FORMAT,
    "argilla": argilla.FORMAT,
    "doccano": annotation_files.DOCCANO,
    "prodigy": annotation_files.PRODIGY,
    "spacy": annotation_files.SPACY,
    "fasttext": annotation_files.FASTTEXT,
}
"""The tools by their names in ``--format``, in the order in which they are tried."""

_FIXED_LABELS: tuple[ExportName, ...] = ("doccano", "prodigy", "spacy")
"""Tools with a fixed label field: if another column is requested, the file is read as a table."""


def recognised(record: Mapping[str, object], wanted: Columns) -> ExportName | None:
    """Return the tool that wrote a record; None if it is a row of a plain table.

    If only texts are read and the record has the requested column, it is treated as a plain table, with all
    columns.

    Examples
    --------
    >>> recognised({"text": "win a prize", "cats": {"spam": 1.0, "ham": 0.0}}, Columns("text", "label"))
    'spacy'
    """
    if wanted.label is None and wanted.text in record:
        return None
    for name, tool in TOOLS.items():
        if name in _FIXED_LABELS and wanted.label not in (None, "label"):
            continue
        if tool.matches(record):
            return None if name == "doccano" and _is_plain_multi_label(record, wanted) else name
    return None


def _is_plain_multi_label(record: Mapping[str, object], wanted: Columns) -> bool:
    """Return whether a list of labels may be from any source, so that an empty one means no class."""
    return wanted.multi_label and not {"Comments", "annotation_approver", "data"} & set(record)


def records(
    source: Source,
    columns: Sequence[str],
    wanted: Columns,
    *,
    forced: ExportName | None,
    is_table: bool,
    quoting: Quoting | None,
    keep_columns: bool,
) -> tuple[ExportFormat | None, Generator[Record, None, None]]:
    """Return the tool that exported a file, if any, and the records.

    `forced` is the tool given by the user, if any; with `is_table`, the file is read as a plain table regardless
    of its structure. Records of a plain table have the values of the given columns; those of an export only have
    all columns.
    """
    kind = source.file_format
    if forced == "fasttext" or (
        kind in ("csv", "tsv", "txt") and not (forced or is_table) and begins_like_fasttext(source.head)
    ):
        return TOOLS["fasttext"], _all(text_formats.plain_text_records(source, [wanted.text]))
    if kind in ("csv", "tsv"):
        known = None if is_table else _header_of_export(source, wanted, forced)
        with_labels = replace(wanted, label=wanted.label or "label")
        if quoting is None and not is_table and _header_of_export(source, with_labels, forced) is not None:
            quoting = "minimal"  # tools enclose fields in double quotes in TSV, too
        if known is None:
            return None, _all(text_formats.delimited_records(source, columns, quoting))
        return TOOLS[known[0]], _all(text_formats.delimited_records(source, known[1], quoting))
    if kind in ("json", "jsonl"):
        found = (json_objects.array_records if kind == "json" else text_formats.json_records)(source, ())
        first = next(found, None)
        name = forced if first is None or forced or is_table else recognised(first[2], wanted)
        every = found if first is None else chain([first], found)
        return (None, _with_values(source, every, columns)) if name is None else (TOOLS[name], _all(every))
    if kind == "txt":
        return None, _all(text_formats.plain_text_records(source, columns))
    if forced is None:
        return None, _all(binary.records(source, columns, keep_columns=keep_columns))
    return TOOLS[forced], _all(binary.records(source, (), keep_columns=True))


def _all(found: Iterator[Record]) -> Generator[Record, None, None]:
    yield from found


def _with_values(source: Source, found: Iterator[Record], columns: Sequence[str]) -> Generator[Record, None, None]:
    """Add the values of columns to JSON objects."""
    for number, _, record in found:
        assert isinstance(record, JsonObject)
        yield number, record.values_of(columns, f"{source.name}, {source.unit} {number}"), record


def _header_of_export(
    source: Source, wanted: Columns, forced: ExportName | None
) -> tuple[ExportName, list[str]] | None:
    """Return the tool that exported a table, and the columns that determine its delimiter."""
    for delimiter in "\t" if source.file_format == "tsv" else ",;|":
        header = _header(source.head, delimiter)
        name = recognised(dict.fromkeys(header, ""), wanted)
        if name is not None:
            return name, [column for column in header if header.count(column) == 1]
    return None if forced is None else (forced, [])


def _header(head: bytes, delimiter: str) -> list[str]:
    """Return the column names, if the first bytes of a file contain all of them."""
    lines = (line for line in head.decode("utf-8-sig", "ignore").splitlines(keepends=True) if line.strip())
    line = next(lines, "")
    if text_formats.is_separator_line(line):
        line = next(lines, "")
    with suppress(csv.Error, StopIteration):
        return next(csv.reader([line.replace("\0", "")], delimiter=delimiter)) if line.endswith("\n") else []
    return []
