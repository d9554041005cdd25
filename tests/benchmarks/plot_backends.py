"""Plot the accuracy of the backends by labelled texts and by CPU seconds: ``plot_backends.py MEASUREMENTS``.

It reads the JSON lines of the study `small-data`, prints the table of the page `which-backend.md`, and
writes the image for that page. The corpus is the one on which every backend was measured.
"""

from __future__ import annotations

import json
import math
import re
import statistics
import sys
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "which-backend.md"
PICTURE = PAGE.with_suffix(".svg")
CORPUS, CLASSES = "products", 2
BACKENDS = ("sklearn", "embeddings", "setfit", "transformers", "kimcnn")
SIZES = (8, 64)

COLOURS = dict(zip(BACKENDS, ("#b45309", "#2563eb", "#059669", "#c026d3", "#78716c"), strict=True))
LOWEST, HIGHEST = 0.5, 0.85
SECONDS = (0.05, 100.0)
WIDTH, HEIGHT = 330, 260
LEFT, TOP, GAP = 60, 46, 90

STYLE = """
  text { font: 12px system-ui, sans-serif; fill: #1f2933 }
  .axis { stroke: #7b8794; fill: none } .grid { stroke: #7b8794; stroke-opacity: .25 }
  .title { font-weight: 600 } .middle { text-anchor: middle } .end { text-anchor: end }
  @media (prefers-color-scheme: dark) { text { fill: #e4e7eb } .axis { stroke: #9aa5b1 } }
"""


@dataclass(frozen=True)
class Cell:
    """A backend on samples of one size: means over the samples."""

    backend: str
    labels: int
    samples: int
    accuracy: float
    cpu_seconds: float

    @property
    def row(self) -> str:
        figures = f"{self.labels} | {self.accuracy:.3f} | {self.cpu_seconds:.1f} | {self.samples}"
        return f"| `{self.backend}` | {figures} |"


def cells_of(lines: Iterable[str]) -> list[Cell]:
    """Return the cells of the corpus, in the order of the backends."""
    found = defaultdict(list)
    for each in map(json.loads, lines):
        if each["corpus"] == CORPUS:
            found[each["method"], each["size"]].append(each)
    return [
        Cell(
            backend,
            size * CLASSES,
            len(found[backend, size]),
            statistics.fmean(each["accuracy"] for each in found[backend, size]),
            statistics.fmean(each["cpu_seconds"] for each in found[backend, size]),
        )
        for backend in BACKENDS
        for size in SIZES
        if found[backend, size]
    ]


def cells_of_page(text: str) -> list[Cell]:
    """Return the cells of the table of the page."""
    rows = re.findall(r"^\| `(\w+)` \| (\d+) \| ([\d.]+) \| ([\d.]+) \| (\d+) \|$", text, re.MULTILINE)
    return [Cell(name, int(labels), int(count), float(right), float(s)) for name, labels, right, s, count in rows]


def picture(cells: Sequence[Cell]) -> str:
    """Return an SVG that is readable on dark and light pages."""
    by_labels = [(cell, LEFT + WIDTH * (0.2 if cell.labels == SIZES[0] * CLASSES else 0.8)) for cell in cells]
    second = LEFT + WIDTH + GAP
    decades = math.log10(SECONDS[1] / SECONDS[0])

    def by_seconds(seconds: float) -> float:
        return second + WIDTH * math.log10(seconds / SECONDS[0]) / decades

    parts = [
        *_frame(
            LEFT, "labelled texts", [(LEFT + WIDTH * share, str(size * CLASSES)) for share, size in _places()]
        ),
        *_frame(second, "CPU seconds", [(by_seconds(value), f"{value:g}") for value in (0.1, 1, 10, 100)]),
        *_lines(by_labels),
        *_lines([(cell, by_seconds(max(cell.cpu_seconds, SECONDS[0]))) for cell in cells]),
    ]
    for number, backend in enumerate(BACKENDS):
        x = LEFT + 120 * number
        parts.append(f'<circle cx="{x}" cy="18" r="4" fill="{COLOURS[backend]}"/>')
        parts.append(f'<text class="title" x="{x + 9}" y="22">{backend}</text>')
    size = f"0 0 {second + WIDTH + 20} {TOP + HEIGHT + 48}"
    title = "Accuracy of the backends on product reviews, by labelled texts and by CPU seconds"
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{size}" role="img" aria-labelledby="title">'
    body = "\n".join(parts)
    return f'{head}\n<title id="title">{title}</title>\n<style>{STYLE}</style>\n{body}\n</svg>\n'


def _places() -> list[tuple[float, int]]:
    return list(zip((0.2, 0.8), SIZES, strict=True))


def _height(accuracy: float) -> float:
    return TOP + HEIGHT * (HIGHEST - accuracy) / (HIGHEST - LOWEST)


def _frame(left: float, title: str, marks: Iterable[tuple[float, str]]) -> list[str]:
    bottom = TOP + HEIGHT
    parts = [f'<path class="axis" d="M{left} {TOP}V{bottom}H{left + WIDTH}"/>']
    for tenth in range(5, 9):
        y = _height(tenth / 10)
        parts.append(f'<path class="grid" d="M{left} {y:.1f}h{WIDTH}"/>')
        parts.append(f'<text class="end" x="{left - 8}" y="{y + 4:.1f}">{tenth / 10:.1f}</text>')
    parts += [f'<text class="middle" x="{x:.1f}" y="{bottom + 18}">{mark}</text>' for x, mark in marks]
    parts.append(f'<text class="middle" x="{left + WIDTH / 2}" y="{bottom + 38}">{title}</text>')
    parts.append(f'<text class="title" x="{left - 40}" y="{TOP - 4}">accuracy</text>')
    return parts


def _lines(points: Sequence[tuple[Cell, float]]) -> list[str]:
    parts = []
    for backend in BACKENDS:
        own = [(x, _height(cell.accuracy)) for cell, x in points if cell.backend == backend]
        path = "L".join(f"{x:.1f} {y:.1f}" for x, y in own)
        parts.append(f'<path d="M{path}" stroke="{COLOURS[backend]}" stroke-width="2" fill="none"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{COLOURS[backend]}"/>' for x, y in own]
    return parts


def main() -> None:
    cells = cells_of(Path(sys.argv[1]).read_text(encoding="utf-8").splitlines())
    print("\n".join(cell.row for cell in cells))
    PICTURE.write_text(picture(cells_of_page("\n".join(cell.row for cell in cells))), encoding="utf-8")


if __name__ == "__main__":
    main()
