"""Streams for reading files: gzip decompression, and access to the first block."""

from __future__ import annotations

import gzip
import io
import zlib
from typing import Any, BinaryIO

from smalltext_cli.console import InputFileError
from smalltext_core.messages import one_line

GZIP_EXTENSION = ".gz"
_GZIP_MAGIC = b"\x1f\x8b"

HEAD = 4096
"""The number of bytes at the beginning of a file that can be peeked at."""


def is_gzip(head: bytes) -> bool:
    """Return whether content that begins with these bytes is gzip-compressed.

    Examples
    --------
    >>> is_gzip(gzip.compress(b"text")), is_gzip(b"text")
    (True, False)
    """
    return head.startswith(_GZIP_MAGIC)


class Gunzip(io.RawIOBase):
    """The decompressed content of a stream; raises InputFileError with the file name if it is damaged."""

    def __init__(self, name: str, stream: BinaryIO) -> None:
        self._name = name
        self._file = gzip.GzipFile(fileobj=stream, mode="rb")

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Fill a buffer with the next bytes, and return their number."""
        try:
            block = self._file.read1(len(buffer))
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise InputFileError(
                self._name,
                f"it is damaged, and cannot be decompressed ({one_line(str(error), 80)})",
                "Compress it again.",
            ) from error
        buffer[: len(block)] = block
        return len(block)


class PeekableStream(io.RawIOBase):
    """A stream whose first block has up to `HEAD` bytes, even if a pipe delivers smaller chunks."""

    def __init__(self, stream: io.BufferedReader[Any]) -> None:
        self._stream = stream
        self._is_first = True

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Fill a buffer with the next bytes, and return their number."""
        read = self._stream.read if self._is_first else self._stream.read1
        block = read(min(HEAD, len(buffer)) if self._is_first else len(buffer))
        self._is_first = False
        buffer[: len(block)] = block
        return len(block)
