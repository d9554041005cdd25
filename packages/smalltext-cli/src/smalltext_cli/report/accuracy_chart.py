"""The accuracy on a line from 0 to 100 %, with its interval and what guessing would reach."""

from __future__ import annotations

from markupsafe import Markup

from smalltext_cli.report.scale import Scale, percent_ticks
from smalltext_cli.report.svg import chart, element

_WIDTH, _HEIGHT = 426.0, 74.0


def accuracy_line(accuracy: float, interval: tuple[float, float], baseline: float | None) -> Markup:
    """Draw the accuracy with its confidence interval.

    Parameters
    ----------
    accuracy : float
    interval : (float, float)
    baseline : float or None
        The share that always answering the most frequent class would get right.
    """
    scale, middle = Scale(0, 1, 14, _WIDTH - 16), 34.0
    low, high = (scale(bound) for bound in interval)
    parts = [
        element("rect", x=scale(0), y=middle - 5, width=scale(1) - scale(0), height=10, rx=5, class_="track"),
        element(
            "rect", x=scale(0), y=middle - 5, width=scale(accuracy) - scale(0), height=10, rx=5, class_="bar pale"
        ),
        element("rect", x=low, y=middle - 5, width=max(high - low, 2.0), height=10, rx=2, class_="interval"),
        element("circle", cx=scale(accuracy), cy=middle, r=7, class_="dot"),
    ]
    parts += [
        element("text", label, x=scale(tick), y=_HEIGHT - 12, text_anchor="middle", class_="tick")
        for tick, label in percent_ticks()
    ]
    description = f"Accuracy {accuracy:.1%}, 95 % confidence interval {interval[0]:.1%} to {interval[1]:.1%}."
    if baseline is not None:
        x = scale(baseline)
        anchor = "start" if baseline < 0.2 else "end" if baseline > 0.8 else "middle"
        parts.append(element("line", x1=x, x2=x, y1=middle - 12, y2=middle + 12, class_="baseline"))
        parts.append(
            element("text", "most frequent class alone", x=x, y=middle - 18, text_anchor=anchor, class_="tick")
        )
        description += f" Always answering the most frequent class: {baseline:.1%}."
    return chart("accuracy-chart", "Accuracy", description, (_WIDTH, _HEIGHT), *parts)
