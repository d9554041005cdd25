"""The site builds strictly, and reads the same without a network."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from house import packages

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("site")]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", folder]
    result = subprocess.run(command, cwd=packages.TOP, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return folder


def test_every_page_is_built(site):
    pages = [path.relative_to(packages.TOP / "docs") for path in (packages.TOP / "docs").rglob("*.md")]
    built = [
        page.with_suffix(".html") if page.stem == "index" else page.with_suffix("") / "index.html"
        for page in pages
    ]
    assert not [str(page) for page in built if not (site / page).is_file()]


def test_no_page_loads_anything_from_elsewhere(site):
    loads = re.compile(
        r"<(?:script|img)[^>]+src=\"(https?:[^\"]+)|<link[^>]+stylesheet[^>]+href=\"(https?:[^\"]+)"
    )
    found = {match for page in site.rglob("*.html") for match in loads.findall(page.read_text(encoding="utf-8"))}
    assert not found


@pytest.mark.parametrize("name", packages.NAMES)
def test_the_reference_shows_the_public_names(site, name):
    pages = "".join(page.read_text(encoding="utf-8") for page in (site / "reference").rglob("*.html"))
    assert f'id="{packages.import_name(name)}.' in pages
