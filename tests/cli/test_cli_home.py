"""``~`` is the home directory in every path, where the shell has left it as it is (``--output=~/model``)."""

from __future__ import annotations

import shutil

import pytest


@pytest.fixture
def home(tmp_path, monkeypatch, mails, model):
    folder, elsewhere = tmp_path / "home", tmp_path / "elsewhere"
    folder.mkdir()
    elsewhere.mkdir()
    shutil.copy(mails, folder / "mails.csv")
    shutil.copytree(model, folder / "model")
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.chdir(elsewhere)
    yield folder
    assert not list(elsewhere.iterdir())


@pytest.mark.parametrize(
    ("arguments", "made"),
    [
        (("train", "~/mails.csv", "-c", "sklearn", "--output=~/new"), "new/scores.json"),
        (("train", "~/mails.csv", "-c", "sklearn", "-o", "~/new", "--validation=~/mails2.csv"), "new/scores.json"),
        (("evaluate", "~/model", "~/mails.csv", "--report=~/report.html"), "report.html"),
        (("predict", "~/model", "~/mails.csv", "--output=~/out.csv"), "out.csv"),
        (("new-plugin", "word-votes", "--output=~/plugin"), "plugin/pyproject.toml"),
    ],
)
def test_a_tilde_is_expanded_in_every_path(smalltext, home, arguments, made):
    shutil.copy(home / "mails.csv", home / "mails2.csv")
    ended = smalltext(*arguments)
    assert ended.code == 0, ended.err
    assert (home / made).is_file()


def test_data_and_validation_are_compared_after_that(smalltext, home):
    ended = smalltext(
        "train", "~/mails.csv", "-c", "sklearn", "-o", "~/new", "--validation", home / "model" / ".." / "mails.csv"
    )
    assert ended.code == 2
    assert "this is DATA itself" in ended.err


def test_a_file_whose_name_begins_with_a_tilde_is_read(smalltext, home, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copy(home / "mails.csv", tmp_path / "~backup.csv")
    ended = smalltext("predict", "~/model", "~backup.csv", "-o", "~/out.csv")
    assert ended.code == 0, ended.err
