"""Every code block of the READMEs does what it says."""

from __future__ import annotations

import pytest

from docs.pages import READMES, title


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in READMES if "```" in page.read_text("utf-8")], ids=title)
def test_code_blocks_run(page, outcomes):
    assert outcomes[page]["status"] == 0, outcomes[page]["output"]
