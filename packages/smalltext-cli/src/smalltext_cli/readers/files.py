"""Opening of text files: format detection, checks of the content, and counts of lines and rows."""

from __future__ import annotations

import io
import os
import stat
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from glob import has_magic
from pathlib import Path
from typing import Any, BinaryIO, Literal, TypeAlias, cast, get_args

from smalltext_cli.console import InputFileError, counted
from smalltext_cli.readers.compression import GZIP_EXTENSION, HEAD, Gunzip, PeekableStream, is_gzip

FileFormat = Literal["csv", "tsv", "jsonl", "json", "txt", "parquet", "xlsx"]
ExportName = Literal["label-studio", "argilla", "doccano", "prodigy", "spacy", "fasttext"]
"""The tools whose exports are supported, in any file format."""

InputFormat = Literal[FileFormat, ExportName]
Quoting: TypeAlias = Literal["minimal", "none"]
"""Whether double quotes enclose fields that need it ("minimal"), or are part of the texts ("none")."""

Record: TypeAlias = "tuple[int, list[object], Mapping[str, object]]"
"""The line or row number of a record, its values in the requested columns, and all of its columns."""

FORMATS: tuple[FileFormat, ...] = get_args(FileFormat)
EXPORTS: tuple[ExportName, ...] = get_args(ExportName)

STDIN = "-"

MAX_LINE_LENGTH = 2**27
"""The maximum length of a line or a quoted field; longer ones are mistakes such as an unclosed quote."""

_EXTENSIONS: dict[str, FileFormat] = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".txt": "txt",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".xlsx": "xlsx",
    ".xlsm": "xlsx",
    ".xls": "xlsx",
}

_BINARY: tuple[FileFormat, ...] = ("parquet", "xlsx")

_OTHER_EXTENSIONS = {
    **dict.fromkeys((".ods", ".xlsb", ".numbers"), "Save the sheet as CSV or .xlsx."),
    **dict.fromkeys((".zst", ".bz2", ".xz", ".zip"), "Decompress the file first, or compress it with gzip."),
}
"""Advice on unsupported formats, by file extension."""

_PARQUET_MAGIC = b"PAR1"
_EXCEL_MAGIC = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")

_OTHER_MAGIC = {
    b"PK\x03\x04": "a zip archive or an Excel workbook; unpack the archive, or rename the workbook to .xlsx",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook; rename it to .xls, or pass --format xlsx",
    b"%PDF": "a PDF; extract its text first",
    b"\x28\xb5\x2f\xfd": "zstd-compressed; decompress it first (unzstd)",
    b"BZh": "bzip2-compressed; decompress it first (bunzip2)",
    b"\xff\xfe\0\0": "UTF-32; save it as UTF-8 (iconv -f utf-32 -t utf-8)",
    b"\xff\xfe": "UTF-16; save it as UTF-8 (iconv -f utf-16 -t utf-8)",
    b"\xfe\xff": "UTF-16; save it as UTF-8 (iconv -f utf-16 -t utf-8)",
}

_BOM = b"\xef\xbb\xbf"


