"""The texts of an audit with their labels and locations, and the findings of its checks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from smalltext_cli.readers import Label
from smalltext_core.messages import shown

_EXCERPT = 80


@dataclass(frozen=True)
class AuditedTexts:
    """All texts of a file, column by column.

    Parameters
    ----------
    texts : sequence of str
    labels : sequence of Label or None
        None if a label is missing.
    lines : sequence of int
        The line (or row) on which each text begins.
    ids : sequence of str, optional
        The values of the id column, if there is one.
    unit : str, default="line"
        The unit of `lines`.

    Examples
    --------
    >>> AuditedTexts(["win a prize"], ["spam"], [2], ["m7"]).place(0)
    'line 2 (m7)'
    """

    texts: Sequence[str]
    labels: Sequence[Label | None]
    lines: Sequence[int]
    ids: Sequence[str] | None = None
    unit: str = "line"

    def place(self, row: int) -> str:
        """Return the line of a text and its id, for messages."""
        identity = "" if self.ids is None else f" ({shown(self.ids[row], 40)[1:-1]})"
        return f"{self.unit} {self.lines[row]}{identity}"

    def as_dict(self, row: int, **more: Any) -> dict[str, Any]:
        """Return the location, label and beginning of a text as JSON values, with `more` added."""
        identity = {} if self.ids is None else {"id": self.ids[row]}
        label = self.labels[row]
        return {
            self.unit: self.lines[row],
            **identity,
            "label": list(label) if isinstance(label, tuple) else label,
            "text": self.texts[row][:_EXCERPT],
            **more,
        }


@dataclass(frozen=True)
class Finding:
    """The result of one check.

    Parameters
    ----------
    check : str
        The name of the check in JSON.
    title : str
        A description of the problem.
    count : int
        The number of texts (or classes) with the problem; 0 if there is none.
    examples : sequence of str, default=()
        Examples of the problem, the worst or first ones first.
    advice : str, default=""
        What to do about it.
    details : list, default=[]
        All occurrences, as JSON values.
    """

    check: str
    title: str
    count: int
    examples: Sequence[str] = ()
    advice: str = ""
    details: list[Any] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Return the finding as JSON values."""
        return {
            "check": self.check,
            "title": self.title,
            "count": self.count,
            "advice": self.advice,
            "found": self.details,
        }


def row_finding(
    check: str, title: str, data: AuditedTexts, rows: Iterable[int], advice: str, **columns: Sequence[Any]
) -> Finding:
    """Return a finding on single texts; `columns` are added to the details of each text."""
    rows = list(rows)
    details = [
        data.as_dict(row, **{name: values[number] for name, values in columns.items()})
        for number, row in enumerate(rows)
    ]
    return Finding(check, title, len(rows), [data.place(row) for row in rows], advice, details)


def group_finding(
    check: str,
    title: str,
    data: AuditedTexts,
    groups: Sequence[Sequence[int]],
    advice: str,
    *,
    count: int | None = None,
    more: Sequence[dict[str, Any]] | None = None,
) -> Finding:
    """Return a finding on groups of texts; by default, `count` is the number of texts in them."""
    details = [
        {"rows": [data.as_dict(row) for row in group], **({} if more is None else more[number])}
        for number, group in enumerate(groups)
    ]
    examples = [_joined(data, group) for group in groups]
    return Finding(check, title, sum(map(len, groups)) if count is None else count, examples, advice, details)


def _joined(data: AuditedTexts, group: Sequence[int]) -> str:
    listed = " = ".join(data.place(row) for row in group[:3])
    return f"{listed} = {len(group) - 3:,} more" if len(group) > 3 else listed
