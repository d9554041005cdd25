"""JSON lines: one object a line, whose keys are the columns."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator, Sequence
from functools import partial

from smalltext_cli.errors import InputFileError, missing_column
from smalltext_cli.readers import files
from smalltext_cli.readers.files import Source
from smalltext_core.label_names import shown_name
from smalltext_core.messages import one_line, shown


def records(source: Source, columns: Sequence[str]) -> Iterator[tuple[int, list[object]]]:
    """Yield the number of each line that is not blank, and the values of the given keys.

    Raises
    ------
    InputFileError
        If a line is not a JSON object in UTF-8, or lacks one of the keys, or has it twice.
    """
    keys = {one: {json.dumps(one, ensure_ascii=escape).encode() for escape in (True, False)} for one in columns}
    for number, raw in enumerate(iter(partial(source.stream.readline, files.LONGEST_LINE), b""), start=1):
        source.counts.lines += 1
        if len(raw) == files.LONGEST_LINE and not raw.endswith(b"\n"):
            raise source.too_long(number)
        if number == 1:
            raw = raw.removeprefix(codecs.BOM_UTF8)
        if not raw.strip():
            source.counts.blank += 1
            continue
        place = f"{source.name}, line {number}"
        found = _parsed(source, place, number, raw)
        for column, spellings in keys.items():
            if column not in found:
                raise missing_column(place, column, found)
            if sum(map(raw.count, spellings)) > 1 and _is_repeated(raw, column):
                problem = f"the object has the key {shown_name(column)} more than once"
                raise InputFileError(place, problem, "Rename all but one of them.")
        source.counts.add_row(number)
        yield number, [found[column] for column in columns]


def _is_repeated(raw: bytes, key: str) -> bool:
    """Tell whether the outermost object has a key more than once, of which a parser silently keeps the last."""
    outermost: list[list[str]] = []

    def keep_keys(pairs: list[tuple[str, object]]) -> None:
        outermost[:] = [[name for name, _ in pairs]]

    json.loads(raw, object_pairs_hook=keep_keys)
    return outermost[0].count(key) > 1


def _parsed(source: Source, place: str, number: int, raw: bytes) -> dict[str, object]:
    try:
        line = raw.decode("utf-8")
        found = json.loads(line)
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
    if not isinstance(found, dict):
        raise InputFileError(
            place, f"{shown(line.strip(), 30)} is not a JSON object", 'Write objects such as {"text": "..."}.'
        )
    return found
