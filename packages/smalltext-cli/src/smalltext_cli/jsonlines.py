"""JSON lines: one object a line, whose keys are the columns."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator, Sequence
from functools import partial

from smalltext_cli.account import Account
from smalltext_cli.delimited import LONGEST_LINE, not_utf8, too_long
from smalltext_cli.errors import InputFileError, missing_column
from smalltext_cli.sources import Source
from smalltext_core.label_names import shown_name
from smalltext_core.messages import one_line, shown


def records(source: Source, columns: Sequence[str], account: Account) -> Iterator[tuple[int, list[object]]]:
    """Yield the number of each line that is not blank, and the values of the given keys.

    Raises
    ------
    InputFileError
        If a line is not a JSON object in UTF-8, or lacks one of the keys, or has it twice.
    """
    keys = {one: {json.dumps(one, ensure_ascii=escape).encode() for escape in (True, False)} for one in columns}
    for number, raw in enumerate(iter(partial(source.stream.readline, LONGEST_LINE), b""), start=1):
        account.lines += 1
        if len(raw) == LONGEST_LINE and not raw.endswith(b"\n"):
            raise too_long(source.name, number)
        if number == 1:
            raw = raw.removeprefix(codecs.BOM_UTF8)
        if not raw.strip():
            account.blank += 1
            continue
        found = _parsed(source.name, number, raw)
        for column, spellings in keys.items():
            if column not in found:
                raise missing_column(f"{source.name}, line {number}", column, found)
            if sum(map(raw.count, spellings)) > 1 and _is_repeated(raw, column):
                raise InputFileError(
                    f"{source.name}, line {number}",
                    f"the object has the key {shown_name(column)} more than once",
                    "Rename all but one of them.",
                )
        account.count_row(number, 1)
        yield number, [found[column] for column in columns]


def _is_repeated(raw: bytes, key: str) -> bool:
    """Tell whether the outermost object has a key more than once: a parser keeps the last value without a word."""
    outermost: list[list[str]] = []

    def keep_keys(pairs: list[tuple[str, object]]) -> None:
        outermost[:] = [[name for name, _ in pairs]]

    json.loads(raw, object_pairs_hook=keep_keys)
    return outermost[0].count(key) > 1


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
