"""`--cpu-times=N`: the CPU seconds of each test file, including its child processes.

Unlike durations, they do not depend on the load of the machine.
"""

from __future__ import annotations

import os
from collections import defaultdict

import pytest

import fork_server


def add_option(parser):
    """Add `--cpu-times`."""
    parser.addoption(
        "--cpu-times", type=int, metavar="N", help="print the CPU seconds of the N dearest test files and tests"
    )


def register(config):
    """Measure if `--cpu-times` is set."""
    if config.getoption("cpu_times") is not None:
        config.pluginmanager.register(CpuTimes(config), "cpu-times")


class CpuTimes:
    """Measure setup, call and teardown of each test in each worker, and print the sums."""

    def __init__(self, config):
        self._config = config
        self._seconds = {}

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item, call):
        report = yield
        report.cpu_seconds = self._seconds.pop((item.nodeid, call.when), 0.0)
        return report

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_setup(self, item):
        return (yield from self._measured(item, "setup"))

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_call(self, item):
        return (yield from self._measured(item, "call"))

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_teardown(self, item):
        return (yield from self._measured(item, "teardown"))

    def _measured(self, item, when):
        before = cpu_seconds()
        try:
            return (yield)
        finally:
            self._seconds[item.nodeid, when] = cpu_seconds() - before

    def pytest_terminal_summary(self, terminalreporter):
        files, tests = defaultdict(float), defaultdict(float)
        for reports in terminalreporter.stats.values():
            for report in reports:
                if isinstance(report, pytest.TestReport):
                    seconds = getattr(report, "cpu_seconds", 0.0)
                    files[report.nodeid.partition("::")[0]] += seconds
                    tests[report.nodeid, report.when] += seconds
        terminalreporter.section(f"CPU seconds: {sum(files.values()):.0f} in tests")
        limit = self._config.getoption("cpu_times")
        for file, seconds in sorted(files.items(), key=lambda one: -one[1])[:limit]:
            terminalreporter.line(f"{seconds:7.1f} {file}")
        terminalreporter.line("")
        for (name, when), seconds in sorted(tests.items(), key=lambda one: -one[1])[:limit]:
            terminalreporter.line(f"{seconds:7.1f} {when:8} {name}")


def cpu_seconds():
    """Return the CPU seconds of this process, of its ended children, and of the processes of the fork server."""
    return sum(os.times()[:4]) + fork_server.seconds
