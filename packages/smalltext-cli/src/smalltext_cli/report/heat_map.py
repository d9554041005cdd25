"""The confusion matrix as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from smalltext_cli.report.lettering import shorten, width
from smalltext_cli.report.scale import compact
from smalltext_cli.report.svg import chart, element

MOST_CLASSES = 20
"""More classes than this do not fit into a matrix that people can read."""

_FONT = 12.0
_LONGEST_NAME = 108.0
_SLANT = 1 / sqrt(2)  # of names at 45 degrees
_STRONG = 0.6  # from this share on, a cell is so dark that its number is written in the colour of the page


def heat_map(matrix: NDArray[np.int64], names: Sequence[str], totals: NDArray[np.int64]) -> Markup:
    """Draw a confusion matrix: a row for each truth, a column for each prediction.

    The strength of a cell's colour is its share of the row's texts.

    Parameters
    ----------
    matrix : ndarray of int64, shape (C, C)
    names : sequence of str
    totals : ndarray of int64, shape (C,)
        How many texts each true class has; more than the row sums if the matrix is part of a larger one.
    """
    count = len(matrix)
    cell = 84.0 if count <= 3 else 56.0 if count <= 6 else 40.0 if count <= 10 else 34.0
    labels = [shorten(name, _LONGEST_NAME, _FONT) for name in names]
    longest = max(width(label, _FONT) for label in labels)
    left, top = longest + 32, longest * _SLANT + 46
    size = (left + count * cell + longest * _SLANT + 6, top + count * cell + 6)
    cells = []
    for row, counts in enumerate(matrix.tolist()):
        for column, texts in enumerate(counts):
            box = (left + column * cell, top + row * cell, cell)
            title = f"{names[row]} → {names[column]}: {texts}"
            cells.append(_cell(title, box, texts, texts / max(int(totals[row]), 1), right=row == column))
    middle = count * cell / 2
    upwards = f"translate(12 {top + middle:.1f}) rotate(-90)"
    axes = (
        element("text", "predicted", x=left + middle, y=13, text_anchor="middle", class_="axis"),
        element("text", "truth", transform=upwards, text_anchor="middle", class_="axis"),
    )
    right = int(np.trace(matrix))
    description = f"{right} of the {int(matrix.sum())} texts shown lie on the diagonal: their class is right."
    return chart(
        "confusion-chart", "Confusion matrix", description, size, *axes, *_names(labels, left, top, cell), *cells
    )


def _names(labels: Sequence[str], left: float, top: float, cell: float) -> list[Markup]:
    rows = [
        element("text", label, x=left - 8, y=top + (k + 0.5) * cell + 4, text_anchor="end", class_="name")
        for k, label in enumerate(labels)
    ]
    places = [f"translate({left + (k + 0.5) * cell:.1f} {top - 8:.1f}) rotate(-45)" for k in range(len(labels))]
    columns = [
        element("text", label, class_="name", transform=place) for label, place in zip(labels, places, strict=True)
    ]
    return rows + columns


def _cell(title: str, box: tuple[float, float, float], count: int, share: float, *, right: bool) -> Markup:
    x, y, side = box
    inside = {"x": x + 1, "y": y + 1, "width": side - 2, "height": side - 2, "rx": 3.0}
    parts = [element("title", title), element("rect", class_="empty", **inside)]
    if count:
        kind = "right" if right else "wrong"
        parts.append(element("rect", class_=kind, fill_opacity=round(0.12 + 0.88 * share, 3), **inside))
    emphasis = "faint" if not count else "strong" if share >= _STRONG else ""
    number = element(
        "text",
        compact(count) if count else "·",
        x=x + side / 2,
        y=y + side / 2 + 4,
        text_anchor="middle",
        class_=f"count {emphasis}".rstrip(),
    )
    return element("g", *parts, number)
