"""The charts of the report: accuracy, scores per class, confusion matrix and calibration."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from smalltext_cli.metrics import ClassScores, ReliabilityBin, wilson_interval
from smalltext_cli.svg import (
    Scale,
    chart,
    compact,
    dot,
    element,
    line,
    nice_ticks,
    percent_ticks,
    rect,
    rotated_text,
    shorten,
    text,
    text_width,
)

MAX_BARS = 30
"""The maximum number of classes in a bar chart; the table next to it shows all."""

MAX_MATRIX_CLASSES = 20
"""The maximum number of classes in a confusion matrix, which is illegible with more."""

_OUTCOMES = (("found", "true positives"), ("missed", "false negatives"), ("false-alarms", "false positives"))
_WIDTH = 426.0
_FONT = 12.0
_MAX_BAR_LABEL = 120.0
_MAX_MATRIX_LABEL = 108.0
_SIN_45 = 1 / sqrt(2)  # the column labels of the confusion matrix are rotated by 45 degrees
_DARK_CELL = 0.6  # from this share on, cells are so dark that their numbers are written in the background colour
_TOP, _BOTTOM, _LEFT, _RIGHT = 46.0, 350.0, 52.0, 408.0  # the plotting area of the calibration charts
_CONFIDENCE = Scale(0, 1, _LEFT, _RIGHT)


def accuracy_chart(accuracy: float, interval: tuple[float, float], baseline: float | None) -> Markup:
    """Draw the accuracy on a line from 0 to 100%, with its confidence interval and the majority baseline."""
    scale, middle, height = Scale(0, 1, 14, _WIDTH - 16), 34.0, 74.0
    left, low, high = scale(0), scale(interval[0]), scale(interval[1])
    parts = [
        rect("track", left, middle - 5, scale(1) - left, 10, rx=5),
        rect("bar pale", left, middle - 5, scale(accuracy) - left, 10, rx=5),
        rect("interval", low, middle - 5, max(high - low, 2.0), 10, rx=2),
        dot(scale(accuracy), middle, 7),
        *(text(label, "tick", scale(tick), height - 12) for tick, label in percent_ticks()),
    ]
    description = f"Accuracy {accuracy:.1%}, 95% confidence interval {interval[0]:.1%} to {interval[1]:.1%}."
    if baseline is not None:
        x = scale(baseline)
        anchor = "start" if baseline < 0.2 else "end" if baseline > 0.8 else "middle"
        parts.append(line("baseline", x, x, middle - 12, middle + 12))
        parts.append(text("most frequent class only", "tick", x, middle - 18, anchor))
        description += f" Always answering the most frequent class: {baseline:.1%}."
    return chart("accuracy-chart", "Accuracy", description, (_WIDTH, height), *parts)


def lowest_f1_first(per_class: Sequence[ClassScores]) -> list[int]:
    """Return the numbers of the classes that occur, at most `MAX_BARS`, in ascending order of F1."""
    occurring = [k for k, one in enumerate(per_class) if one.support or one.predicted]
    return sorted(occurring, key=lambda k: (per_class[k].f1, k))[:MAX_BARS]


def class_scores_chart(per_class: Sequence[ClassScores], names: Sequence[str]) -> Markup:
    """Draw precision, recall and F1 of each class, in ascending order of F1."""
    order = lowest_f1_first(per_class)
    left = _label_column(names, order)
    scale = Scale(0, 1, left, _WIDTH - 46)
    row = 38.0 if len(order) <= 12 else 27.0
    top, thickness = 24.0, (row - 8) / 3
    bottom = top + row * len(order)
    parts = [line("grid", scale(tick), scale(tick), top, bottom) for tick, _ in percent_ticks()]
    parts += [text(label, "tick", scale(tick), top - 8) for tick, label in percent_ticks()]
    parts.append(text("F1", "tick", _WIDTH, top - 8, "end"))
    for position, k in enumerate(order):
        y, scores = top + row * position, per_class[k]
        parts.append(_row_label(names[k], left, y + row / 2))
        for bar, value in enumerate((scores.precision, scores.recall, scores.f1)):
            measure = ("precision", "recall", "F1")[bar]
            title = element("title", f"{names[k]}: {measure} {value:.3f}")
            place = (left, y + 3 + bar * thickness, scale(value) - left, thickness - 1.5)
            parts.append(rect(f"bar {measure.lower()}", *place, title, rx=1.5))
        parts.append(text(f"{scores.f1:.2f}", "name", _WIDTH, y + row / 2 + 4, "end"))
    description = f"Precision, recall and F1 of {len(order)} classes, from the lowest F1 to the highest."
    return chart("class-chart", "Scores of each class", description, (_WIDTH, bottom + 8), *parts)


def decisions_chart(
    confusion: NDArray[np.int64], per_class: Sequence[ClassScores], names: Sequence[str]
) -> Markup:
    """Draw the true positives, false negatives and false positives of each class of a multi-label problem.

    `confusion` has shape (C, 2, 2): for each class, rows are true labels and columns predicted ones.
    """
    order = lowest_f1_first(per_class)
    left = _label_column(names, order)
    outcomes = {k: (confusion[k, 1, 1], confusion[k, 1, 0], confusion[k, 0, 1]) for k in order}
    scale = Scale(0, max([1, *(int(sum(counts)) for counts in outcomes.values())]), left, _WIDTH - 10)
    row, top = 26.0, 6.0
    parts: list[Markup] = []
    for position, k in enumerate(order):
        y, before = top + row * position, 0
        parts.append(_row_label(names[k], left, y + row / 2))
        for (outcome, meaning), count in zip(_OUTCOMES, map(int, outcomes[k]), strict=True):
            x, width = scale(before), scale(before + count) - scale(before)
            before += count
            bar = [
                element("title", f"{names[k]}: {count} {meaning}"),
                rect(f"outcome {outcome}", x, y + 4, width, row - 8),
            ]
            if width > text_width(str(count), _FONT) + 6:
                bar.append(text(f"{count}", f"small on-{outcome}", x + width / 2, y + row / 2 + 4))
            parts.append(element("g", *bar))
    description = f"True positives, false negatives and false positives of {len(order)} classes."
    size = (_WIDTH, top + row * len(order) + 6)
    return chart("outcome-chart", "Decisions on each class", description, size, *parts)


def _label_column(names: Sequence[str], order: Sequence[int]) -> float:
    """Return the width of the column that holds the names of classes."""
    widths = (text_width(shorten(names[k], _MAX_BAR_LABEL, _FONT), _FONT) for k in order)
    return max(widths, default=0.0) + 14


def _row_label(name: str, left: float, middle: float) -> Markup:
    label, title = shorten(name, _MAX_BAR_LABEL, _FONT), element("title", name)
    return text(label, "name", left - 8, middle + 4, "end", title)


def confusion_heatmap(matrix: NDArray[np.int64], names: Sequence[str], totals: NDArray[np.int64]) -> Markup:
    """Draw a confusion matrix: rows are true classes, columns predicted ones, and colours the share of the row.

    Parameters
    ----------
    matrix : ndarray of int64, shape (C, C)
    names : sequence of str
    totals : ndarray of int64, shape (C,)
        The number of texts of each true class, which is more than the row sum if the matrix is part of a larger
        one.
    """
    count = len(matrix)
    side = 84.0 if count <= 3 else 56.0 if count <= 6 else 40.0 if count <= 10 else 34.0
    labels = [shorten(name, _MAX_MATRIX_LABEL, _FONT) for name in names]
    longest = max(text_width(label, _FONT) for label in labels)
    left, top, middle = longest + 32, longest * _SIN_45 + 46, count * side / 2
    parts = [
        text("predicted", "axis", left + middle, 13),
        rotated_text("truth", "axis", 12.0, top + middle, -90, "middle"),
    ]
    centres = [(k + 0.5) * side for k in range(count)]
    pairs = list(zip(labels, centres, strict=True))
    parts += [text(label, "name", left - 8, top + centre + 4, "end") for label, centre in pairs]
    parts += [rotated_text(label, "name", left + centre, top - 8, -45) for label, centre in pairs]
    for row, counts in enumerate(matrix.tolist()):
        for column, texts in enumerate(counts):
            title = f"{names[row]} → {names[column]}: {texts}"
            share = texts / max(int(totals[row]), 1)
            place = (left + column * side, top + row * side, side)
            parts.append(_matrix_cell(title, place, texts, share, diagonal=row == column))
    correct = int(np.trace(matrix))
    description = f"{correct} of the {int(matrix.sum())} texts shown lie on the diagonal: their class is right."
    size = (left + 2 * middle + longest * _SIN_45 + 6, top + 2 * middle + 6)
    return chart("confusion-chart", "Confusion matrix", description, size, *parts)


def _matrix_cell(
    title: str, place: tuple[float, float, float], count: int, share: float, *, diagonal: bool
) -> Markup:
    x, y, side = place
    box = (x + 1, y + 1, side - 2, side - 2)
    parts = [element("title", title), rect("empty", *box, rx=3.0)]
    if count:
        opacity = round(0.12 + 0.88 * share, 3)
        parts.append(rect("right" if diagonal else "wrong", *box, fill_opacity=opacity, rx=3.0))
    style = "count faint" if not count else "count strong" if share >= _DARK_CELL else "count"
    number = text(compact(count) if count else "·", style, x + side / 2, y + side / 2 + 4)
    return element("g", *parts, number)


def reliability_diagram(bins: Sequence[ReliabilityBin], error: float, *, multi_label: bool) -> Markup:
    """Draw the accuracy of predictions by confidence, with 95% confidence intervals and the calibration error.

    With `multi_label`, the confidence is the probability of each class rather than of the predicted one.
    """
    accuracy = Scale(0, 1, _BOTTOM, _TOP)
    title = "share to which the class applies" if multi_label else "share that is right"
    corners = {"x1": _CONFIDENCE(0), "y1": accuracy(0), "x2": _CONFIDENCE(1), "y2": accuracy(1)}
    headline = (
        element("tspan", f"{error:.3f}", id="reliability-ece", class_="headline"),
        element("tspan", "expected calibration error", dx=8, class_="axis"),
    )
    return chart(
        "reliability-chart",
        "Reliability diagram",
        f"The accuracy of predictions by their confidence. Expected calibration error {error:.3f}; on the dashed "
        "diagonal, confidence and accuracy agree.",
        (_WIDTH, _BOTTOM + 46),
        *_confidence_axes(accuracy, percent_ticks(), title, multi_label=multi_label),
        *(_reliability_bar(one, accuracy) for one in bins if one.count),
        element("line", **corners, class_="ideal"),
        element("text", *headline, x=_LEFT, y=22),
    )


def confidence_histogram(bins: Sequence[ReliabilityBin], *, multi_label: bool) -> Markup:
    """Draw a histogram of the confidence of predictions, with correct and wrong ones in separate colours."""
    highest = max(one.count for one in bins)
    ticks = nice_ticks(highest)
    counts = Scale(0, max(ticks[-1], highest), _BOTTOM, _TOP)
    unit = "text/class pairs" if multi_label else "texts"
    return chart(
        "confidence-chart",
        "Confidence histogram",
        f"How many {unit} there are at each confidence; the largest bar stands for {highest}.",
        (_WIDTH, _BOTTOM + 46),
        *_confidence_axes(counts, [(tick, compact(tick)) for tick in ticks], unit, multi_label=multi_label),
        *(_histogram_bar(one, counts, unit) for one in bins if one.count),
    )


def _confidence_axes(
    y: Scale, ticks: Sequence[tuple[float, str]], title: str, *, multi_label: bool
) -> list[Markup]:
    x_title = "probability of the class" if multi_label else "confidence in the predicted class"
    return [
        *(line("grid", _LEFT, _RIGHT, y(tick), y(tick)) for tick, _ in ticks),
        *(text(label, "tick", _LEFT - 7, y(tick) + 4, "end") for tick, label in ticks),
        *(text(label, "tick", _CONFIDENCE(tick), _BOTTOM + 18) for tick, label in percent_ticks()),
        text(x_title, "axis", (_LEFT + _RIGHT) / 2, _BOTTOM + 40),
        rotated_text(title, "axis", 11.0, (_TOP + _BOTTOM) / 2, -90, "middle"),
    ]


def _reliability_bar(one: ReliabilityBin, accuracy: Scale) -> Markup:
    assert one.accuracy is not None
    assert one.confidence is not None
    low, high = wilson_interval(one.accuracy, one.count)
    left, right = _CONFIDENCE(one.lower) + 1.5, _CONFIDENCE(one.upper) - 1.5
    x, y = _CONFIDENCE(one.confidence), accuracy(one.accuracy)
    title = f"{one.count} predictions: mean confidence {one.confidence:.1%}, accuracy {one.accuracy:.1%}"
    return element(
        "g",
        element("title", title),
        rect("bar pale", left, y, right - left, accuracy(0) - y),
        line("bar-top", left, right, y, y),
        line("whisker", x, x, accuracy(low), accuracy(high)),
        dot(x, y, 4.5),
    )


def _histogram_bar(one: ReliabilityBin, counts: Scale, unit: str) -> Markup:
    assert one.accuracy is not None
    correct = round(one.count * one.accuracy)
    left, width = _CONFIDENCE(one.lower) + 1.5, _CONFIDENCE(one.upper) - _CONFIDENCE(one.lower) - 3
    top, border = counts(one.count), counts(correct)
    return element(
        "g",
        element("title", f"{one.lower:.0%} to {one.upper:.0%}: {one.count} {unit}, {correct} right"),
        rect("bar right", left, border, width, counts(0) - border),
        rect("bar wrong", left, top, width, border - top),
        text(compact(one.count), "small", left + width / 2, top - 5),
    )
