"""The report in a real browser, as the people see it who get it."""

import pytest

from cli.browsing import (
    brightness_by_preference,
    lettering_outside,
    opened,
    overflowing_widths,
    prefer,
    resize,
    stays_text,
)
from cli.sample_evaluations import multi_label, single_label
from smalltext_cli.report import render_report
from smalltext_core.messages import printable

pytestmark = [pytest.mark.browser, pytest.mark.slow]

EVIL = "<script>window.harmed = true; alert(1)</script>"
EVIL_TEXT = f"{EVIL}<img src=x onerror='window.harmed = true'></style><b>bold</b> {{{{ 7 * 7 }}}}"

SAMPLES = {
    "two": single_label(["ham", "spam"], count=80, sharpness=1.0),
    "five": single_label(["business", "entertainment", "politics", "sport", "tech"]),
    "sixty": single_label([f"class number {k} of sixty" for k in range(60)], count=2000),
    "multi": multi_label(["comedy", "drama", "horror", "sci-fi", "western"]),
    "multi-sixty": multi_label([f"topic {k}" for k in range(60)]),
    "scripts": single_label(
        ["رياضة وأخبار محلية", "政治と経済のニュース", "спорт", "हिन्दी समाचार", "👩‍👩‍👧 family"],
        texts=["هذا نص عربي", "これは日本語の文章です。" * 60] * 200,
    ),
    "evil": single_label([EVIL, EVIL_TEXT, "W" * 300, "\u202egnorw", " "], texts=[EVIL_TEXT, "W" * 5000] * 200),
    "perfect": single_label(["a", "b"], sharpness=40.0),
    "numbers": single_label(["3f2504e0-4f89-41d3-9a0c-0305e82c3301", "8" * 60, "x + y = z > {0}, " * 4]),
    "one text": single_label(["Donaudampfschifffahrtsgesellschaftskapitän", "Kapitän"], count=1),
}


@pytest.fixture(scope="module", params=SAMPLES)
def sample(request):
    return SAMPLES[request.param]


@pytest.fixture(scope="module")
def opening(browser, sample, tmp_path_factory):
    """The report, opened, and what the browser logged while it opened."""
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_bytes(render_report(sample).encode())
    return opened(browser, path)


@pytest.fixture
def page(browser, opening):
    """The opened report at the width of a desk."""
    assert browser.current_url == opening.address
    resize(browser, 1200)
    return browser


def text_of(page, selector):
    return page.execute_script("return document.querySelector(arguments[0]).textContent.trim()", selector)


def test_the_console_stays_empty(opening):
    assert opening.console == []


def test_nothing_is_requested_but_the_file_itself(opening):
    assert opening.requests == [opening.address]


def test_the_figures_are_those_of_the_scores(page, sample):
    scores = sample.scores

    assert text_of(page, "#accuracy") == f"{scores.accuracy:.1%}"
    assert text_of(page, "#macro-f1") == f"{scores.macro_f1:.3f}"
    assert text_of(page, "#micro-f1") == f"{scores.micro_f1:.3f}"
    assert text_of(page, "#log-loss") == f"{scores.log_loss:.3f}"
    assert text_of(page, "#brier") == f"{scores.brier:.3f}"
    ece = f"{scores.expected_calibration_error:.3f}"
    assert (text_of(page, "#ece"), text_of(page, "#reliability-ece")) == (ece, ece)
    assert text_of(page, "#num-texts") == f"{scores.num_texts:,}"


def test_the_table_of_classes_is_that_of_the_scores(page, sample):
    rows = page.execute_script(
        "return [...document.querySelectorAll('#class-table tbody tr')]"
        ".map(row => [...row.children].map(cell => cell.textContent))"
    )

    expected = []
    for name, one in zip(sample.names, sample.scores.per_class, strict=True):
        defined = {"precision": one.predicted, "recall": one.support, "f1": one.predicted + one.support}
        figures = [f"{getattr(one, figure):.3f}" if count else "–" for figure, count in defined.items()]
        expected.append([printable(name, None), *figures, f"{one.support:,}"])
    assert rows == expected


def test_all_charts_are_there_and_to_be_seen(page, sample):
    sizes = page.execute_script(
        "return Object.fromEntries([...document.querySelectorAll('svg.chart')].map(chart => {"
        "  const box = chart.getBoundingClientRect();"
        "  return [chart.id, chart.checkVisibility() && box.width > 200 && box.height > 50];"
        "}))"
    )

    matrix = "outcome-chart" if sample.scores.multi_label else "confusion-chart"
    wanted = ("accuracy-chart", "class-chart", "reliability-chart", "confidence-chart", matrix)
    assert sizes == dict.fromkeys(wanted, True)


def test_no_lettering_sticks_out_of_its_chart(page):
    assert lettering_outside(page) == []


def test_nothing_overflows_sideways_on_a_phone_or_a_desk(page):
    assert overflowing_widths(page) == []


def test_all_charts_but_the_matrix_fit_into_their_room(page):
    hidden = []
    for width in (390, 768, 1024, 1200):
        resize(page, width)
        hidden += page.execute_script(
            "return [...document.querySelectorAll('svg.chart:not(#confusion-chart)')]"
            ".filter(chart => chart.parentElement.scrollWidth > chart.parentElement.clientWidth)"
            ".map(chart => `${chart.id} at ${innerWidth}`)"
        )

    assert hidden == []


def test_untrusted_content_stays_text(page, sample):
    assert stays_text(page)


def test_texts_of_the_cells_are_seen_once_their_cell_is_opened_also_on_a_phone_and_in_the_dark(page, sample):
    prefer(page, "dark")
    resize(page, 390)
    seen = page.execute_script(
        "return [...document.querySelectorAll('.cell')].map(cell => {"
        "  const text = cell.querySelector('.text');"
        "  cell.open = false;"
        "  const closed = text.checkVisibility({contentVisibilityAuto: true, checkVisibilityCSS: true});"
        "  cell.querySelector('summary').click();"
        "  const box = text.getBoundingClientRect();"
        "  const lightness = colour => colour.match(/[0-9]+/g).slice(0, 3).reduce((sum, part) => sum + +part, 0);"
        "  const contrast = lightness(getComputedStyle(text).color);"
        "  return [closed, cell.open && box.height > 10 && box.right <= innerWidth, contrast > 500];"
        "})"
    )
    prefer(page, None)

    assert seen
    assert all(one == [False, True, True] for one in seen), seen


def test_the_page_follows_the_wish_for_light_or_dark(page):
    brightness = brightness_by_preference(page)

    assert brightness["dark"] < 150 < 600 < brightness["light"]


def test_names_are_shown_with_what_cannot_be_seen_escaped(page, sample):
    text = page.execute_script("return document.querySelector('#class-table').textContent")

    assert [name for name in sample.names if printable(name, None) not in text] == []
