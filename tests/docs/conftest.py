"""The pages whose code blocks are run, in one process for each test file."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory, request):
    """Return the outcome of each page that the file tests in this run."""
    here = [item for item in request.session.items if item.path == request.path]
    asked = {item.callspec.params["page"] for item in here if "outcomes" in item.fixturenames}
    command = [sys.executable, Path(__file__).with_name("run_page.py"), "--each", *sorted(asked)]
    result = subprocess.run(
        command, cwd=tmp_path_factory.mktemp("pages"), capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    return {Path(one["page"]): one for one in map(json.loads, result.stdout.splitlines())}