@dataclass
class LineCounts:
    """Counts of the lines and rows of a file, made while it is read.

    `multi_line_rows` counts rows that have a quoted field with line breaks, and `first_of_them` is the line of the
    first one. `carriage_returns` counts rows that end in a carriage return only, and `quoted_fields` rows that
    were read without quoting although a field begins and ends with a double quote. `unlabelled` counts rows that
    were skipped because they have no label. `repeated_columns` are duplicate column names, `total_rows` is the
    number of rows of a Parquet file or a workbook, and `remarks` are notes on an export.
    """

    name: str
    lines: int = 0
    header: int = 0
    blank: int = 0
    rows: int = 0
    unlabelled: int = 0
    multi_line_rows: int = 0
    lines_in_them: int = 0
    first_of_them: int = 0
    carriage_returns: int = 0
    quoted_fields: int = 0
    quoting: bool = False
    remarks: list[str] = field(default_factory=list)
    repeated_columns: tuple[str, ...] = ()
    total_rows: int = 0
    _last: str = field(default="", repr=False)

    def add_line(self, line: str) -> None:
        """Count a line, with its end."""
        self.lines += 1
        self._last = line[-1]

    def add_row(self, first_line: int, lines: int = 1) -> None:
        """Count a row that ends in the last counted line."""
        self.rows += 1
        self.carriage_returns += self._last == "\r"
        if lines > 1:
            self.first_of_them = self.first_of_them or first_line
            self.multi_line_rows += 1
            self.lines_in_them += lines

    @property
    def lost(self) -> int:
        """The number of lines that are not header, blank or part of a row; 0 unless the parser lost some."""
        return self.lines - self.header - self.blank - self.lines_in_them - (self.rows - self.multi_line_rows)

    def notes(self) -> Iterator[str]:
        """Yield a note on each reason why texts and lines differ in number."""
        yield from self.remarks
        if self.multi_line_rows:
            advice = "If it should be one line per text, pass --quoting none." if self.quoting else ""
            yield (
                f"{self.name}: {counted(self.lines - self.header, 'line')} after the header hold "
                f"{counted(self.rows, 'text')}: quoted fields with line breaks make "
                f"{counted(self.lines_in_them, 'line')} into {counted(self.multi_line_rows, 'text')}, the first "
                f"one from line {self.first_of_them} on. {advice}"
            ).rstrip()
        if self.blank:
            yield f"{self.name}: {counted(self.blank, 'blank line')} skipped."
        if self.unlabelled:
            yield f"{self.name}: {counted(self.unlabelled, 'text')} without a label left out."
        if 0 < self.carriage_returns < self.rows:
            yield (
                f"{self.name}: {counted(self.carriage_returns, 'row')} ended by a carriage return alone, where "
                "others end in a line feed. If it is part of a text, quote that text."
            )
        if self.quoted_fields:
            yield (
                f"{self.name}: {counted(self.quoted_fields, 'row')} with a field in double quotes, which were "
                "taken as part of it. If they only enclose it, pass --quoting minimal."
            )


@dataclass(frozen=True)
class Source:
    """An open file: its path (or ``-``), its name in messages, its format, its content and counts of its lines.

    `stream` is decompressed if the file `is_compressed`, and `head` are its first bytes. `check_unchanged`
    raises InputFileError if the file was changed since it was opened. `header` is filled with the names of the
    columns once they are read; JSON has none, since each object has its own keys. `types` are those of the columns
    of Parquet and Excel. `skip` is the number of rows of a Parquet file to leave out at its beginning, `sheet` the
    sheet of a workbook.
    """

    path: str
    name: str
    file_format: FileFormat
    stream: BinaryIO
    counts: LineCounts
    is_compressed: bool = False
    head: bytes = b""
    check_unchanged: Callable[[], None] = lambda: None
    header: list[str] = field(default_factory=list)
    types: dict[str, str] = field(default_factory=dict)
    skip: int = 0
    sheet: str | None = None
    file: BinaryIO | None = None
    size: int = 0

    @property
    def fraction(self) -> float | None:
        """The fraction of the file that has been read; None if its size is unknown, as for a pipe."""
        if self.counts.total_rows:
            return self.counts.rows / self.counts.total_rows
        if self.file is None or not self.size or self.file_format in _BINARY:
            return None
        return min(self.file.tell() / self.size, 1.0)

    @property
    def unit(self) -> Literal["line", "row"]:
        """The unit of row numbers: lines or rows."""
        return "row" if self.file_format in ("json", *_BINARY) else "line"

    def not_utf8(self, line: int, position: int, byte: int) -> InputFileError:
        """Return the error for a line that is not UTF-8, with the byte and its position."""
        return InputFileError(
            f"{self.name}, line {line}",
            f"byte 0x{byte:02x} after {counted(position, 'character')} is not UTF-8",
            "Save the file as UTF-8 (iconv -f latin1 -t utf-8, if it is Latin-1).",
        )

    def too_long(self, line: int) -> InputFileError:
        """Return the error for a line of more than `MAX_LINE_LENGTH` characters."""
        return InputFileError(
            f"{self.name}, line {line}",
            f"the line is longer than {MAX_LINE_LENGTH:,} characters",
            "End each line with a line feed, or drop it.",
        )


