"""SVG from Python: elements, scales, axis ticks, and the width of text."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

from markupsafe import Markup, escape

Attribute = str | float | None

_WIDE = 1.0  # of the font size: Chinese, Japanese, Korean, emoji
_NARROW = 0.56  # the mean of Latin, Cyrillic, Arabic, ... letters in the usual sans-serif fonts
_CAPITAL = 0.7
_LIKE_CAPITALS = frozenset("0123456789#$&+<=>?^{}~")
_WIDE_LATIN = frozenset("MW@%mw—")

_MAX_TICKS = 5


def element(name: str, *content: str | Markup, **attributes: Attribute) -> Markup:
    """Return one SVG element. Attributes that are None are left out; strings are escaped, Markup is not.

    Underscores in attribute names become dashes; a trailing underscore (``class_``) is dropped.

    Examples
    --------
    >>> print(element("text", "a < b", x=1.50, text_anchor="end", class_="name"))
    <text x="1.5" text-anchor="end" class="name">a &lt; b</text>
    """
    written = Markup("").join(
        Markup(' {}="{}"').format(key.rstrip("_").replace("_", "-"), _number(value))
        for key, value in attributes.items()
        if value is not None
    )
    return Markup("<{0}{1}>{2}</{0}>").format(name, written, _join(content))


def text(
    content: str | Markup, style: str, x: float, y: float, anchor: str | None = "middle", *more: Markup
) -> Markup:
    """Return a line of text at a point."""
    return element("text", content, *more, x=x, y=y, text_anchor=anchor, class_=style)


def rotated_text(content: str, style: str, x: float, y: float, angle: int, anchor: str | None = None) -> Markup:
    """Return a line of text rotated around its point by an angle in degrees."""
    place = f"translate({_number(x)} {_number(y)}) rotate({angle})"
    return element("text", content, text_anchor=anchor, class_=style, transform=place)


def line(style: str, x1: float, x2: float, y1: float, y2: float) -> Markup:
    """Return a straight line."""
    return element("line", x1=x1, x2=x2, y1=y1, y2=y2, class_=style)


def rect(
    style: str, x: float, y: float, width: float, height: float, *content: Markup, **attributes: Attribute
) -> Markup:
    """Return a rectangle, given by its upper left corner."""
    return element("rect", *content, x=x, y=y, width=width, height=height, **attributes, class_=style)


def dot(x: float, y: float, radius: float) -> Markup:
    """Return a data point."""
    return element("circle", cx=x, cy=y, r=radius, class_="dot")


def chart(key: str, title: str, description: str, size: tuple[float, float], *content: Markup) -> Markup:
    """Return a chart as an inline SVG that scales with the page, from 75% to 125% of its size in pixels.

    The key is an id that is unique on the page; screen readers read the title and the description.
    """
    width, height = size
    return element(
        "svg",
        element("title", title, id=f"{key}-title"),
        element("desc", description, id=f"{key}-desc"),
        *content,
        xmlns="http://www.w3.org/2000/svg",
        id=key,
        class_="chart",
        role="img",
        aria_labelledby=f"{key}-title {key}-desc",
        viewBox=f"0 0 {_number(width)} {_number(height)}",
        style=f"min-width:{_number(round(width * 0.65))}px;max-width:{_number(round(width * 1.25))}px",
    )


def _join(parts: Iterable[str | Markup]) -> Markup:
    return Markup("").join(escape(part) for part in parts)


def _number(value: str | float) -> str:
    """Format a number with at most two decimals and no trailing zeros."""
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


@dataclass(frozen=True)
class Scale:
    """A linear scale from values (`low` to `high`) to positions in a chart (`start` to `stop`).

    Examples
    --------
    >>> Scale(0, 1, 100, 300)(0.5)
    200.0
    """

    low: float
    high: float
    start: float
    stop: float

    def __call__(self, value: float) -> float:
        """Return the position of a value."""
        return self.start + (value - self.low) / (self.high - self.low) * (self.stop - self.start)


def percent_ticks() -> list[tuple[float, str]]:
    """Return the ticks of an axis from 0 to 100%, with their labels."""
    return [(tick / 100, f"{tick}%") for tick in range(0, 101, 20)]


def nice_ticks(highest: int) -> list[int]:
    """Return up to `_MAX_TICKS` round numbers from 0 to about `highest`, which is at least 1.

    Examples
    --------
    >>> nice_ticks(1), nice_ticks(37), nice_ticks(2225)
    ([0, 1], [0, 10, 20, 30], [0, 1000, 2000])
    """
    rough = highest / (_MAX_TICKS - 1)
    power = 10 ** max(0, math.floor(math.log10(rough))) if rough > 1 else 1
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)
    return list(range(0, highest + 1, step))


def compact(count: int) -> str:
    """Abbreviate a large count.

    Examples
    --------
    >>> compact(9999), compact(12_345), compact(1_234_567)
    ('9999', '12k', '1.2M')
    """
    if count < 10_000:
        return str(count)
    return f"{count / 1000:.0f}k" if count < 999_500 else f"{count / 1_000_000:.1f}M"


def text_width(content: str, font_size: float) -> float:
    """Estimate the width of a text in any script, without a font to measure it with.

    Examples
    --------
    >>> text_width("news", 10.0) < text_width("新闻报道", 10.0)
    True
    """
    return font_size * sum(map(_relative_width, content))


def shorten(content: str, width: float, font_size: float) -> str:
    """Truncate a text to a width, with an ellipsis; combining marks stay with their letters.

    Examples
    --------
    >>> shorten("business", 200, 12.0), shorten("a very long name of a class", 60, 12.0)
    ('business', 'a very…')
    """
    content = " ".join(content.split())
    if text_width(content, font_size) <= width:
        return content
    width -= font_size * _WIDE
    end, used = 0, 0.0
    for character in content:
        used += font_size * _relative_width(character)
        if used > width:
            break
        end += 1
    while end and end < len(content) and unicodedata.combining(content[end]):
        end -= 1
    return content[: max(end, 1)].rstrip() + "…"


def _relative_width(character: str) -> float:
    if unicodedata.category(character) in {"Mn", "Me", "Cf"}:
        return 0.0
    if unicodedata.east_asian_width(character) in {"W", "F"} or character in _WIDE_LATIN:
        return _WIDE
    return _CAPITAL if character.isupper() or character in _LIKE_CAPITALS else _NARROW
