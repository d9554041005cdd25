"""Whether the probabilities mean what they say, in pictures: the reliability diagram and the histogram."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from smalltext_cli.calibration import ReliabilityBin
from smalltext_cli.metrics import wilson_interval
from smalltext_cli.report.scale import Scale, compact, nice_ticks, percent_ticks
from smalltext_cli.report.svg import chart, element

_LEFT, _RIGHT, _WIDTH = 52.0, 408.0, 426.0
_CONFIDENCE = Scale(0, 1, _LEFT, _RIGHT)


def reliability_diagram(reliability: Sequence[ReliabilityBin], error: float, *, multi_label: bool) -> Markup:
    """Draw how often predictions of each confidence come true, with 95 % intervals and the error.

    Parameters
    ----------
    reliability : sequence of ReliabilityBin
    error : float
        The expected calibration error.
    multi_label : bool
        Whether the confidence is each probability of each class, and not that of the predicted class.
    """
    bottom = 350.0
    accuracy = Scale(0, 1, bottom, 46)
    x_title = "probability of the class" if multi_label else "confidence in the predicted class"
    y_title = "share to which the class applies" if multi_label else "share that is right"
    grid = _axes(accuracy, percent_ticks(), bottom, x_title, y_title)
    diagonal = element(
        "line", x1=_CONFIDENCE(0), y1=accuracy(0), x2=_CONFIDENCE(1), y2=accuracy(1), class_="ideal"
    )
    bars = [_reliability_bar(one, accuracy) for one in reliability if one.count]
    headline = element(
        "text",
        element("tspan", f"{error:.3f}", id="reliability-ece", class_="headline"),
        element("tspan", "expected calibration error", dx=8, class_="axis"),
        x=_LEFT,
        y=22,
    )
    return chart(
        "reliability-chart",
        "Reliability diagram",
        f"How often predictions come true, by their confidence. Expected calibration error {error:.3f}; on the "
        "dashed diagonal, confidence and truth agree.",
        (_WIDTH, bottom + 46),
        *grid,
        *bars,
        diagonal,
        headline,
    )


def confidence_histogram(reliability: Sequence[ReliabilityBin], *, multi_label: bool) -> Markup:
    """Draw how many predictions have each confidence, those that are right apart from those that are not."""
    bottom = 350.0
    highest = max(one.count for one in reliability)
    ticks = nice_ticks(highest)
    counts = Scale(0, max(ticks[-1], highest), bottom, 46)
    unit = "text/class pairs" if multi_label else "texts"
    x_title = "probability of the class" if multi_label else "confidence in the predicted class"
    grid = _axes(counts, [(tick, compact(tick)) for tick in ticks], bottom, x_title, unit)
    bars = [_histogram_bar(one, counts, unit) for one in reliability if one.count]
    return chart(
        "confidence-chart",
        "Confidence histogram",
        f"How many {unit} there are at each confidence; the largest bar stands for {highest}.",
        (_WIDTH, bottom + 46),
        *grid,
        *bars,
    )


def _axes(
    y: Scale, y_ticks: Sequence[tuple[float, str]], bottom: float, x_title: str, y_title: str
) -> list[Markup]:
    middle = (y.start + y.stop) / 2
    lines = [element("line", x1=_LEFT, x2=_RIGHT, y1=y(tick), y2=y(tick), class_="grid") for tick, _ in y_ticks]
    left = [
        element("text", label, x=_LEFT - 7, y=y(tick) + 4, text_anchor="end", class_="tick")
        for tick, label in y_ticks
    ]
    below = [
        element("text", label, x=_CONFIDENCE(tick), y=bottom + 18, text_anchor="middle", class_="tick")
        for tick, label in percent_ticks()
    ]
    titles = [
        element("text", x_title, x=(_LEFT + _RIGHT) / 2, y=bottom + 40, text_anchor="middle", class_="axis"),
        element(
            "text",
            y_title,
            text_anchor="middle",
            class_="axis",
            transform=f"translate(11 {middle:.1f}) rotate(-90)",
        ),
    ]
    return lines + left + below + titles


def _reliability_bar(one: ReliabilityBin, accuracy: Scale) -> Markup:
    assert one.accuracy is not None
    assert one.confidence is not None
    low, high = wilson_interval(one.accuracy, one.count)
    left, right = _CONFIDENCE(one.lower) + 1.5, _CONFIDENCE(one.upper) - 1.5
    x, y = _CONFIDENCE(one.confidence), accuracy(one.accuracy)
    title = f"{one.count} predictions: mean confidence {one.confidence:.1%}, came true {one.accuracy:.1%}"
    return element(
        "g",
        element("title", title),
        element("rect", x=left, y=y, width=right - left, height=accuracy(0) - y, class_="bar pale"),
        element("line", x1=left, x2=right, y1=y, y2=y, class_="bar-top"),
        element("line", x1=x, x2=x, y1=accuracy(low), y2=accuracy(high), class_="whisker"),
        element("circle", cx=x, cy=y, r=4.5, class_="dot"),
    )


def _histogram_bar(one: ReliabilityBin, counts: Scale, unit: str) -> Markup:
    assert one.accuracy is not None
    came_true = round(one.count * one.accuracy)
    left, width = _CONFIDENCE(one.lower) + 1.5, _CONFIDENCE(one.upper) - _CONFIDENCE(one.lower) - 3
    top, border = counts(one.count), counts(came_true)
    return element(
        "g",
        element("title", f"{one.lower:.0%} to {one.upper:.0%}: {one.count} {unit}, {came_true} came true"),
        element("rect", x=left, y=border, width=width, height=counts(0) - border, class_="bar right"),
        element("rect", x=left, y=top, width=width, height=border - top, class_="bar wrong"),
        element("text", compact(one.count), x=left + width / 2, y=top - 5, text_anchor="middle", class_="small"),
    )
