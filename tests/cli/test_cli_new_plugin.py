"""``smalltext new-plugin``; what it writes is run by the page on plugins, see tests/docs."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from architecture import packages
from smalltext_cli.commands import new_plugin
from smalltext_cli.commands.new_plugin import PluginName, parse_plugin_name


def files(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_it_writes_a_whole_package(smalltext, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ended = smalltext("new-plugin", "word-votes")
    assert (ended.code, ended.err) == (0, "")
    assert files(tmp_path / "smalltext-word-votes") == {
        ".github/workflows/publish.yml",
        ".github/workflows/tests.yml",
        ".gitignore",
        "CHANGELOG.md",
        "LICENSE",
        "README.md",
        "pyproject.toml",
        "src/smalltext_word_votes/__init__.py",
        "src/smalltext_word_votes/classifier.py",
        "src/smalltext_word_votes/plugin.py",
        "src/smalltext_word_votes/py.typed",
        "tests/test_classifier.py",
        "tests/test_rules.py",
    }
    assert [path.name for path in tmp_path.iterdir()] == ["smalltext-word-votes"]
    for step in ("cd smalltext-word-votes", "pip install", "pytest", "smalltext check word-votes"):
        assert step in ended.out


def test_json_names_the_folder_and_the_files(smalltext, tmp_path):
    ended = smalltext("new-plugin", "Word Votes", "--output", tmp_path / "here", "--json")
    written = json.loads(ended.out)
    assert written["name"] == "word-votes"
    assert written["distribution"] == "smalltext-word-votes"
    assert written["package"] == "smalltext_word_votes"
    assert written["classifier"] == "WordVotesClassifier"
    assert set(written["files"]) == files(tmp_path / "here")


@pytest.mark.slow  # where there is no ruff, the quick tests run nevertheless
@pytest.mark.parametrize("name", ["a", "z9", "a-b-c", "a12345678901234567890123456789"])
def test_what_is_written_passes_ruff_however_long_the_name_is(name, tmp_path):
    new_plugin.write_plugin(PluginName(name), tmp_path / "plugin")
    for command in (["check"], ["format", "--check"]):
        ran = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "."], cwd=tmp_path / "plugin", capture_output=True, text=True
        )
        assert ran.returncode == 0, ran.stdout


def test_no_placeholder_is_left():
    for path, content in new_plugin.render_plugin(PluginName("votes")).items():
        assert "<<" not in path + content


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("votes", "votes"),
        ("Votes", "votes"),
        ("word_votes", "word-votes"),
        (" word votes ", "word-votes"),
        ("smalltext-votes", "votes"),
        ("smalltext_word.votes", "word-votes"),
    ],
)
def test_a_name_is_understood_in_any_form(given, name):
    assert parse_plugin_name(given).name == name


@pytest.mark.parametrize(
    "given", ["", "-", "smalltext-", "3gram", "größe", "a/b", "../a", "a:b", "a$", "a-", "x" * 31]
)
def test_an_impossible_name_is_refused_and_nothing_is_written(smalltext, given, tmp_path):
    ended = smalltext("new-plugin", "--output", tmp_path / "plugin", "--", given)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("Error: NAME: ")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("given", ["KimCNN", "smalltext-torch", *(name[10:] for name in packages.NAMES)])
def test_a_name_of_this_project_is_refused(smalltext, given, tmp_path):
    ended = smalltext("new-plugin", given, "--output", tmp_path / "plugin")
    assert ended.code == 2
    assert "belongs to smalltext itself" in ended.err
    assert "such as my-" in ended.err


def test_a_name_that_is_installed_is_refused_with_whose_it_is(smalltext, tmp_path, monkeypatch):
    from smalltext_core import ClassifierSpec, Plugin

    spec = ClassifierSpec(name="votes", summary="Votes", protocol=1, classifier="a:B")
    monkeypatch.setattr(new_plugin, "plugins", lambda: [Plugin("votes", "acme-classifiers", "2.1", (spec,))])
    ended = smalltext("new-plugin", "votes", "--output", tmp_path / "plugin")
    assert (ended.code, "acme-classifiers 2.1" in ended.err) == (2, True)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("what", ["folder", "empty folder", "file", "dangling link"])
def test_what_exists_is_never_touched(smalltext, what, tmp_path):
    there = tmp_path / "plugin"
    if what == "file":
        there.write_text("mine")
    elif what == "dangling link":
        there.symlink_to(tmp_path / "nowhere")
    else:
        there.mkdir()
    if what == "folder":
        (there / "mine.txt").write_text("mine")
    before = [(path, path.is_symlink()) for path in sorted(tmp_path.rglob("*"))]
    ended = smalltext("new-plugin", "votes", "--output", there)
    assert ended.code == 2
    assert f"{there} exists already, and is left as it is" in " ".join(ended.err.split())
    assert [(path, path.is_symlink()) for path in sorted(tmp_path.rglob("*"))] == before


def test_somebody_who_was_quicker_is_not_overwritten(tmp_path, monkeypatch):
    there = tmp_path / "plugin"

    def slow(plugin):
        there.mkdir()
        (there / "mine.txt").write_text("mine")
        return {"pyproject.toml": ""}

    monkeypatch.setattr(new_plugin, "render_plugin", slow)
    with pytest.raises(OSError, match="exists already"):
        new_plugin.write_plugin(PluginName("votes"), there)
    assert files(tmp_path) == {"plugin/mine.txt"}


def test_a_plugin_that_cannot_be_written_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(new_plugin, "render_plugin", lambda _: {"a.txt": "", "a.txt/b.txt": ""})
    with pytest.raises(OSError):
        new_plugin.write_plugin(PluginName("votes"), tmp_path / "plugin")
    assert not list(tmp_path.iterdir())


def test_an_impossible_path_is_reported(smalltext, tmp_path):
    (tmp_path / "file").write_text("")
    ended = smalltext("new-plugin", "votes", "--output", tmp_path / "file" / "plugin")
    assert (ended.code, "cannot be made" in ended.err) == (2, True)


def test_help_teaches(smalltext):
    ended = smalltext("new-plugin", "--help")
    for word in ("word-votes", "pip install", "pytest", "never changed"):
        assert word in ended.out
