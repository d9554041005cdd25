"""Files of doccano, Prodigy, spaCy and fastText, in which each line is a text with its labels.

The formats are described in https://prodi.gy/docs/api-interfaces, https://spacy.io/api/data-formats,
https://fasttext.cc/docs/en/supervised-tutorial.html and on doccano's export page.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from smalltext_cli.readers.exports import (
    AnnotatedText,
    Collection,
    Columns,
    ExportFormat,
    Record,
    as_list,
    as_object,
    chosen_text,
    keys_of,
)
from smalltext_cli.readers.values import InvalidValueError, shown_value
from smalltext_core.label_names import shown_name

_ANSWERS = {"accept": "", "reject": "{n} rejected answer{s}", "ignore": "{n} ignored answer{s}"}
"""The answers of Prodigy, with the message that counts an unused answer."""

_FASTTEXT_LABEL = re.compile(r"(?:^|(?<=\s))__label__(\S+)\s*")
_DOCCANO_LABELS = ("label", "labels", "cats", "annotations")
_DOCCANO_SEPARATOR = "#"
_MIN_CATEGORY_VALUE = 0.5
"""The lowest value with which a spaCy category applies."""


def _plain_columns(records: Sequence[Record], wanted: Columns) -> Columns:
    """Return the field of the texts: "text" unless another one is given."""
    return replace(wanted, text=chosen_text(wanted, keys_of(records) or [wanted.text]))


def _is_doccano(record: Record) -> bool:
    if "id" not in record or not any(key in record for key in _DOCCANO_LABELS):
        return False
    if "Comments" in record or "annotation_approver" in record:
        return True
    if list(record) == ["id", "data", "label"]:
        return isinstance(record["label"], (list, str))
    return isinstance(record["id"], int) and "text" in record and isinstance(record.get("label"), list)


def _doccano_columns(records: Sequence[Record], wanted: Columns) -> Columns:
    keys = keys_of(records)
    text = "data" if wanted.text not in keys and "data" in keys else wanted.text
    return _plain_columns(records, replace(wanted, text=text))


def _collect_doccano(record: Record, columns: Columns, collection: Collection) -> None:
    text = collection.text(record.get(columns.text), record)
    if columns.label is None:
        return
    key = next((key for key in (columns.label, *_DOCCANO_LABELS) if key in record), columns.label)
    value = record.get(key)
    if isinstance(value, str):
        labels = _split(value, columns) if columns.is_table else [value]
        text.votes += [tuple(labels)] if value.strip() else []
        return
    labels = as_list(value, "the label")
    by_user: dict[object, list[object]] = {}
    for label in labels:
        if isinstance(label, list) or (isinstance(label, dict) and "start_offset" in label):
            raise InvalidValueError(
                f"the label {shown_value(label, 40)} is one of a part of the text",
                "Give the export of a project that classifies whole texts.",
            )
        if isinstance(label, dict):
            by_user.setdefault(str(label.get("user")), []).append(label.get("label"))
        else:
            by_user.setdefault(None, []).append(label)
    text.votes += map(tuple, by_user.values())


def _split(cell: str, columns: Columns) -> list[str]:
    """Return the labels of a cell such as ``news#sports``; ``C#`` is one label."""
    parts = cell.split(columns.separator or _DOCCANO_SEPARATOR)
    return parts if all(part.strip() for part in parts) else [cell]


def _is_prodigy(record: Record) -> bool:
    return (
        isinstance(record.get("answer"), str)
        and record["answer"] in _ANSWERS
        and any(key in record for key in ("_input_hash", "_task_hash", "options", "accept", "label"))
    )


def _collect_prodigy(record: Record, columns: Columns, collection: Collection) -> None:
    key = record.get("_input_hash", record.get(columns.text))
    text = collection.text(record.get(columns.text), record, str(key))
    if columns.label is None:
        return
    answer = record.get("answer", "accept")
    if not isinstance(answer, str) or answer not in _ANSWERS:
        raise InvalidValueError(
            f"the answer is {shown_value(answer, 40)}", "It should be accept, reject or ignore."
        )
    if _ANSWERS[answer]:
        collection.leave_out(text, _ANSWERS[answer])
    elif "accept" in record:
        text.votes.append(tuple(as_list(record["accept"], "what is accepted")))
    elif record.get(columns.label) is not None:
        _add_binary(record, columns, text)


def _add_binary(record: Record, columns: Columns, text: AnnotatedText) -> None:
    """Add an accepted label; if several may apply, to the labels that the annotator accepted before."""
    label = record[str(columns.label)]
    annotator = str(record.get("_annotator_id", record.get("_session_id")))
    if columns.multi_label and annotator in text.vote_of:
        position = text.vote_of[annotator]
        text.votes[position] = (*text.votes[position], label)
    else:
        text.vote_of[annotator] = len(text.votes)
        text.votes.append((label,))


def _is_spacy(record: Record) -> bool:
    return "text" in record and isinstance(record.get("cats"), dict)


def _collect_spacy(record: Record, columns: Columns, collection: Collection) -> None:
    text = collection.text(record.get(columns.text), record)
    if columns.label is None:
        return
    if "cats" not in record:
        advice = 'Write {"text": "...", "cats": {"news": 1.0, "ad": 0.0}}.'
        raise InvalidValueError("there is no key 'cats'", advice)
    values = as_object(record["cats"], "cats")
    for name, value in values.items():
        if not isinstance(value, (int, float)):
            problem = f"the value of the category {shown_name(name)} is {shown_value(value, 40)}"
            raise InvalidValueError(problem, "Write 1.0 if it applies, and 0.0 if it does not.")
    if values:
        text.votes.append(tuple(name for name, value in values.items() if value >= _MIN_CATEGORY_VALUE))


def _collect_fasttext(record: Record, columns: Columns, collection: Collection) -> None:
    line = str(record[columns.text])
    alone = _FASTTEXT_LABEL.sub("", line).strip()
    text = collection.text(alone, {columns.text: alone})
    labels = _FASTTEXT_LABEL.findall(line)
    if columns.label is not None and labels:
        text.votes.append(tuple(labels))


def _never(_: Record) -> bool:
    return False


DOCCANO = ExportFormat("doccano", _is_doccano, _doccano_columns, _collect_doccano)
PRODIGY = ExportFormat("Prodigy", _is_prodigy, _plain_columns, _collect_prodigy)
SPACY = ExportFormat("spaCy", _is_spacy, _plain_columns, _collect_spacy)
FASTTEXT = ExportFormat("fastText", _never, _plain_columns, _collect_fasttext)
