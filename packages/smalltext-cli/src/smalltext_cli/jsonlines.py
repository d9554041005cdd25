"""JSON lines: one object a line, whose keys are the columns."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator, Sequence

from smalltext_cli.delimited import not_utf8
from smalltext_cli.errors import InputFileError, missing_column, shortened
from smalltext_cli.sources import Source


def records(source: Source, columns: Sequence[str]) -> Iterator[tuple[int, list[object]]]:
    """Yield the number of each line that is not blank, and the values of the given keys.

    Raises
    ------
    InputFileError
        If a line is not a JSON object in UTF-8, or lacks one of the keys.
    """
    for number, raw in enumerate(source.stream, start=1):
        if number == 1:
            raw = raw.removeprefix(codecs.BOM_UTF8)
        if not raw.strip():
            continue
        found = _parsed(source.name, number, raw)
        for column in columns:
            if column not in found:
                raise missing_column(f"{source.name}, line {number}", column, found)
        yield number, [found[column] for column in columns]


def _parsed(name: str, number: int, raw: bytes) -> dict[str, object]:
    try:
        line = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        before = len(raw[: error.start].decode("utf-8"))
        raise not_utf8(name, number, before, raw[error.start]) from error
    place = f"{name}, line {number}"
    try:
        found = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InputFileError(
            place,
            f"{shortened(line, 30)!r} is not a JSON object ({shortened(str(error), 80)})",
            "Write one object a line (jq -c . does so); for another format pass --format.",
        ) from error
    if isinstance(found, list):
        raise InputFileError(
            place, "this is a JSON array", "Write one object a line: jq -c '.[]' takes an array apart."
        )
    if not isinstance(found, dict):
        raise InputFileError(
            place, f"{shortened(line, 30)!r} is not a JSON object", 'Write objects such as {"text": "..."}.'
        )
    return found
