"""The report in a real browser, as the people see it who get it."""

import json
import os
import shutil
from types import SimpleNamespace

import pytest
from tests.cli.sample_evaluations import multi_label, single_label

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
}


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    programs = [shutil.which(name) for name in ("chromium", "chromium-browser", "google-chrome")]
    program, driver = next(filter(None, programs), None), shutil.which("chromedriver")
    if program is None or driver is None:
        missing = "needs chromium and chromedriver, which are not both installed"
        pytest.fail(missing) if os.environ.get("CI") else pytest.skip(missing)
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = program
    quiet = ("quic", "gpu", "background-networking", "component-update", "sync")
    for argument in ("headless", "no-sandbox", "no-first-run", *(f"disable-{what}" for what in quiet)):
        options.add_argument(f"--{argument}")
    options.add_argument(f"--user-data-dir={tmp_path_factory.mktemp('profile')}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driven = webdriver.Chrome(options=options, service=Service(driver))
    yield driven
    driven.quit()


@pytest.fixture(scope="module", params=SAMPLES)
def sample(request):
    return SAMPLES[request.param]


@pytest.fixture(scope="module")
def opening(browser, sample, tmp_path_factory):
    """The report, opened, and what the browser logged while it opened."""
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_bytes(render_report(sample).encode())
    for log in ("browser", "performance"):
        browser.get_log(log)
    browser.get(path.as_uri())
    logged = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    sent = [message["params"] for message in logged if message["method"] == "Network.requestWillBeSent"]
    # The browser's own pages, such as that of a new tab, may still be loading.
    requests = [one["request"]["url"] for one in sent if not one["documentURL"].startswith("chrome:")]
    return SimpleNamespace(address=path.as_uri(), console=browser.get_log("browser"), requests=requests)


@pytest.fixture
def page(browser, opening):
    """The opened report at the width of a desk."""
    assert browser.current_url == opening.address
    resize(browser, 1200)
    return browser


def resize(browser, width):
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)


def text_of(page, selector):
    return page.execute_script("return document.querySelector(arguments[0]).textContent.trim()", selector)


def test_the_console_stays_empty(opening):
    assert opening.console == []


def test_nothing_is_requested_but_the_file_itself(opening):
    assert [url for url in opening.requests if not url.startswith("data:")] == [opening.address]


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

    assert rows == [
        [printable(name, None), f"{one.precision:.3f}", f"{one.recall:.3f}", f"{one.f1:.3f}", f"{one.support:,}"]
        for name, one in zip(sample.names, sample.scores.per_class, strict=True)
    ]


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
    outside = page.execute_script(
        "return [...document.querySelectorAll('svg.chart text')].filter(text => {"
        "  const box = text.getBoundingClientRect(), chart = text.ownerSVGElement.getBoundingClientRect();"
        "  return box.left < chart.left - 3 || box.right > chart.right + 3"
        "    || box.top < chart.top - 3 || box.bottom > chart.bottom + 3;"
        "}).map(text => `${text.ownerSVGElement.id}: ${text.textContent}`)"
    )

    assert outside == []


def test_nothing_overflows_sideways_on_a_phone_or_a_desk(page):
    overflowing = []
    page.execute_script("document.querySelectorAll('details').forEach(one => { one.open = true })")
    for width in (320, 390, 768, 1200):
        resize(page, width)
        if page.execute_script("return document.documentElement.scrollWidth") > width:
            overflowing.append(width)

    assert overflowing == []


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


def test_what_strangers_wrote_stays_text(page, sample):
    harmed, made = page.execute_script(
        "return [window.harmed === true, document.querySelectorAll('script, img, b, iframe').length]"
    )

    assert (harmed, made) == (False, 0)


def test_texts_of_the_cells_are_seen_once_their_cell_is_opened_also_on_a_phone_and_in_the_dark(page, sample):
    wish = {"features": [{"name": "prefers-color-scheme", "value": "dark"}]}
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", wish)
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
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})

    assert seen
    assert all(one == [False, True, True] for one in seen), seen


def test_the_page_follows_the_wish_for_light_or_dark(page):
    brightness = {}
    for scheme in ("light", "dark"):
        wish = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        page.execute_cdp_cmd("Emulation.setEmulatedMedia", wish)
        colour = page.execute_script("return getComputedStyle(document.body).backgroundColor")
        brightness[scheme] = sum(map(int, colour.removeprefix("rgb(").removesuffix(")").split(",")))
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})

    assert brightness["dark"] < 150 < 600 < brightness["light"]


def test_names_are_shown_with_what_cannot_be_seen_escaped(page, sample):
    text = page.execute_script("return document.querySelector('#class-table').textContent")

    assert [name for name in sample.names if printable(name, None) not in text] == []
