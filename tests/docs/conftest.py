"""The pages whose code blocks are run, in one process for each test file."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

import fork_server


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory, request):
    """Return the outcome of each page that the file tests in this run; nightly, of its dear commands, too."""
    here = [item for item in request.session.items if item.path == request.path]
    asked = {item.callspec.params["page"] for item in here if "outcomes" in item.fixturenames}
    result = fork_server.run(
        ["-m", "run_page", "--each" if request.config.getoption("nightly") else "--cheaply", *sorted(asked)],
        cwd=tmp_path_factory.mktemp("pages"),
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)},
    )
    assert result.returncode == 0, result.stderr.decode()
    return {Path(one["page"]): one for one in map(json.loads, result.stdout.decode().splitlines())}
