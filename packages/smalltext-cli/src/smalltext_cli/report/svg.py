"""Building SVG from Python: elements with escaped attributes and text, and the frame of a chart."""

from __future__ import annotations

from collections.abc import Iterable

from markupsafe import Markup, escape

Attribute = str | float | None


def element(name: str, *content: str | Markup, **attributes: Attribute) -> Markup:
    """Return one SVG element. Attributes that are None are left out; strings are escaped, Markup is not.

    Parameters
    ----------
    name : str
    *content : str or Markup
        What stands inside.
    **attributes : str, float or None
        An underscore in a name stands for a dash; one at its end (``class_``) is dropped.

    Examples
    --------
    >>> print(element("text", "a < b", x=1.50, text_anchor="end", class_="name"))
    <text x="1.5" text-anchor="end" class="name">a &lt; b</text>
    """
    written = Markup("").join(
        Markup(' {}="{}"').format(key.rstrip("_").replace("_", "-"), _plain(value))
        for key, value in attributes.items()
        if value is not None
    )
    return Markup("<{0}{1}>{2}</{0}>").format(name, written, join(content))


def join(parts: Iterable[str | Markup]) -> Markup:
    """Return the parts one after the other, strings escaped."""
    return Markup("").join(escape(part) for part in parts)


def chart(key: str, title: str, description: str, size: tuple[float, float], *content: Markup) -> Markup:
    """Return a chart as an inline SVG that scales with its room, with a title and a description for readers.

    Parameters
    ----------
    key : str
        An id that no other chart of the page has.
    title, description : str
        What a screen reader says instead of the picture.
    size : (float, float)
        Width and height in units, which are pixels as long as the room allows. It shrinks to three quarters
        of that, for lettering to stay legible, and grows to five quarters.
    *content : Markup
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
        viewBox=f"0 0 {_plain(width)} {_plain(height)}",
        style=f"min-width:{_plain(round(width * 0.75))}px;max-width:{_plain(round(width * 1.25))}px",
    )


def _plain(value: str | float) -> str:
    """Write a number with two decimals at most and no more digits than it needs."""
    if isinstance(value, str):
        return value
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
