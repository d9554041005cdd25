"""The charts of a comparison: learning curves with error bars, and scores against training time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from smalltext_cli.compare.intervals import Interval
from smalltext_cli.svg import Scale, chart, element, line, rotated_text, text

MAX_SERIES = 8
"""The number of colours and shapes; further series reuse them with dashed lines."""

_WIDTH, _HEIGHT = 460.0, 340.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 54.0, 446.0, 16.0, 288.0
_SHIFT = 3.0  # between the error bars of neighbouring series, in pixels


@dataclass(frozen=True)
class Point:
    """A mean with its interval at a position on the x axis, and the text of its tooltip."""

    x: float
    y: Interval
    words: str


@dataclass(frozen=True)
class Series:
    """The points of one classifier, from left to right; `number` determines its colour and shape."""

    name: str
    number: int
    points: Sequence[Point]


def learning_curves(
    key: str, series: Sequence[Series], ticks: Sequence[tuple[float, str]], x_title: str, y_title: str
) -> Markup:
    """Draw means against numbers of training texts, on a logarithmic scale, with error bars."""
    xs = [x for x, _ in ticks]
    return _curves(key, series, ticks, (min(xs), max(xs)), x_title, y_title, "Learning curves")


def quality_against_time(key: str, series: Sequence[Series], y_title: str) -> Markup:
    """Draw means against the CPU seconds of training, on a logarithmic scale."""
    xs = [point.x for one in series for point in one.points] or [1.0]
    low, high = math.floor(math.log10(min(xs))), math.ceil(math.log10(max(xs) * 1.0001))
    ticks = [(10.0**power, _seconds(power)) for power in range(low, max(high, low + 1) + 1)]
    ends = (ticks[0][0], ticks[-1][0])
    return _curves(key, series, ticks, ends, "CPU seconds of a training run", y_title, "Quality against time")


def swatch(number: int) -> Markup:
    """Return a sample of the line and shape of a series, for tables and legends."""
    marks = (_line_of(number, [(1.0, 7.0), (25.0, 7.0)]), _mark(number, 13.0, 7.0))
    return element(
        "svg", *marks, class_="chart swatch", viewBox="0 0 26 14", width=26, height=14, aria_hidden="true"
    )


def _curves(
    key: str,
    series: Sequence[Series],
    ticks: Sequence[tuple[float, str]],
    ends: tuple[float, float],
    x_title: str,
    y_title: str,
    title: str,
) -> Markup:
    low, high = math.log10(ends[0]), math.log10(ends[1])
    x = Scale(low, high, _LEFT + 16, _RIGHT - 16) if high > low else Scale(low - 1, low + 1, _LEFT, _RIGHT)
    bottom, top, step = _range([bound for one in series for point in one.points for bound in _bounds(point.y)])
    y = Scale(bottom, top, _BOTTOM, _TOP)
    count = round((top - bottom) / step)
    parts = []
    for number in range(count + 1):
        value = bottom + number * step
        parts.append(line("grid", _LEFT, _RIGHT, y(value), y(value)))
        parts.append(text(f"{value:.2f}", "tick", _LEFT - 7, y(value) + 4, "end"))
    parts += [text(label, "tick", x(math.log10(tick)), _BOTTOM + 18) for tick, label in ticks]
    parts.append(text(x_title, "axis", (_LEFT + _RIGHT) / 2, _BOTTOM + 42))
    parts.append(rotated_text(y_title, "axis", 12.0, (_TOP + _BOTTOM) / 2, -90, "middle"))
    for position, one in enumerate(series):
        shift = (position - (len(series) - 1) / 2) * _SHIFT
        parts.append(_drawn(one, x, y, shift))
    description = (
        f"{y_title} of {', '.join(one.name for one in series)}, with 95% intervals where there are repeats."
    )
    return chart(key, title, description, (_WIDTH, _HEIGHT), *parts)


def _drawn(one: Series, x: Scale, y: Scale, shift: float) -> Markup:
    places = [(x(math.log10(point.x)) + shift, y(point.y.mean)) for point in one.points]
    parts = [_line_of(one.number, places)]
    for point, (across, down) in zip(one.points, places, strict=True):
        words = element("title", f"{one.name}, {point.words}")
        bars = []
        if point.y.low is not None and point.y.high is not None:
            high, low = y(point.y.high), y(point.y.low)
            style = f"error-bar series-{one.number % MAX_SERIES}"
            bars = [
                line(style, across, across, high, low),
                line(style, across - 3, across + 3, high, high),
                line(style, across - 3, across + 3, low, low),
            ]
        parts.append(element("g", words, *bars, _mark(one.number, across, down)))
    return element("g", *parts)


def _line_of(number: int, places: Sequence[tuple[float, float]]) -> Markup:
    points = " ".join(f"{across:.1f},{down:.1f}" for across, down in places)
    dashes = "6 4" if number >= MAX_SERIES else None
    return element(
        "polyline", points=points, class_=f"curve series-{number % MAX_SERIES}", stroke_dasharray=dashes
    )


def _mark(number: int, x: float, y: float) -> Markup:
    """Return the marker of a point; eight series have different shapes and fillings."""
    style = f"mark series-{number % MAX_SERIES}{' hollow' if number % MAX_SERIES >= 4 else ''}"
    shape = number % 4
    if shape == 0:
        return element("circle", cx=x, cy=y, r=4.5, class_=style)
    corners = {
        1: ((-4.0, -4.0), (4.0, -4.0), (4.0, 4.0), (-4.0, 4.0)),
        2: ((0.0, -5.5), (5.0, 4.0), (-5.0, 4.0)),
        3: ((0.0, -5.8), (5.8, 0.0), (0.0, 5.8), (-5.8, 0.0)),
    }[shape]
    points = " ".join(f"{x + across:.1f},{y + down:.1f}" for across, down in corners)
    return element("polygon", points=points, class_=style)


def _bounds(one: Interval) -> list[float]:
    return [value for value in (one.mean, one.low, one.high) if value is not None]


def _range(values: Sequence[float]) -> tuple[float, float, float]:
    """Return the limits of an axis within 0 to 1 that contains the values, and the step between its ticks."""
    low, high = min(values, default=0.0), max(values, default=1.0)
    step = next((one for one in (0.02, 0.05, 0.1) if (high - low) / one <= 6), 0.2)
    bottom = max(0.0, math.floor(low / step + 1e-9) * step)
    top = min(math.ceil(high / step - 1e-9) * step, math.ceil(1 / step) * step)
    return bottom, max(top, bottom + step), step


def _seconds(power: int) -> str:
    return f"{10**power}" if power >= 0 else f"{10.0**power:.{-power}f}"
