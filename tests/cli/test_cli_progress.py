"""On a terminal, one thing at a time says how far a command is."""

from __future__ import annotations

import os

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
