"""Every code block of the README and the docs does what it says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from docs.pages import blocks
from house import packages

READMES = [packages.TOP / "README.md", *(packages.folder(name) / "README.md" for name in packages.NAMES)]
PAGES = [*READMES, *sorted((packages.TOP / "docs").rglob("*.md"))]


def title(page):
    return page.relative_to(packages.TOP).as_posix()


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in PAGES if "```" in page.read_text("utf-8")], ids=title)
def test_code_blocks_run(page, tmp_path):
    command = [sys.executable, Path(__file__).with_name("run_page.py"), page]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.returncode == 0, f"{result.stdout}\n{result.stderr}"


@pytest.mark.parametrize("page", PAGES, ids=title)
def test_only_installing_is_exempt_from_running(page):
    exempt = [block.content for block in blocks(page) if block.is_exempt]
    assert all("pip install" in content or "hatch " in content for content in exempt)


def test_ci_runs_the_two_commands_of_the_readme():
    readme = (packages.TOP / "README.md").read_text(encoding="utf-8")
    script = (packages.TOP / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    for command in ("hatch run demo", "hatch run test:all"):
        assert command in readme
        assert command in script
