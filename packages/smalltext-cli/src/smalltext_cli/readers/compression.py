"""Decompression of files by gzip while they are read."""

from __future__ import annotations

import gzip
import io
import zlib
from typing import BinaryIO

from smalltext_cli.console import InputFileError
from smalltext_core.messages import one_line

GZIP_ENDING = ".gz"
_GZIP_MAGIC = b"\x1f\x8b"


def is_gzip(head: bytes) -> bool:
    """Tell whether content that begins with these bytes is compressed by gzip.

    Examples
    --------
    >>> is_gzip(gzip.compress(b"text")), is_gzip(b"text")
    (True, False)
    """
    return head.startswith(_GZIP_MAGIC)


class Gunzip(io.RawIOBase):
    """The decompressed content of a stream; damage is an InputFileError that names the file."""

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
