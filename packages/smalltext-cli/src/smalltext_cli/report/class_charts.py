"""How well each class is told from the others, in pictures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from smalltext_cli.metrics import ClassScores
from smalltext_cli.report.lettering import shorten, width
from smalltext_cli.report.scale import Scale, percent_ticks
from smalltext_cli.report.svg import chart, element

MOST_ROWS = 30
"""More bars than this are no picture; the table has all classes."""

_WIDTH = 426.0
_FONT = 12.0
_LONGEST_NAME = 120.0
_MEASURES = ("precision", "recall", "f1")


def weakest_first(per_class: Sequence[ClassScores]) -> list[int]:
    """Return the numbers of the classes that occur, by F1, the lowest first; `MOST_ROWS` at most."""
    occurring = [k for k, one in enumerate(per_class) if one.support or one.predicted]
    return sorted(occurring, key=lambda k: (per_class[k].f1, k))[:MOST_ROWS]


def class_bars(per_class: Sequence[ClassScores], names: Sequence[str]) -> Markup:
    """Draw precision, recall and F1 of each class, the weakest class first."""
    order = weakest_first(per_class)
    left = _room_for(names, order)
    scale = Scale(0, 1, left, _WIDTH - 46)
    row = 38.0 if len(order) <= 12 else 27.0
    top, thick = 24.0, (row - 8) / 3
    bottom = top + row * len(order)
    parts = _percent_axis(scale, top, bottom)
    parts.append(element("text", "F1", x=_WIDTH, y=top - 8, text_anchor="end", class_="tick"))
    for position, k in enumerate(order):
        y = top + row * position
        parts.append(_name(names[k], left, y + row / 2))
        for number, measure in enumerate(_MEASURES):
            value: float = getattr(per_class[k], measure)
            bar = {"x": left, "y": y + 3 + number * thick, "width": scale(value) - left, "height": thick - 1.5}
            title = element("title", f"{names[k]}: {'F1' if measure == 'f1' else measure} {value:.3f}")
            parts.append(element("rect", title, rx=1.5, class_=f"bar {measure}", **bar))
        f1 = f"{per_class[k].f1:.2f}"
        parts.append(element("text", f1, x=_WIDTH, y=y + row / 2 + 4, text_anchor="end", class_="name"))
    description = f"Precision, recall and F1 of {len(order)} classes, from the lowest F1 to the highest."
    return chart("class-chart", "Scores of each class", description, (_WIDTH, bottom + 8), *parts)


def outcome_bars(cells: NDArray[np.int64], per_class: Sequence[ClassScores], names: Sequence[str]) -> Markup:
    """Draw, for each class of a multi-label problem, what was found, missed and wrongly claimed.

    Parameters
    ----------
    cells : ndarray of int64, shape (C, 2, 2)
        For each class, rows the truth and columns the prediction.
    per_class : sequence of ClassScores
    names : sequence of str
    """
    order = weakest_first(per_class)
    left = _room_for(names, order)
    outcomes = {k: _outcomes(cells[k]) for k in order}
    longest = max((sum(each.values()) for each in outcomes.values()), default=1)
    scale = Scale(0, max(longest, 1), left, _WIDTH - 10)
    row, top = 26.0, 6.0
    parts: list[Markup] = []
    for position, k in enumerate(order):
        y = top + row * position
        parts.append(_name(names[k], left, y + row / 2))
        so_far = 0
        for outcome, count in outcomes[k].items():
            box = (scale(so_far), y + 4, scale(so_far + count) - scale(so_far), row - 8)
            parts.append(_outcome(names[k], outcome, count, box))
            so_far += count
    description = f"Texts that were found, missed and wrongly claimed, for {len(order)} classes."
    return chart(
        "outcome-chart", "Decisions on each class", description, (_WIDTH, top + row * len(order) + 6), *parts
    )


def _outcomes(cells: NDArray[np.int64]) -> dict[str, int]:
    (_, false_alarms), (missed, found) = cells.tolist()
    return {"found": found, "missed": missed, "false-alarms": false_alarms}


def _outcome(name: str, outcome: str, count: int, box: tuple[float, float, float, float]) -> Markup:
    x, y, wide, high = box
    title = element("title", f"{name}: {count} {outcome.replace('-', ' ')}")
    bar = element("rect", x=x, y=y, width=wide, height=high, class_=f"outcome {outcome}")
    if wide <= width(str(count), _FONT) + 6:
        return element("g", title, bar)
    number = element(
        "text", f"{count}", x=x + wide / 2, y=y + high / 2 + 4, text_anchor="middle", class_=f"small on-{outcome}"
    )
    return element("g", title, bar, number)


def _room_for(names: Sequence[str], order: Sequence[int]) -> float:
    return max((width(shorten(names[k], _LONGEST_NAME, _FONT), _FONT) for k in order), default=0.0) + 14


def _name(name: str, left: float, middle: float) -> Markup:
    label = shorten(name, _LONGEST_NAME, _FONT)
    return element(
        "text", label, element("title", name), x=left - 8, y=middle + 4, text_anchor="end", class_="name"
    )


def _percent_axis(scale: Scale, top: float, bottom: float) -> list[Markup]:
    lines = [
        element("line", x1=scale(tick), x2=scale(tick), y1=top, y2=bottom, class_="grid")
        for tick, _ in percent_ticks()
    ]
    labels = [
        element("text", label, x=scale(tick), y=top - 8, text_anchor="middle", class_="tick")
        for tick, label in percent_ticks()
    ]
    return lines + labels
