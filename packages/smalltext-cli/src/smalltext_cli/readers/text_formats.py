"""Parsers of CSV, TSV, JSON Lines and plain text.

In CSV, quoted fields may contain delimiters and line breaks. In TSV, each line is a record and double quotes are
part of the text, unless the header is quoted, as the command writes it if a field needs quotes. In JSON Lines,
each line is an object whose keys are the columns. In plain text, each line is a text.

Each parser yields the number of a record, its values in the requested columns, and all of its columns.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import chain
from typing import TypeAlias

from smalltext_cli.console import InputFileError, MissingColumnError, counted, missing_column
from smalltext_cli.readers import files
from smalltext_cli.readers.files import Quoting, Record, Source
from smalltext_cli.readers.json_objects import JsonObject
from smalltext_core.label_names import shown_name
from smalltext_core.messages import one_line, shown

_SEPARATOR_LINE = re.compile(r'"?sep=(.)"?')
_UNDECODABLE = re.compile(r"[\ud800-\udfff]")
_NUL = "\udc00"
"""Replaces NUL, which the csv module of Python 3.10 rejects; it does not occur in decoded lines."""

_WORDS_OF_A_TEXT = 5
"""The number of words from which a column name may be a text, in a file without a header."""

_Records: TypeAlias = "Iterator[tuple[int, int, list[str]]]"


def delimited_records(source: Source, columns: Sequence[str], quoting: Quoting | None = None) -> Iterator[Record]:
    """Yield the first line number of each record, its fields in the given columns, and all of its fields.

    Duplicate columns are renamed to ``name_2`` and so on, unless they are requested.

    Blank lines are skipped. The delimiter of a CSV file can also be a semicolon, as written by spreadsheets in
    half of Europe, or a vertical bar, if the header only has the columns with this delimiter. A first line such as
    ``sep=;``, which tells Excel the delimiter, is respected. By default, quoting is "minimal" for CSV and for TSV
    with a quoted header, and "none" for other TSV.

    Raises
    ------
    InputFileError
        If a column is missing, a record has too few or too many fields, a quote is not closed, or a line is
        not UTF-8.
    """
    counts = source.counts
    lines = _lines(source)
    first = next((line for line in lines if line.strip("\r\n")), "")
    counts.blank = counts.lines - 1
    separator = _SEPARATOR_LINE.fullmatch(first.strip("\r\n")) if source.file_format == "csv" else None
    if separator is not None:
        counts.header = 1
        first = next(lines, "")
    if not first:
        raise InputFileError(source.name, "the file is empty", "Give a header, then a line for each text.")
    quoted = first.startswith('"') or source.file_format != "tsv" if quoting is None else quoting == "minimal"
    counts.quoting = quoted
    delimiter = _delimiter(source, first, columns, quoted=quoted) if separator is None else separator[1]
    split = _quoted if quoted else _unquoted
    found = split(source, chain([first], lines), delimiter, counts.lines)
    begin, end, header = next(found)
    counts.header += end - begin + 1
    wanted = [_position(source, header, columns, number) for number in range(len(columns))]
    source.header[:] = distinct(header)
    counts.repeated_columns = repeated(header)
    for begin, end, fields in found:
        if not fields:
            counts.blank += 1
            continue
        if len(fields) != len(header):
            raise _wrong_count(f"{source.name}, line {begin}", len(fields), len(header), quoted=quoted)
        values = [fields[position] for position in wanted]
        counts.add_row(begin, end - begin + 1)
        counts.quoted_fields += not quoted and any(map(_is_in_quotes, values))
        yield begin, list(values), dict(zip(source.header, fields, strict=True))
    if counts.lost:
        raise InputFileError(
            source.name,
            f"{counts.lost:,} of its {counts.lines:,} lines were lost in reading",
            "Save it as JSON Lines.",
        )


def is_separator_line(line: str) -> bool:
    """Return whether a line tells Excel the delimiter, such as ``sep=;``."""
    return _SEPARATOR_LINE.fullmatch(line.strip("\r\n")) is not None


def _lines(source: Source) -> Iterator[str]:
    """Yield and count decoded lines with their line ends; raise InputFileError for a line that is not UTF-8."""
    text = io.TextIOWrapper(source.stream, encoding="utf-8-sig", errors="surrogateescape", newline="")
    for line in iter(partial(text.readline, files.MAX_LINE_LENGTH), ""):
        source.counts.add_line(line)
        if len(line) == files.MAX_LINE_LENGTH and line[-1] not in "\r\n":
            raise source.too_long(source.counts.lines)
        if not line.isascii() and (wrong := _UNDECODABLE.search(line)):
            raise source.not_utf8(source.counts.lines, wrong.start(), ord(wrong.group()) - 0xDC00)
        yield line


def _quoted(source: Source, lines: Iterable[str], delimiter: str, begin: int) -> _Records:
    """Yield the first and the last line number of each record, and its fields; no fields for a blank line."""
    csv.field_size_limit(files.MAX_LINE_LENGTH)
    reader = csv.reader((line.replace("\0", _NUL) for line in lines), delimiter=delimiter, strict=True)
    before = begin - 1
    try:
        for fields in reader:
            end = before + reader.line_num
            yield begin, end, [field.replace(_NUL, "\0") for field in fields]
            begin = end + 1
    except csv.Error as error:
        raise InputFileError(
            f"{source.name}, line {begin}",
            f"this is not valid {source.file_format.upper()} ({error})",
            'Close each ", and double those within a field; or pass --quoting none if they are part of the texts.',
        ) from error


def _unquoted(_: Source, lines: Iterable[str], delimiter: str, begin: int) -> _Records:
    """Yield the number of each line, twice, and its fields; no fields for a blank line."""
    for number, line in enumerate(lines, start=begin):
        content = line.rstrip("\r\n")
        yield number, number, content.split(delimiter) if content else []


def _is_in_quotes(value: str) -> bool:
    return len(value) > 1 and value[0] == '"' == value[-1]


def _wrong_count(place: str, count: int, expected: int, *, quoted: bool) -> InputFileError:
    if quoted:
        advice = "Quote a text that holds the delimiter or a line break, and double the quotes within it."
    else:
        advice = "If double quotes enclose the fields, pass --quoting minimal; if a text holds a tab, replace it."
    return InputFileError(place, f"{counted(count, 'field')} where the header has {expected}", advice)


def _delimiter(source: Source, header: str, columns: Sequence[str], *, quoted: bool) -> str:
    if source.file_format == "tsv":
        return "\t"
    fitting = (one for one in ",;|" if set(columns) <= _header_fields(header, one, quoted=quoted))
    return next(fitting, ",")


def _header_fields(header: str, delimiter: str, *, quoted: bool) -> set[str]:
    if not quoted:
        return set(header.rstrip("\r\n").split(delimiter))
    return set(next(csv.reader([header.replace("\0", _NUL)], delimiter=delimiter), []))


def _position(source: Source, header: Sequence[str], columns: Sequence[str], number: int) -> int:
    column = columns[number]
    if header.count(column) > 1:
        problem = f"several columns are called {shown_name(column)}"
        raise InputFileError(f"{source.name}, line 1", problem, "Rename all but one of them.")
    if column in header:
        return header.index(column)
    hint = ""
    if any("\0" in name for name in header):
        hint = "This may be a binary file. "
    elif any(_is_in_quotes(name) for name in header):
        hint = "Double quotes enclose the columns: leave out --quoting none. "
    elif len(header) == 1 and "\t" in header[0]:
        hint = "It looks tab-separated: pass --format tsv. "
    elif len(header) == 1 and "," in header[0]:
        hint = "It looks comma-separated: pass --format csv. "
    elif header and header[0].startswith("#"):
        hint = "Drop the lines above the header. "
    elif any(len(name.split()) >= _WORDS_OF_A_TEXT for name in header):
        hint = "If the first line holds a text, add a header above it, such as text,label. "
    raise missing_column(source.name, number, columns, header, hint)


def repeated(names: Sequence[str]) -> tuple[str, ...]:
    """Return the names that occur more than once, in the order of their first occurrence."""
    return tuple(dict.fromkeys(name for name in names if names.count(name) > 1))


def distinct(names: Sequence[str]) -> list[str]:
    """Return column names, with a number appended to those that occurred before.

    Examples
    --------
    >>> distinct(["id", "note", "note", "note_2"])
    ['id', 'note', 'note_3', 'note_2']
    """
    found: list[str] = []
    for name in names:
        unique, number = name, 2
        while unique in found or (unique != name and unique in names):
            unique, number = f"{name}_{number}", number + 1
        found.append(unique)
    return found


def plain_text_records(source: Source, columns: Sequence[str]) -> Iterator[Record]:
    """Yield the number of each non-blank line, and the line as the column of the texts.

    Raises
    ------
    MissingColumnError
        If another column is requested.
    InputFileError
        If a line is not UTF-8.
    """
    if len(columns) > 1:
        raise MissingColumnError(
            source.name,
            f"plain text has no column {shown_name(columns[1])}",
            "Give labelled texts as CSV, TSV, JSON, Parquet or Excel.",
            columns[1],
        )
    source.header[:] = columns
    for line in _lines(source):
        text = line.rstrip("\r\n")
        if not text.strip():
            source.counts.blank += 1
            continue
        source.counts.add_row(source.counts.lines)
        yield source.counts.lines, [text], {columns[0]: text}


def json_records(source: Source, columns: Sequence[str]) -> Iterator[Record]:
    """Yield the number of each non-blank line, the values of the given keys, and the object.

    Raises
    ------
    InputFileError
        If a line is not a JSON object in UTF-8, or has missing or duplicate keys.
    """
    for number, raw in enumerate(iter(partial(source.stream.readline, files.MAX_LINE_LENGTH), b""), start=1):
        source.counts.lines += 1
        if len(raw) == files.MAX_LINE_LENGTH and not raw.endswith(b"\n"):
            raise source.too_long(number)
        if number == 1:
            raw = raw.removeprefix(codecs.BOM_UTF8)
        if not raw.strip():
            source.counts.blank += 1
            continue
        found = _json_object(source, f"{source.name}, line {number}", number, raw)
        source.counts.add_row(number)
        yield number, found.values_of(columns, f"{source.name}, line {number}"), found


def _json_object(source: Source, place: str, number: int, raw: bytes) -> JsonObject:
    try:
        line = raw.decode("utf-8")
        found = json.loads(line, object_pairs_hook=JsonObject)
    except UnicodeDecodeError as error:
        before = len(raw[: error.start].decode("utf-8"))
        raise source.not_utf8(number, before, raw[error.start]) from error
    except (ValueError, RecursionError) as error:
        raise InputFileError(
            place,
            f"{shown(line.strip(), 30)} is not a JSON object ({one_line(str(error), 80)})",
            "Write one object per line (jq -c . does so); for another format pass --format.",
        ) from error
    if isinstance(found, list):
        raise InputFileError(
            place, "this is a JSON array", "Write one object per line: jq -c '.[]' splits an array."
        )
    if not isinstance(found, JsonObject):
        raise InputFileError(
            place, f"{shown(line.strip(), 30)} is not a JSON object", 'Write objects such as {"text": "..."}.'
        )
    return found
