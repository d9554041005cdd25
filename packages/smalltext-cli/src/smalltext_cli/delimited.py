"""CSV and TSV: a header, then one record a text; quoted fields may hold line breaks."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from itertools import chain

from smalltext_cli.errors import InputFileError, missing_column, shortened
from smalltext_cli.sources import Source

_UNDECODABLE = re.compile(r"[\ud800-\udfff]")

_LONGEST_FIELD = 2**31 - 1  # the greatest C long on every platform; the module's own limit is 128 KiB


def records(source: Source, columns: Sequence[str]) -> Iterator[tuple[int, list[object]]]:
    """Yield the line on which each record begins, and its fields in the given columns.

    Blank lines are passed over. A CSV file whose header has the columns only if it is taken apart at
    semicolons, as spreadsheets write it in half of Europe, is read so.

    Raises
    ------
    InputFileError
        If a column is missing, a record has too few or too many fields, a quote is not closed, or a line is
        not UTF-8.
    """
    csv.field_size_limit(_LONGEST_FIELD)
    lines = _lines(source)
    first = next(lines, "")
    delimiter = _delimiter(source, first, columns)
    reader = csv.reader(chain([first], lines), delimiter=delimiter, strict=True)
    begin = 1
    header: list[str] | None = None
    wanted: list[int] = []
    try:
        for fields in reader:
            if not fields:
                pass
            elif header is None:
                header = fields
                wanted = [_position(source, header, column) for column in columns]
            elif len(fields) != len(header):
                raise InputFileError(
                    f"{source.name}, line {begin}",
                    f"{len(fields)} fields where the header has {len(header)}",
                    "Quote a text that holds the delimiter or a line break, and double the quotes within it.",
                )
            else:
                yield begin, [fields[position] for position in wanted]
            begin = reader.line_num + 1
    except csv.Error as error:
        raise InputFileError(
            f"{source.name}, line {begin}",
            f"this is not sound {source.file_format.upper()} ({error})",
            'Quote fields with ", and double the quotes within them.',
        ) from error
    if header is None:
        raise InputFileError(source.name, "the file is empty", "Give a header, then a line for each text.")


def _lines(source: Source) -> Iterator[str]:
    """Yield decoded lines with their ends, and refuse one that is not UTF-8 by its number."""
    text = io.TextIOWrapper(source.stream, encoding="utf-8-sig", errors="surrogateescape", newline="")
    for number, line in enumerate(text, start=1):
        if not line.isascii() and (wrong := _UNDECODABLE.search(line)):
            raise not_utf8(source.name, number, wrong.start(), ord(wrong.group()) - 0xDC00)
        yield line


def not_utf8(name: str, line: int, position: int, byte: int) -> InputFileError:
    """Return the error that a line is not UTF-8, naming the byte and its place."""
    return InputFileError(
        f"{name}, line {line}",
        f"byte 0x{byte:02x} after {position} characters is not UTF-8",
        "Save the file as UTF-8 (iconv -f latin1 -t utf-8, if it is Latin-1).",
    )


def _delimiter(source: Source, header: str, columns: Sequence[str]) -> str:
    if source.file_format == "tsv":
        return "\t"
    by_comma, by_semicolon = (next(csv.reader([header], delimiter=delimiter), []) for delimiter in ",;")
    lacks = not set(columns) <= set(by_comma)
    return ";" if lacks and set(columns) <= set(by_semicolon) else ","


def _position(source: Source, header: Sequence[str], column: str) -> int:
    if header.count(column) > 1:
        raise InputFileError(
            f"{source.name}, line 1", f"several columns are called {column!r}", "Rename all but one of them."
        )
    if column in header:
        return header.index(column)
    hint = ""
    if len(header) == 1 and "\t" in header[0]:
        hint = "It looks tab-separated: pass --format tsv. "
    elif len(header) == 1 and "," in header[0]:
        hint = "It looks comma-separated: pass --format csv. "
    raise missing_column(source.name, column, map(shortened, header), hint)
