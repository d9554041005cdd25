"""The site builds strictly, and reads the same without a network."""

from __future__ import annotations

import importlib
import re
import shutil
import subprocess
import sys
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import urlsplit

import pytest
import typer

from architecture import packages
from cli.browsing import resize
from smalltext_cli.app import app

pytestmark = [pytest.mark.slow]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    pytest.importorskip("zensical", reason="the site is built where zensical is installed")
    folder = tmp_path_factory.mktemp("site")
    # Zensical writes the site and its cache next to the configuration.
    shutil.copy(packages.TOP / ".mkdocs.yml", folder)
    shutil.copytree(packages.TOP / "docs", folder / "docs")
    for name in packages.NAMES:
        shutil.copytree(packages.folder(name) / "src", folder / "packages" / name / "src")
        shutil.copy(packages.folder(name) / "README.md", folder / "packages" / name)
    command = [sys.executable, "-m", "zensical", "build", "--clean", "--strict", "--config-file", ".mkdocs.yml"]
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    return folder / "site"


def test_the_navigation_names_existing_pages_and_all_but_decisions():
    listed = re.findall(r"^ +- .*?([\w/-]+\.md)$", (packages.TOP / ".mkdocs.yml").read_text("utf-8"), re.MULTILINE)
    docs = packages.TOP / "docs"
    pages = {page.relative_to(docs).as_posix() for page in docs.rglob("*.md")}
    assert sorted(listed) == sorted(page for page in pages if not page.startswith("decisions/"))


def test_every_page_is_built(site):
    pages = [path.relative_to(packages.TOP / "docs") for path in (packages.TOP / "docs").rglob("*.md")]
    built = [
        page.with_suffix(".html") if page.stem == "index" else page.with_suffix("") / "index.html"
        for page in pages
    ]
    assert not [str(page) for page in built if not (site / page).is_file()]


def test_every_link_between_pages_leads_to_a_page_and_a_heading(site):
    pages = {page: page.read_text(encoding="utf-8") for page in site.rglob("*.html")}
    broken = []
    for page, content in pages.items():
        for link in re.findall(r'<a [^>]*href="?([^"\s>]+)', content):
            address = urlsplit(link)
            if address.scheme or address.netloc:
                continue
            path = address.path.removeprefix("/smalltext/")  # where the page about missing pages says the site is
            target = ((site if path != address.path else page.parent) / path).resolve() if path else page
            target = target / "index.html" if target.is_dir() else target
            is_found = target in pages if target.suffix == ".html" else target.exists()
            if not is_found or (address.fragment and f'id="{address.fragment}"' not in pages[target]):
                broken.append(f"{page.relative_to(site)}: {link}")
    assert not broken


WIDE = (
    "",
    "decisions/0056-a-prior-along-sentiment/",
    "explanation/small-data/",
    "how-to/probabilities/",
    "how-to/which-backend/",
    "reference/cli/",
    "reference/torch/",
    "tutorial/",
)
"""Pages with the widest tables, pictures and code."""


@pytest.fixture
def address(site):
    """Where the site is served, since pages are folders."""
    handler = partial(SimpleHTTPRequestHandler, directory=str(site))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


def cut_off(browser, address, pages):
    """Yield what must be moved sideways to be seen, on a phone and at 1280 px."""
    for page in pages:
        browser.get(f"{address}{page}")
        for width in (390, 1280):
            resize(browser, width)
            found = browser.execute_script(
                "const all = [...document.querySelectorAll('.md-content *')];"
                "const cut = all.filter(one => one.checkVisibility() && one.clientWidth"
                "  && one.scrollWidth > one.clientWidth + 1 && getComputedStyle(one).overflowX != 'visible');"
                "const wide = document.documentElement.scrollWidth > innerWidth ? [document.body] : [];"
                "return [...wide, ...cut].map(one => one.textContent.trim().replace(/\\s+/g, ' ').slice(0, 80));"
            )
            yield from (f"{page or 'home'} at {width} px: {text}" for text in found)


def test_tables_have_at_most_nine_columns():
    """More do not fit on a phone; most pages are opened in a browser only by nightly tests."""
    readmes = [packages.folder(name) / "README.md" for name in packages.NAMES]
    pages = [*(packages.TOP / "docs").rglob("*.md"), *readmes]
    lines = [(page, line) for page in pages for line in page.read_text("utf-8").splitlines()]
    ruled = [(page, line) for page, line in lines if re.fullmatch(r"\|( ?:?-+:? ?\|)+", line)]
    assert len(ruled) > 100
    assert [f"{page}: {line}" for page, line in ruled if line.count("|") > 10] == []


@pytest.mark.browser
def test_nothing_is_cut_off_on_the_widest_pages(browser, site, address):
    assert list(cut_off(browser, address, WIDE)) == []


@pytest.mark.browser
@pytest.mark.nightly
def test_nothing_is_cut_off_on_any_page(browser, site, address):
    """Marked nightly because a hundred pages are opened at two widths."""
    pages = [
        f"{page.parent.relative_to(site).as_posix()}/".removeprefix("./") for page in site.rglob("index.html")
    ]
    assert list(cut_off(browser, address, pages)) == []


def test_no_page_loads_anything_from_elsewhere(site):
    loads = re.compile(
        r"<(?:script|img)[^>]+src=\"(https?:[^\"]+)|<link[^>]+stylesheet[^>]+href=\"(https?:[^\"]+)"
    )
    found = {match for page in site.rglob("*.html") for match in loads.findall(page.read_text(encoding="utf-8"))}
    assert not found


@pytest.mark.parametrize("name", packages.NAMES)
def test_the_reference_begins_with_the_readme(site, name):
    page = site / "reference" / name.removeprefix("smalltext-") / "index.html"
    readme = (packages.folder(name) / "README.md").read_text(encoding="utf-8")
    words = re.findall(r"^\w[\w ,]{20,}", readme, flags=re.MULTILINE)
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", page.read_text(encoding="utf-8")))
    assert words
    assert not [line for line in words if line.strip() not in text]


@pytest.mark.parametrize("name", [name for name in packages.NAMES if name != "smalltext-cli"])
def test_the_reference_shows_what_a_package_makes_public(site, name):
    pages = "".join(page.read_text(encoding="utf-8") for page in (site / "reference").rglob("*.html"))
    public = set(importlib.import_module(packages.import_name(name)).__all__) - {"__version__"}
    shown = {anchor.rpartition(".")[2] for anchor in re.findall(r"<h[1-6] id=\"(smalltext_[\w.]+)\"", pages)}
    assert public <= shown


def test_the_reference_names_every_command_and_option():
    page = (packages.TOP / "docs" / "reference" / "cli.md").read_text(encoding="utf-8")
    program = typer.main.get_command(app)
    sections = dict(re.findall(r"^## smalltext ([\w-]+)(.*?)(?=^## )", page, flags=re.MULTILINE | re.DOTALL))
    assert sorted(sections) == sorted(program.list_commands(None))
    for name in sections:
        command = program.get_command(None, name)
        options = {
            option
            for parameter in command.params
            for option in (*parameter.opts, *parameter.secondary_opts)
            if option.startswith("-")
        }
        documented = set(re.findall(r"`(--?[\w-]+)`", sections[name]))
        assert options == documented, name
