"""The summary of skipped tests at the end of a run."""

from __future__ import annotations

import os

import pytest

import fork_server
from architecture import packages

COMMAND = "apt-get install --yes --no-install-recommends chromium chromium-driver"
TESTS = "tests/cli/test_cli_report_browser.py"


@pytest.mark.slow
@pytest.mark.parametrize(
    "workers",
    [
        pytest.param([], id="one process"),
        pytest.param(["-p", "xdist", "-n", "1"], id="xdist", marks=pytest.mark.nightly),
    ],
)
def test_tests_without_a_browser_are_counted_once_with_the_command_that_installs_one(tmp_path, workers):
    pytest.importorskip("selenium")
    surroundings = {name: value for name, value in os.environ.items() if name not in ("CI", "PATH")}
    ended = fork_server.run(
        ["-m", "pytest", "-c", "tests/pytest.ini", "--rootdir=.", "-q", *workers, TESTS],
        cwd=packages.TOP,
        env={**surroundings, "PATH": str(tmp_path)},
    )
    said = ended.stdout.decode()
    assert ended.returncode == 0, said
    last_line = said.splitlines()[-1]
    count = last_line.partition(" skipped")[0].strip("= ")
    assert int(count) > 50
    assert said.count(f"{count} tests were skipped because Chromium and chromedriver") == 1
    assert said.count(COMMAND) == 1


def test_ci_installs_the_same_browser():
    script = (packages.TOP / ".ci" / "run").read_text(encoding="utf-8")
    assert COMMAND.partition("--no-install-recommends ")[2] in script
