"""The pages of `compare` and `simulate` in a real browser, on a phone and in the dark."""

from __future__ import annotations

import random
import sys

import polars as pl
import pytest

import smalltext_core as st
from cli import tally_plugin
from cli.browsing import (
    brightness_by_preference,
    lettering_outside,
    opened,
    overflowing_widths,
    prefer,
    resize,
    stays_text,
)
from cli.conftest import run_here, sentences
from smalltext_cli.compare import runner, worker

pytestmark = [pytest.mark.browser, pytest.mark.slow]

EVIL = "<script>window.harmed = true</script><img src=x onerror='window.harmed = true'></style><b>bold</b>"

SIMULATE = ("simulate", "--classifiers", "tally,weighted", "--rounds", 3, "--batch", 5, "--repeats", 3)
PAGES = {
    "two": ("compare", "--classifiers", "tally,weighted", "--shots", "2,5,all", "--repeats", 3),
    "one": ("compare", "--classifiers", "tally", "--shots", "all", "--repeats", 1),
    "failing": ("compare", "--classifiers", "tally,refuses", "--shots", "2", "--repeats", 2),
    "simulation": SIMULATE,
}


def run_here_too(key, request, rounds, threads=None):
    try:
        result = worker.outcome({**request, "rounds_file": rounds})
    except ValueError as error:
        result = {"error": str(error)}
    return key, {**result, "seconds": 1.0}


@pytest.fixture(scope="module", params=PAGES)
def kind(request):
    return request.param


@pytest.fixture(scope="module")
def opening(browser, kind, tmp_path_factory):
    """The page of a study, opened; its labels can only be guessed, and its texts and names are no markup."""
    command, *options = PAGES[kind]
    if command == "simulate":
        pytest.importorskip("small_text")
    folder = tmp_path_factory.mktemp(kind)
    texts, _ = sentences(60)
    labels = random.Random(0).choices([EVIL, "W" * 200, "ham"], k=60)
    pl.DataFrame({"text": [f"{text} {EVIL} {'W' * 400}" for text in texts], "label": labels}).write_csv(
        folder / "mails.csv"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runner, "run_in_process", run_here_too)
        patch.setitem(sys.modules, "tally_plugin", tally_plugin)
        st.plugin_manager.register(tally_plugin, "tally")
        run_here(command, folder / "mails.csv", *options, "-o", folder / "study")
        st.plugin_manager.unregister(tally_plugin)
    return opened(browser, folder / "study" / "report.html")


@pytest.fixture
def page(browser, opening):
    assert browser.current_url == opening.address
    resize(browser, 1200)
    return browser


def test_it_loads_nothing_and_runs_nothing(page, opening):
    assert (opening.console, opening.requests) == ([], [opening.address])
    assert stays_text(page)


@pytest.mark.parametrize("width", [390, 1200])
def test_what_it_shows_is_seen_at_once(page, width):
    resize(page, width)
    box = page.execute_script(
        "const box = document.querySelector('#conclusion').getBoundingClientRect();"
        "return [box.top, box.bottom, box.right]"
    )
    assert 0 < box[0] < box[1] <= 900
    assert box[2] <= width


def test_charts_are_seen_in_full_on_a_phone_and_on_a_desk(page):
    assert lettering_outside(page) == []
    for width in (390, 1200):
        resize(page, width)
        charts = page.execute_script(
            "return [...document.querySelectorAll('figure svg.chart')].map(chart => {"
            "  const box = chart.getBoundingClientRect();"
            "  return box.width > 200 && box.height > 50"
            "    && chart.parentElement.scrollWidth <= chart.parentElement.clientWidth;"
            "})"
        )
        assert set(charts) == {True}, width


def test_no_heading_of_the_table_is_broken_within_a_word(page):
    lines = page.execute_script(
        "return [...document.querySelectorAll('#means thead th')].map(one => {"
        "  const range = document.createRange(); range.selectNodeContents(one);"
        "  const lines = new Set([...range.getClientRects()].map(box => box.top));"
        "  return [one.textContent.trim().split(/ +/).length, lines.size];"
        "})"
    )
    assert all(count <= words for words, count in lines), lines


def test_nothing_overflows_sideways(page):
    assert overflowing_widths(page) == []


def test_it_can_be_read_in_the_light_and_in_the_dark(page):
    brightness = brightness_by_preference(page)
    assert brightness["dark"] < 150 < 600 < brightness["light"]
    resize(page, 390)
    for scheme in ("light", "dark"):
        prefer(page, scheme)
        faint = page.execute_script(
            "const sum = colour => colour.match(/[0-9.]+/g).slice(0, 3).reduce((all, part) => all + +part, 0);"
            "const ground = sum(getComputedStyle(document.body).backgroundColor);"
            "return [...document.querySelectorAll('h1, h2, p, dt, dd, td, th, figcaption, svg.chart text')]"
            ".filter(one => one.textContent.trim() && one.checkVisibility()).filter(one => {"
            "  const style = getComputedStyle(one);"
            "  return Math.abs(sum(one.closest('svg') ? style.fill : style.color) - ground) < 250;"
            "}).map(one => `${one.tagName}: ${one.textContent.slice(0, 60)}`)"
        )
        prefer(page, None)
        assert faint == [], scheme
