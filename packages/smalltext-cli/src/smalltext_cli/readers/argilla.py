"""Exports of Argilla records as JSON, JSON Lines or CSV, from versions 1 and 2.

Version 2 writes nested records (``records.to_json``), or flat ones with columns such as ``label.responses``
(``records.to_datasets``, ``to_list(flatten=True)``). Version 1 writes a list of responses and a
``label-suggestion`` for each question, or, before questions were introduced, one ``annotation`` per record. The
formats are described in https://docs.argilla.io/latest/how_to_guides/import_export/.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from smalltext_cli.readers.exports import (
    Collection,
    Columns,
    ExportFormat,
    Record,
    as_list,
    as_object,
    chosen_label,
    chosen_text,
    keys_of,
)

_RESPONSES, _SUGGESTION, _OLD_SUGGESTION = ".responses", ".suggestion", "-suggestion"

_LEFT_OUT = {"discarded": "{n} discarded response{s}", "draft": "{n} draft{s}"}
"""The statuses of responses that are not used."""

_TOKEN = re.compile(
    r"""\s*(?:
        (?P<string>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")
        | (?P<number>[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)
        | (?P<name>[A-Za-z_]\w*)
        | (?P<mark>[][(){},:=])
    )""",
    re.VERBOSE | re.DOTALL,
)
_NAMES = {"None": None, "null": None, "nan": None, "NaN": None, "True": True, "true": True, "False": False}
_CLOSING = {"[": "]", "(": ")", "{": "}"}


def _matches(record: Record) -> bool:
    return _is_nested(record) or _is_flat(record) or _is_legacy(record) or bool(_questions(record))


def _is_nested(record: Record) -> bool:
    return isinstance(record.get("fields"), dict) and ("responses" in record or "suggestions" in record)


def _is_flat(record: Record) -> bool:
    return any(key.endswith((_RESPONSES, _SUGGESTION)) for key in record)


def _is_legacy(record: Record) -> bool:
    return {"annotation", "prediction", "status"} <= set(record) and ("text" in record or "inputs" in record)


def _questions(record: Record) -> list[str]:
    """Return the questions of version 1: keys with a corresponding suggestion, or with user responses."""
    return [key for key, value in record.items() if f"{key}{_OLD_SUGGESTION}" in record or _has_users(value)]


def _has_users(value: object) -> bool:
    first = value[0] if isinstance(value, list) and value else value
    return isinstance(first, dict) and {"value", "user_id"} <= set(first)


def _columns(records: Sequence[Record], wanted: Columns) -> Columns:
    first = records[0] if records else {}
    if _is_nested(first):
        fields = keys_of(as_object(record.get("fields"), "the fields") for record in records)
        labels = keys_of(as_object(record.get("responses"), "the responses") for record in records)
        labels = labels or keys_of(as_object(record.get("suggestions"), "the suggestions") for record in records)
        return replace(wanted, text=chosen_text(wanted, fields), label=chosen_label(wanted, labels))
    keys = keys_of(records)
    if _is_legacy(first):
        inputs = keys_of(parsed for record in records if isinstance(parsed := _parsed(record.get("inputs")), dict))
        texts = ["text"] if any(record.get("text") for record in records) else inputs
        return replace(wanted, text=chosen_text(wanted, texts), label=wanted.label and "annotation")
    endings = (_RESPONSES, _SUGGESTION)
    flat = [key.removesuffix(ending) for ending in endings for key in keys if key.endswith(ending)]
    labels = flat or list(dict.fromkeys(key for record in records for key in _questions(record)))
    label = chosen_label(wanted, list(dict.fromkeys(labels or keys)))
    others = [key for key in keys if key != label and not any(part in key for part in (".", _OLD_SUGGESTION))]
    return replace(wanted, text=chosen_text(wanted, others), label=label)


def _parsed(value: object) -> Any:
    return parse_cell(value) if isinstance(value, str) else value


def _collect(record: Record, columns: Columns, collection: Collection) -> None:
    if _is_nested(record):
        fields = as_object(record["fields"], "the fields")
        flat = {"id": record.get("id"), **fields, **as_object(record.get("metadata"), "the metadata")}
        responses = as_object(record.get("responses"), "the responses").get(str(columns.label))
        found = _of_users(responses)
    elif _is_legacy(record):
        inputs = as_object(_parsed(record.get("inputs")), "the inputs")
        fields = flat = {**inputs, **{key: value for key, value in record.items() if value not in (None, "")}}
        found = iter([(_parsed(record["annotation"]), str(record["status"]).lower())])
    else:
        fields = flat = dict(record)
        key = f"{columns.label}{_RESPONSES}"
        if key in record or columns.label not in record:
            found = _of_columns(_parsed(record.get(key)), _parsed(record.get(f"{key}.status")))
        else:
            found = _of_users(_parsed(record[str(columns.label)]))
    text = collection.text(fields.get(columns.text), flat)
    if columns.label is not None:
        for value, status in found:
            if status in _LEFT_OUT:
                collection.leave_out(text, _LEFT_OUT[status])
            elif value is not None and value != "":
                text.votes.append(tuple(value) if isinstance(value, list) else (value,))


def _of_users(value: object) -> Iterator[tuple[Any, str | None]]:
    """Yield the value and status of each response, from a list of objects or an object of lists."""
    if isinstance(value, dict) and isinstance(value.get("value"), list):
        yield from _of_columns(value["value"], value.get("status"))
        return
    is_one = isinstance(value, (dict, str, int, float))
    given: Iterable[Any] = [value] if is_one else as_list(value, "the responses")
    for response in given:
        if isinstance(response, dict):
            yield response.get("value"), _status(response.get("status"))
        else:
            yield response, None


def _of_columns(values: object, statuses: object) -> Iterator[tuple[Any, str | None]]:
    """Yield the value and status of each response, from a list of values and a list of statuses."""
    given = [values] if isinstance(values, (str, int, float)) else as_list(values, "the responses")
    known = as_list(statuses, "the statuses of the responses")
    for number, value in enumerate(given):
        yield value, _status(known[number]) if number < len(known) else None


def _status(value: object) -> str | None:
    return None if value is None else str(value).lower()


def parse_cell(cell: str) -> Any:
    """Return the value of a cell; the cell itself if it is not a list or an object.

    ``datasets`` and pandas write a list of strings as ``['a' 'b']`` or ``['a', 'b']``, and a list of lists as
    ``[array(['a', 'b'], dtype=object) array([], dtype=object)]``. An empty cell is None.

    Examples
    --------
    >>> parse_cell('{"choices": ["a", "b"]}'), parse_cell("['a' 'b']"), parse_cell("good")
    ({'choices': ['a', 'b']}, ['a', 'b'], 'good')
    """
    text = cell.strip()
    if not text:
        return None
    if text[0] not in "[{":
        return cell
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass
    try:
        return _Parser(text).only_value()
    except (ValueError, SyntaxError, RecursionError):
        return cell


class _Parser:
    """Parses Python and numpy notation, in which commas between items may be missing."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._position = 0

    def only_value(self) -> Any:
        """Return the value of the whole text."""
        value = self.value()
        if self._text[self._position :].strip():
            raise ValueError(self._position)
        return value

    def value(self) -> Any:
        kind, part = self._next()
        if kind == "string":
            return ast.literal_eval(part)
        if kind == "number":
            return float(part) if re.search(r"[.eE]", part) else int(part)
        if kind == "name":
            return self._array() if part == "array" else self._constant(part)
        if part == "{":
            return self._object()
        if part in _CLOSING:
            return self._items(_CLOSING[part])
        raise ValueError(part)

    def _items(self, closing: str) -> list[Any]:
        items = []
        while self._peek() != closing:
            if self._peek() == ",":
                self._next()
            else:
                items.append(self.value())
        self._next()
        return items

    def _object(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while self._peek() != "}":
            if self._peek() == ",":
                self._next()
                continue
            key = self.value()
            self._expect(":")
            found[str(key)] = self.value()
        self._next()
        return found

    def _array(self) -> Any:
        """Return the items of ``array([...], dtype=object)``."""
        self._expect("(")
        items = self.value()
        while self._peek() != ")":
            self._next()
        self._next()
        return items

    @staticmethod
    def _constant(name: str) -> Any:
        if name not in _NAMES:
            raise ValueError(name)
        return _NAMES[name]

    def _peek(self) -> str:
        found = _TOKEN.match(self._text, self._position)
        if found is None:
            raise ValueError(self._position)
        return found.group().strip()

    def _next(self) -> tuple[str, str]:
        found = _TOKEN.match(self._text, self._position)
        if found is None or found.lastgroup is None:
            raise ValueError(self._position)
        self._position = found.end()
        return found.lastgroup, found[found.lastgroup]

    def _expect(self, mark: str) -> None:
        if self._next()[1] != mark:
            raise ValueError(mark)


FORMAT = ExportFormat("Argilla", _matches, _columns, _collect)
