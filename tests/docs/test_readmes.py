"""Every code block of the READMEs does what it says."""

from __future__ import annotations

import pytest

from docs.pages import READMES, title

EXPENSIVE_READMES = {"smalltext-onnx"}
"""Trains two models and exports both, as tests/onnx_backend does by default; runs nightly."""

PAGES = [
    pytest.param(page, marks=[pytest.mark.nightly] if page.parent.name in EXPENSIVE_READMES else [])
    for page in READMES
    if "```" in page.read_text("utf-8")
]


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=title)
def test_code_blocks_run(page, outcomes):
    assert outcomes[page]["status"] == 0, outcomes[page]["output"]
