"""Exports of Label Studio: tasks with annotations (JSON), or one record per annotation (JSON-MIN, CSV, TSV).

The formats are described in https://labelstud.io/guide/export.html.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from smalltext_cli.readers.exports import (
    AnnotatedText,
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
from smalltext_cli.readers.values import InvalidValueError

_ANNOTATIONS = ("annotations", "completions")
"""The keys of a task's annotations; the second one is used by versions before 1.0."""

_ABOUT_ANNOTATIONS = {
    *("id", "annotator", "annotation_id", "created_at", "updated_at", "lead_time", "was_cancelled", "agreement"),
    "history",
}
_CANCELLED = "{n} cancelled annotation{s}"


def _matches(record: Record) -> bool:
    if "annotation_id" in record and ("annotator" in record or "lead_time" in record):
        return True
    return isinstance(record.get("data"), dict) and any(isinstance(record.get(key), list) for key in _ANNOTATIONS)


def _is_task(record: Record) -> bool:
    return "data" in record and any(key in record for key in _ANNOTATIONS)


def _columns(records: Sequence[Record], wanted: Columns) -> Columns:
    tasks = [record for record in records if _is_task(record)]
    if tasks:
        data = (as_object(task["data"], "the data of a task") for task in tasks)
        texts = keys_of({key: value for key, value in one.items() if isinstance(value, str)} for one in data)
        labels = list(dict.fromkeys(name for task in tasks for name in _controls(task)))
        if wanted.label is not None and not labels:
            raise InvalidValueError(
                "no annotation in it makes a choice between classes",
                "Label whole texts, with the tag Choices, and export them again.",
            )
        return replace(wanted, text=chosen_text(wanted, texts), label=chosen_label(wanted, labels))
    keys = [key for key in keys_of(records) if key not in _ABOUT_ANNOTATIONS]
    if wanted.text in keys:
        text = wanted.text
    else:
        others = [key for key in keys if key != wanted.label and not _holds_choices(records, key)]
        text = chosen_text(wanted, others)
    others = [key for key in keys if key != text]
    labels = [key for key in others if _holds_choices(records, key)]
    if wanted.label in others or not labels:
        labels = others
    return replace(wanted, text=text, label=chosen_label(wanted, labels))


def _controls(task: Record) -> Iterator[str]:
    """Yield the names of the tags of choices."""
    for annotation in _annotations(task):
        for result in _choices(annotation):
            yield str(result.get("from_name"))


def _annotations(task: Record) -> list[dict[str, Any]]:
    found = next((task[key] for key in _ANNOTATIONS if key in task), None)
    return [as_object(one, "an annotation") for one in as_list(found, "the annotations")]


def _choices(annotation: dict[str, Any]) -> list[dict[str, Any]]:
    results = [as_object(one, "a result") for one in as_list(annotation.get("result"), "the result")]
    return [one for one in results if "choices" in as_object(one.get("value"), "the value of a result")]


def _holds_choices(records: Sequence[Record], key: str) -> bool:
    return any(_several(record.get(key)) is not None for record in records)


def _several(value: object) -> list[Any] | None:
    """Return the choices in ``{"choices": [...]}``, also from a table cell; None for any other value."""
    if isinstance(value, str) and value.lstrip().startswith("{"):
        with suppress(ValueError, RecursionError):
            value = json.loads(value)
    if isinstance(value, dict) and "choices" in value:
        return as_list(value["choices"], "the choices")
    return None


def _collect(record: Record, columns: Columns, collection: Collection) -> None:
    if _is_task(record):
        data = as_object(record["data"], "the data of a task")
        text = collection.text(data.get(columns.text), {"id": record.get("id"), **data})
        for annotation in _annotations(record):
            if annotation.get("was_cancelled") is True:
                collection.leave_out(text, _CANCELLED)
            else:
                results = [one for one in _choices(annotation) if str(one.get("from_name")) == columns.label]
                chosen = [as_list(one["value"]["choices"], "the choices") for one in results]
                text.votes.append(tuple(name for names in chosen for name in names))
    else:
        number = record.get("id")
        key = (str(number), str(record.get(columns.text))) if number not in (None, "") else None
        text = collection.text(record.get(columns.text), record, key)
        if columns.label is not None:
            _collect_row(record.get(columns.label), record.get("was_cancelled"), columns, collection, text)


def _collect_row(
    value: object, cancelled: object, columns: Columns, collection: Collection, text: AnnotatedText
) -> None:
    """Add the annotation of a JSON-MIN record or table row, which is empty if nothing was chosen."""
    is_cancelled = {"true": True, "false": False}.get(str(cancelled).lower())
    if is_cancelled:
        collection.leave_out(text, _CANCELLED)
    elif value is None or value == "":
        if columns.multi_label and is_cancelled is False:
            text.votes.append(())
        else:
            collection.leave_out(text, "{n} annotation{s} without a choice")
    else:
        several = _several(value)
        text.votes.append((value,) if several is None else tuple(several))


FORMAT = ExportFormat("Label Studio", _matches, _columns, _collect)