@contextmanager
def open_source(path: str, file_format: InputFormat | None = None) -> Iterator[Source]:
    """Open a file, or standard input for ``-``, and detect its format.

    By default, the format is that of the extension, or for standard input and exports of annotation tools with an
    unknown extension that of the first bytes.

    Raises
    ------
    InputFileError
        If the file does not exist, its extension is unknown, its content is in another format, or it is changed
        while it is read.
    """
    known = _file_format(file_format)
    if (is_folder := Path(path).is_dir()) or (has_magic(path) and not os.path.lexists(path)):
        advice = "Give the path of one file; only `smalltext predict` takes folders and globs."
        raise InputFileError(path, "this is a folder" if is_folder else "there is no such file", advice)
    if path == STDIN:
        with io.BufferedReader(PeekableStream(cast(io.BufferedReader, sys.stdin.buffer))) as stream:
            yield _source(path, "standard input", known, stream)
        return
    if known is None:
        known = known_format(path)
        if file_format is None and known is None and not Path(path).is_file():
            format_of(path)
        if file_format is not None and known == "txt":  # an export, whose name does not say what it is
            known = None
    try:
        file = Path(path).open("rb")  # noqa: SIM115 - closed below, outside of this try
    except OSError as error:
        raise InputFileError(path, _reason(error), "Give the path of a file with texts.") from error
    with file, _unchanged(path, file) as check, io.BufferedReader(PeekableStream(file)) as stream:
        if file_format is None and known is None and not begins_like_fasttext(stream.peek(HEAD)):
            format_of(path)
        size = os.fstat(file.fileno()).st_size
        opened = _source(path, path, known, stream)
        yield replace(opened, check_unchanged=check, file=file, size=size)


def _file_format(given: InputFormat | None) -> FileFormat | None:
    """Return the given file format; None if there is none, or the annotation tool writes several formats."""
    if given == "fasttext":
        return "txt"
    return None if given in EXPORTS else cast("FileFormat | None", given)


def _source(path: str, name: str, file_format: FileFormat | None, stream: io.BufferedReader[Any]) -> Source:
    """Decompress a stream if it is compressed, and check its content or detect its format."""
    is_compressed = is_gzip(stream.peek(HEAD))
    if is_compressed:
        unzipped = io.BufferedReader(Gunzip(name, stream))
        stream = io.BufferedReader(PeekableStream(unzipped))
    elif path.lower().endswith(GZIP_EXTENSION) and path != STDIN and stream.peek(HEAD):
        raise InputFileError(name, "this is not compressed by gzip", f"Rename it: leave out {GZIP_EXTENSION}.")
    head = stream.peek(HEAD)
    file_format = file_format or _format_of_content(head)
    _check_content(name, file_format, head)
    if file_format in ("json", "jsonl"):
        file_format = "json" if head.removeprefix(_BOM).lstrip().startswith(b"[") else "jsonl"
    return Source(path, name, file_format, stream, LineCounts(name), is_compressed, head)


@contextmanager
def _unchanged(path: str, file: BinaryIO) -> Iterator[Callable[[], None]]:
    """Raise InputFileError if a regular file changes before the block ends; pipes and devices may change.

    Yields a function that performs the check immediately.
    """
    before = os.fstat(file.fileno())
    changed = InputFileError(
        path, "it was changed while it was read", "Try again once it is complete, or give a copy of it."
    )

    def check() -> None:
        if _is_changed(path, before):
            raise changed

    try:
        yield check
    except InputFileError as error:
        if error is not changed and _is_changed(path, before):
            raise changed from error
        raise
    check()


def _is_changed(path: str, before: os.stat_result) -> bool:
    if not stat.S_ISREG(before.st_mode):
        return False
    try:
        now = Path(path).stat()
    except OSError:
        return True
    return any(
        getattr(now, part) != getattr(before, part) for part in ("st_dev", "st_ino", "st_size", "st_mtime_ns")
    )


