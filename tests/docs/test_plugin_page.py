"""The page on plugins shows what ``smalltext new-plugin`` writes: there is one truth."""

from __future__ import annotations

import pytest

from architecture import packages
from docs.pages import blocks
from smalltext_cli.commands.new_plugin import PluginName, render_plugin

PAGE = packages.TOP / "docs" / "how-to" / "write-a-plugin.md"
SHOWN = ["pyproject.toml", "src/smalltext_votes/plugin.py", "src/smalltext_votes/classifier.py"]


@pytest.fixture(scope="module")
def written():
    return render_plugin(PluginName("votes"))


def test_the_page_shows_the_plugin_as_it_is_written(written):
    shown = {block.title: block.content for block in blocks(PAGE) if block.title is not None}
    assert shown == {name: written[name] for name in SHOWN}


def test_the_plugin_fits_on_one_screen(written):
    assert sum(len(written[name].splitlines()) for name in SHOWN) < 80


def test_everything_a_stranger_is_told_to_run_is_run():
    commands = "".join(block.content for block in blocks(PAGE) if block.language == "bash")
    for command in ("new-plugin votes", "pytest", "ruff check .", "mypy", "smalltext check votes", "-m build"):
        assert command in commands
    assert not [block for block in blocks(PAGE) if block.is_exempt]
