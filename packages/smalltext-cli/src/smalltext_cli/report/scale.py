"""From values to places in a picture, and the round numbers to write at an axis."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Scale:
    """A linear scale: calling it turns a value into a place.

    Parameters
    ----------
    low, high : float
        Values.
    start, stop : float
        Their places.

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
        """Return the place of a value."""
        return self.start + (value - self.low) / (self.high - self.low) * (self.stop - self.start)


def percent_ticks() -> list[tuple[float, str]]:
    """Return the ticks of an axis from 0 to 100 %, with their labels."""
    return [(tick / 100, f"{tick}%") for tick in range(0, 101, 20)]


def nice_ticks(highest: int, most: int = 5) -> list[int]:
    """Return up to `most` round numbers from 0 to about `highest`, which is at least 1.

    Examples
    --------
    >>> nice_ticks(1), nice_ticks(37), nice_ticks(2225)
    ([0, 1], [0, 10, 20, 30], [0, 1000, 2000])
    """
    rough = highest / (most - 1)
    power = 10 ** max(0, math.floor(math.log10(rough))) if rough > 1 else 1
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)
    return list(range(0, highest + 1, step))


def compact(count: int) -> str:
    """Write a count in little room.

    Examples
    --------
    >>> compact(9999), compact(12_345), compact(1_234_567)
    ('9999', '12k', '1.2M')
    """
    if count < 10_000:
        return str(count)
    return f"{count / 1000:.0f}k" if count < 999_500 else f"{count / 1_000_000:.1f}M"
