from __future__ import annotations

from pathlib import Path

import pytest

import smalltext_core as st
from smalltext_testing._check import changed_settings, process_settings, restore_settings

PLUGIN = Path(__file__).parent / "counting_plugin"
collect_ignore = ["counting_plugin"]


@pytest.fixture
def counting_plugin(monkeypatch, forked_checks):
    """Install the distribution smalltext-counting during a test, also for other processes."""
    monkeypatch.syspath_prepend(str(PLUGIN))
    st.refresh()
    yield
    monkeypatch.undo()
    st.refresh()


@pytest.fixture
def same_settings():
    """Restore the settings of the process that a classifier changes during a test."""
    before = process_settings()
    yield
    restore_settings(changed_settings(before))
