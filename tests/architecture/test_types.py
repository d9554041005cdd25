"""The packages, and the plugins that tests install, pass strict mypy."""

from __future__ import annotations

import subprocess
import sys

import pytest

from architecture import packages

pytest.importorskip("mypy", reason="types are checked where mypy is installed")


@pytest.mark.slow
def test_sources_pass_strict_mypy():
    """`hatch run test:types` prints the same; as a test, it runs beside the others and not before them."""
    plugins = sorted((packages.TOP / "tests" / "plugins").glob("smalltext-*/src"))
    command = [sys.executable, "-m", "mypy", "--config-file", ".mypy.ini", "packages", *plugins]
    checked = subprocess.run(command, cwd=packages.TOP, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr
