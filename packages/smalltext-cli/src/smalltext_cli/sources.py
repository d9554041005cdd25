"""From a path (or ``-``) to a stream of the right format, or to the reason why it is none."""

from __future__ import annotations

import io
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal, cast, get_args

from smalltext_cli.errors import InputFileError

FileFormat = Literal["csv", "tsv", "jsonl", "parquet"]

FORMATS: tuple[FileFormat, ...] = get_args(FileFormat)

STDIN = "-"

_ENDINGS: dict[str, FileFormat] = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".pq": "parquet",
}

_PARQUET_MAGIC = b"PAR1"

_OTHER_MAGIC = {
    b"\x1f\x8b": "gzip-compressed; decompress it first (gunzip)",
    b"PK\x03\x04": "a zip archive or an Excel workbook; unpack it, or save the sheet as CSV",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook; save the sheet as CSV",
    b"%PDF": "a PDF; extract its text first",
    b"\x28\xb5\x2f\xfd": "zstd-compressed; decompress it first (unzstd)",
    b"BZh": "bzip2-compressed; decompress it first (bunzip2)",
    b"\xff\xfe": "UTF-16; save it as UTF-8 (iconv -f utf-16 -t utf-8)",
    b"\xfe\xff": "UTF-16; save it as UTF-8 (iconv -f utf-16 -t utf-8)",
}

_HEAD = 4096


@dataclass(frozen=True)
class Source:
    """A file that is open and whose format is known.

    Parameters
    ----------
    name : str
        What to call it in a message.
    file_format : {"csv", "tsv", "jsonl", "parquet"}
    stream : binary file
        From its first byte on.
    """

    name: str
    file_format: FileFormat
    stream: BinaryIO


@contextmanager
def opened(path: str, file_format: FileFormat | None = None) -> Iterator[Source]:
    """Open a file, or standard input for ``-``, and tell its format.

    Parameters
    ----------
    path : str
    file_format : {"csv", "tsv", "jsonl", "parquet"}, optional
        By default the ending says it; for standard input, the first bytes do.

    Raises
    ------
    InputFileError
        If there is no such file, its ending is unknown, or its content is not what the ending says.
    """
    if path == STDIN:
        with io.BufferedReader(_Replayed(cast(io.BufferedReader, sys.stdin.buffer))) as stream:
            head = stream.peek(_HEAD)
            guessed = file_format or _guess(head)
            _check_content("standard input", guessed, head)
            yield Source("standard input", guessed, stream)
        return
    ending_format = file_format or format_of(path)
    try:
        file = Path(path).open("rb")  # noqa: SIM115 - closed below, outside of this try
    except OSError as error:
        raise InputFileError(path, _reason(error), "Give the path of a file with texts.") from error
    with file, _unchanged(path, file), io.BufferedReader(_Replayed(file)) as stream:
        _check_content(path, ending_format, stream.peek(_HEAD))
        yield Source(path, ending_format, stream)


@contextmanager
def _unchanged(path: str, file: BinaryIO) -> Iterator[None]:
    """Raise an InputFileError if somebody changes a file until the block ends; pipes and devices may change."""
    before = os.fstat(file.fileno())
    try:
        yield
    except InputFileError as error:
        if _is_another(path, before):
            raise _changed(path) from error
        raise
    if _is_another(path, before):
        raise _changed(path)


def _is_another(path: str, before: os.stat_result) -> bool:
    """Tell whether what is under a name is not the file that it was, or not as it was."""
    if not stat.S_ISREG(before.st_mode):
        return False
    try:
        now = Path(path).stat()
    except OSError:
        return True
    return any(
        getattr(now, part) != getattr(before, part) for part in ("st_dev", "st_ino", "st_size", "st_mtime_ns")
    )


def _changed(path: str) -> InputFileError:
    return InputFileError(
        path, "it was changed while it was read", "Begin again once nobody writes to it, or give a copy of it."
    )


def format_of(path: str, option: str = "--format") -> FileFormat:
    """Tell the format of a file by the ending of its name.

    Parameters
    ----------
    path : str
    option : str, default="--format"
        What says it where the ending does not, for the message.

    Raises
    ------
    InputFileError
        If the ending is none that is known.

    Examples
    --------
    >>> format_of("train.CSV")
    'csv'
    """
    found = known_format(path)
    if found is None:
        ending = Path(path).suffix
        raise InputFileError(
            path,
            f"the ending {ending!r} is unknown" if ending else "the name has no ending",
            f"Known are {', '.join(_ENDINGS)}; say what it is with {option} {'|'.join(FORMATS)}.",
        )
    return found


def is_same_file(path: str, other: str) -> bool:
    """Tell whether two paths lead to one file."""
    if path == other:
        return True
    return (
        STDIN not in (path, other) and Path(path).exists() and Path(other).exists() and Path(path).samefile(other)
    )


def known_format(path: str) -> FileFormat | None:
    """Tell the format of a file by the ending of its name; None if it is none that is known."""
    return _ENDINGS.get(Path(path).suffix.lower())


def _guess(head: bytes) -> FileFormat:
    """Tell the format of what comes through a pipe by how it begins."""
    if head.startswith(_PARQUET_MAGIC):
        return "parquet"
    if head.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] in (b"{", b"["):
        return "jsonl"
    header = head.split(b"\n", 1)[0]
    return "tsv" if b"\t" in header and b"," not in header else "csv"


def _check_content(name: str, file_format: FileFormat, head: bytes) -> None:
    """Refuse a file whose first bytes contradict its format."""
    if not head:
        raise InputFileError(name, "the file is empty", "Give a file with a row for each text.")
    is_parquet = head.startswith(_PARQUET_MAGIC)
    if is_parquet and file_format != "parquet":
        raise InputFileError(
            name, f"this is Parquet, not {file_format.upper()}", "Rename it to .parquet, or pass --format parquet."
        )
    for magic, what in _OTHER_MAGIC.items():
        if head.startswith(magic):
            found, _, advice = what.partition("; ")
            raise InputFileError(
                name, f"this is not {file_format.upper()} but {found}", f"{advice[0].upper()}{advice[1:]}."
            )
    if file_format == "parquet":
        if not is_parquet:
            kind = "text" if b"\0" not in head else "something else"
            raise InputFileError(
                name,
                f"this is not Parquet but {kind}",
                "If it is CSV, TSV or JSON lines, name it so, or pass --format.",
            )
    elif b"\0" in head[:4] or (file_format == "jsonl" and b"\0" in head):
        raise InputFileError(
            name,
            f"this is not {file_format.upper()} but a binary file, or text in UTF-16",
            "Give CSV, TSV, JSON lines (in UTF-8) or Parquet.",
        )
    elif file_format != "jsonl" and head.removeprefix(b"\xef\xbb\xbf").lstrip().startswith((b'{"', b"[{")):
        raise InputFileError(
            name,
            f"this is not {file_format.upper()} but JSON",
            "If it has one object a line, pass --format jsonl.",
        )


def _reason(error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return "there is no such file"
    if isinstance(error, IsADirectoryError):
        return "this is a folder"
    return f"it cannot be read ({error.strerror})"


class _Replayed(io.RawIOBase):
    """A stream that can be peeked into up to `_HEAD` bytes even where it is a pipe that gives little at a time."""

    def __init__(self, stream: io.BufferedReader) -> None:
        self._stream = stream
        self._first: bytes | None = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        if self._first is None:
            self._first = self._stream.read(min(_HEAD, len(buffer)))
            block = self._first
        else:
            block = self._stream.read1(len(buffer))
        buffer[: len(block)] = block
        return len(block)
