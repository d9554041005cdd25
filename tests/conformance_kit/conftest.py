from __future__ import annotations

from pathlib import Path

import pytest

import smalltext_core as st

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
