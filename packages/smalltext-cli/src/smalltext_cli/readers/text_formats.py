"""Parsers of CSV, TSV, JSON lines and plain text.

In CSV, fields in double quotes may hold delimiters and line breaks. In TSV, a line is a record and double quotes
are part of the text, unless the header is in double quotes, as the command writes it where a field needs them. In
JSON lines, a line is an object whose keys are the columns. In plain text, a line is a text.

Each parser yields the number of a record, its values in the columns that are asked for, and all of its columns.
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

from smalltext_cli.console import InputFileError, missing_column
from smalltext_cli.readers import files
from smalltext_cli.readers.files import Quoting, Record, Source
from smalltext_cli.readers.json_objects import JsonObject
from smalltext_core.label_names import shown_name
from smalltext_core.messages import one_line, shown

_SEPARATOR_LINE = re.compile(r'"?sep=(.)"?')
_UNDECODABLE = re.compile(r"[\ud800-\udfff]")
_NUL = "\udc00"
"""Stands for a NUL, which the csv module of Python 3.10 refuses; no decoded line holds this character."""

_Records: TypeAlias = "Iterator[tuple[int, int, list[str]]]"


def delimited_records(source: Source, columns: Sequence[str], quoting: Quoting | None = None) -> Iterator[Record]:
    """Yield the first line of each record, its fields in the given columns, and all of them.

    Of columns with one name, the second is called ``name_2``, and so on, unless they are asked for.

    Blank lines are skipped. A CSV file whose header has the columns only if it is split at semicolons, as
    spreadsheets write it in half of Europe, or at vertical bars, is read that way, and a first line such as
    ``sep=;``, by which Excel knows the delimiter, is obeyed. By default, quoting is "minimal" for CSV, and for
    TSV whose header is in double quotes; "none" for other TSV.

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
    counts.repeated_columns = tuple(dict.fromkeys(name for name in header if header.count(name) > 1))
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
            "Save it as JSON lines.",
        )


def is_separator_line(line: str) -> bool:
    """Tell whether a line is one by which Excel knows the delimiter, such as ``sep=;``."""
    return _SEPARATOR_LINE.fullmatch(line.strip("\r\n")) is not None


def _lines(source: Source) -> Iterator[str]:
    """Yield decoded lines with their ends, and count them; refuse one that is not UTF-8 by its number."""
    text = io.TextIOWrapper(source.stream, encoding="utf-8-sig", errors="surrogateescape", newline="")
    for line in iter(partial(text.readline, files.LONGEST_LINE), ""):
        source.counts.add_line(line)
        if len(line) == files.LONGEST_LINE and line[-1] not in "\r\n":
            raise source.too_long(source.counts.lines)
        if not line.isascii() and (wrong := _UNDECODABLE.search(line)):
            raise source.not_utf8(source.counts.lines, wrong.start(), ord(wrong.group()) - 0xDC00)
        yield line


def _quoted(source: Source, lines: Iterable[str], delimiter: str, begin: int) -> _Records:
    """Yield the first and the last line of each record, and its fields; none for a blank line."""
    csv.field_size_limit(files.LONGEST_LINE)
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
    """Yield the number of each line, twice, and its fields; none for a blank line."""
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
    return InputFileError(place, f"{count} fields where the header has {expected}", advice)


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
    raise missing_column(source.name, number, columns, header, hint)


def distinct(names: Sequence[str]) -> list[str]:
    """Return names of columns, with a number after those that occurred before.

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
    """Yield the number of each line that is not blank, and the line, as the column of the texts.

    Raises
    ------
    InputFileError
        If a line is not UTF-8, or another column is asked for.
    """
    if len(columns) > 1:
        raise InputFileError(
            source.name,
            f"plain text has no column {shown_name(columns[1])}",
            "Give labelled texts as CSV, TSV, JSON, Parquet or Excel.",
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
    """Yield the number of each line that is not blank, the values of the given keys, and the object.

    Raises
    ------
    InputFileError
        If a line is not a JSON object in UTF-8, or lacks one of the keys, or has a key twice.
    """
    for number, raw in enumerate(iter(partial(source.stream.readline, files.LONGEST_LINE), b""), start=1):
        source.counts.lines += 1
        if len(raw) == files.LONGEST_LINE and not raw.endswith(b"\n"):
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
            "Write one object a line (jq -c . does so); for another format pass --format.",
        ) from error
    if isinstance(found, list):
        raise InputFileError(
            place, "this is a JSON array", "Write one object a line: jq -c '.[]' takes an array apart."
        )
    if not isinstance(found, JsonObject):
        raise InputFileError(
            place, f"{shown(line.strip(), 30)} is not a JSON object", 'Write objects such as {"text": "..."}.'
        )
    return found