def format_of(path: str) -> FileFormat:
    """Return the format of a file by its extension; InputFileError, which mentions ``--format``, if it is unknown.

    Examples
    --------
    >>> format_of("train.CSV")
    'csv'
    """
    found = known_format(path)
    if found is None:
        extension = Path(path).suffix
        formats = "|".join((*FORMATS, *EXPORTS))
        known = f"Known extensions: {', '.join(_EXTENSIONS)}; say what it is with --format {formats}."
        raise InputFileError(
            path,
            f"the extension {extension!r} is unknown" if extension else "the name has no extension",
            _OTHER_EXTENSIONS.get(extension.lower(), known),
        )
    return found


def known_format(path: str) -> FileFormat | None:
    """Return the format of a file by its extension, ignoring that of gzip; None if unknown.

    Examples
    --------
    >>> known_format("mails.csv.gz"), known_format("mails.doc")
    ('csv', None)
    """
    name = Path(path).name.lower().removesuffix(GZIP_EXTENSION)
    return _EXTENSIONS.get(Path(name).suffix)


def is_same_file(path: str, other: str) -> bool:
    """Return whether two paths lead to the same file."""
    exist = STDIN not in (path, other) and Path(path).exists() and Path(other).exists()
    return path == other or (exist and Path(path).samefile(other))


def _format_of_content(head: bytes) -> FileFormat:
    if head.startswith(_PARQUET_MAGIC):
        return "parquet"
    if head.startswith(_EXCEL_MAGIC):
        return "xlsx"
    if head.removeprefix(_BOM).lstrip()[:1] in (b"{", b"["):
        return "jsonl"
    if begins_like_fasttext(head):
        return "txt"
    header = head.split(b"\n", 1)[0]
    return "tsv" if b"\t" in header and b"," not in header else "csv"


def begins_like_fasttext(head: bytes) -> bool:
    """Return whether the first line of a file begins with a fastText label."""
    return head.removeprefix(_BOM).lstrip().startswith(b"__label__")


def _check_content(name: str, file_format: FileFormat, head: bytes) -> None:
    """Reject a file whose first bytes contradict its format."""
    wanted = file_format.upper()
    is_parquet = head.startswith(_PARQUET_MAGIC)
    is_json = file_format in ("json", "jsonl")
    if file_format == "xlsx" and head.startswith(_EXCEL_MAGIC):
        return
    other = next((what for magic, what in _OTHER_MAGIC.items() if head.startswith(magic)), None)
    problem, advice = "", ""
    if not head:
        problem, advice = "the file is empty", "Give a file with a row for each text."
    elif is_parquet and file_format != "parquet":
        problem, advice = f"this is Parquet, not {wanted}", "Rename it to .parquet, or pass --format parquet."
    elif other is not None:
        found, _, instead = other.partition("; ")
        problem, advice = f"this is not {wanted} but {found}", f"{instead[0].upper()}{instead[1:]}."
    elif file_format in _BINARY:
        if not is_parquet:
            kind = "text" if b"\0" not in head else "something else"
            problem = f"this is not {'Parquet' if file_format == 'parquet' else 'an Excel workbook'} but {kind}"
            advice = "If it is CSV, TSV or JSON Lines, rename it, or pass --format."
    elif b"\0" in head[:4] or (is_json and b"\0" in head):
        problem = f"this is not {wanted} but a binary file, or text in UTF-16"
        advice = "Give CSV, TSV, JSON (in UTF-8), Parquet or Excel."
    elif not is_json and file_format != "txt" and head.removeprefix(_BOM).lstrip().startswith((b'{"', b"[{")):
        problem, advice = (
            f"this is not {wanted} but JSON",
            "If it is an array of objects, pass --format json; if it has one object per line, --format jsonl.",
        )
    if problem:
        raise InputFileError(name, problem, advice)


def _reason(error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return "there is no such file"
    return f"it cannot be read ({error.strerror})"
