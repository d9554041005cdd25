"""JSON objects, and arrays of objects, which are parsed one by one."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from smalltext_cli.console import InputFileError, missing_column
from smalltext_cli.readers import files
from smalltext_core.label_names import shown_name
from smalltext_core.messages import one_line, shown

if TYPE_CHECKING:
    from smalltext_cli.readers.files import Record, Source

_BLOCK = 2**16
_BLANK = " \t\r\n"


class JsonObject(dict[str, object]):
    """A JSON object that records duplicate keys, of which a parser silently keeps the last."""

    __slots__ = ("repeated",)

    def __init__(self, pairs: Iterable[tuple[str, object]] = ()) -> None:
        given = list(pairs)
        super().__init__(given)
        self.repeated: frozenset[str] = frozenset()
        if len(self) < len(given):
            names = [name for name, _ in given]
            self.repeated = frozenset(name for name in names if names.count(name) > 1)

    def values_of(self, columns: Sequence[str], place: str) -> list[object]:
        """Return the values of the given keys, or raise InputFileError for missing and duplicate keys."""
        for number, column in enumerate(columns):
            if column not in self:
                raise missing_column(place, number, columns, self)
        if self.repeated:
            name = next((column for column in columns if column in self.repeated), min(self.repeated))
            problem = f"the object has the key {shown_name(name)} more than once"
            raise InputFileError(place, problem, "Rename all but one of them.")
        return [self[column] for column in columns]


def array_records(source: Source, columns: Sequence[str]) -> Iterator[Record]:
    """Yield the number of each object in an array, from 1, the values of the given keys, and the object.

    Raises
    ------
    InputFileError
        If the file is not an array of JSON objects in UTF-8, or an object has missing or duplicate keys.
    """
    for number, found in enumerate(_objects(source), start=1):
        source.counts.add_row(number)
        yield number, found.values_of(columns, f"{source.name}, row {number}"), found


def _objects(source: Source) -> Iterator[JsonObject]:
    parser = _Parser(source)
    parser.expect("[", "an array")
    if parser.next_character() == "]":
        parser.expect("]", "the end of the array")
    else:
        yield parser.parse_object()
        while parser.next_character() == ",":
            parser.expect(",", "a comma")
            yield parser.parse_object()
        parser.expect("]", "a comma or the end of the array")
    if parser.next_character():
        raise parser.error("something follows the array", "Write one array.")


class _Parser:
    """Parses a JSON stream incrementally, with a buffer for little more than one object."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._text = io.TextIOWrapper(source.stream, encoding="utf-8-sig")
        self._decoder = json.JSONDecoder(object_pairs_hook=JsonObject)
        self._buffer = ""
        self._position = 0
        self._count = 0
        self._found = JsonObject()

    def next_character(self) -> str:
        """Return the next non-blank character without consuming it; an empty string at the end."""
        while True:
            while self._position < len(self._buffer):
                character = self._buffer[self._position]
                if character not in _BLANK:
                    return character
                self._position += 1
            self._buffer, self._position = self._read(_BLOCK), 0
            if not self._buffer:
                return ""

    def expect(self, character: str, what: str) -> None:
        """Consume a character, or raise an error that describes what should be there."""
        found = self.next_character()
        if found != character:
            problem = f"there is {shown(found)} instead of {what}" if found else f"it ends before {what}"
            raise self.error(problem, "Write an array of objects, [{...}, ...], or one object per line.")
        self._position += 1

    def parse_object(self) -> JsonObject:
        """Parse and consume an object."""
        self._count += 1
        if self.next_character() != "{":
            begin = self._buffer[self._position : self._position + 30]
            raise self.error(
                f"{shown(begin)} is not a JSON object" if begin else "the array is cut short",
                'Write objects such as {"text": "..."}.',
            )
        self._buffer, self._position = self._buffer[self._position :], 0
        while (problem := self._decode()) is not None:
            if len(self._buffer) > files.MAX_LINE_LENGTH:
                raise self.error(f"the object is longer than {files.MAX_LINE_LENGTH:,} characters", "Drop it.")
            more = self._read(max(_BLOCK, len(self._buffer)))
            if not more or isinstance(problem, RecursionError):
                reason = one_line(str(problem), 80)
                raise self.error(
                    f"{shown(self._buffer[:30])} is not a JSON object ({reason})", "Correct it, or drop it."
                )
            self._buffer += more
        return self._found

    def _decode(self) -> Exception | None:
        """Decode the object at the beginning of the buffer, or return the error."""
        try:
            self._found, self._position = self._decoder.raw_decode(self._buffer)
        except (ValueError, RecursionError) as error:
            return error
        return None

    def error(self, problem: str, next_step: str) -> InputFileError:
        """Return the error for the object that is being parsed."""
        place = f"{self._source.name}, row {self._count}" if self._count else self._source.name
        return InputFileError(place, problem, next_step)

    def _read(self, size: int) -> str:
        try:
            return self._text.read(size)
        except UnicodeDecodeError as error:
            raise self.error(
                f"the byte 0x{error.object[error.start]:02x} is not UTF-8",
                "Save the file as UTF-8 (iconv -f latin1 -t utf-8, if it is Latin-1).",
            ) from None
