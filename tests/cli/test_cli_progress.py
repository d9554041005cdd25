"""On a terminal, one thing at a time says how far a command is."""

from __future__ import annotations

import os

import pytest

from smalltext_cli.console import working

BARS = "SMALL_TEXT_PROGRESS_BARS"


def test_backends_draw_no_bars_beside_the_message_of_the_command(monkeypatch):
    monkeypatch.delenv(BARS, raising=False)
    with working("Labelling ..."):
        assert os.environ[BARS] == "0"
    assert BARS not in os.environ


def test_what_the_user_said_about_bars_is_put_back(monkeypatch):
    monkeypatch.setenv(BARS, "1")
    with working("Labelling ..."):
        assert os.environ[BARS] == "0"
    assert os.environ[BARS] == "1"


def test_quiet_commands_print_results_and_warnings_alone(smalltext, mails, tmp_path, monkeypatch):
    monkeypatch.setenv("SMALL_TEXT_PROGRESS_BARS", "1")
    contradictory = tmp_path / "mails.csv"
    contradictory.write_text(mails.read_text() + "cheap pills,spam\ncheap pills,ham\n")
    trained = smalltext("train", contradictory, "-c", "sklearn", "-o", tmp_path / "m", "--quiet")
    assert [line.partition(":")[0] for line in trained.err.splitlines()] == ["Warning"]
    assert "accuracy" in trained.out
    assert smalltext("evaluate", tmp_path / "m", mails, "-q").err == ""
    assert smalltext("predict", tmp_path / "m", mails, "-o", tmp_path / "x.csv", "-q").err == ""
    assert "Labelled" in smalltext("predict", tmp_path / "m", mails, "-o", tmp_path / "x.csv").err


@pytest.mark.parametrize(("options", "is_logged"), [((), False), (("-v",), True)], ids=["", "-v"])
def test_only_verbose_commands_print_what_is_logged(process, mails, tmp_path, options, is_logged):
    pytest.importorskip("smalltext_kimcnn")
    settings = ("--set", "num_epochs=1", "--set", "embedding_dim=4", "--set", "min_steps=0")
    ended = process("train", mails, "-c", "kimcnn", "-o", tmp_path / "m", *settings, *options)
    assert ended.returncode == 0, ended.stderr
    assert (b"epoch" in ended.stderr.lower()) == is_logged


def test_quiet_and_verbose_contradict_each_other(smalltext, mails, tmp_path):
    ended = smalltext("train", mails, "-c", "sklearn", "-o", tmp_path / "m", "-q", "-v")
    assert (ended.code, ended.out) == (2, "")
    assert "--quiet and --verbose contradict each other" in ended.err
