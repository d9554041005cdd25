"""The picture of the page on choosing a backend shows the table of that page."""

from __future__ import annotations

import sys

import pytest

from architecture import packages

sys.path.append(str(packages.TOP / "tests" / "benchmarks"))

import plot_backends

TEXT = plot_backends.PAGE.read_text(encoding="utf-8")
CELLS = plot_backends.cells_of_page(TEXT)


def test_the_picture_shows_the_table():
    assert plot_backends.PICTURE.read_text(encoding="utf-8") == plot_backends.picture(CELLS)


def test_every_backend_is_in_the_table_at_both_sizes():
    assert [(cell.backend, cell.labels) for cell in CELLS] == [
        (backend, 2 * size) for backend in plot_backends.BACKENDS for size in plot_backends.SIZES
    ]


def test_the_table_is_what_the_script_prints():
    lines = [
        f'{{"corpus": "products", "method": "{cell.backend}", "size": {cell.labels // 2}, '
        f'"accuracy": {cell.accuracy}, "cpu_seconds": {cell.cpu_seconds}}}'
        for cell in CELLS
        for _ in range(cell.samples)
    ]
    assert all(cell.row in TEXT for cell in plot_backends.cells_of(lines))


def test_the_picture_is_readable_on_light_and_dark_pages_and_loads_nothing():
    drawn = plot_backends.picture(CELLS)
    assert "prefers-color-scheme: dark" in drawn
    assert drawn.count("http") == 1  # the namespace


@pytest.mark.parametrize("backend", plot_backends.BACKENDS)
def test_the_page_says_when_to_take_each_backend(backend):
    assert f"| `{backend}` |" in TEXT
