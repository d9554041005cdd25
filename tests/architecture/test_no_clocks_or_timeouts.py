"""Tests do not depend on the speed of the machine: none reads a clock or has a timeout below ten minutes."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from architecture import imports, packages

TESTS = packages.TOP / "tests"
CLOCKS = {"clock_gettime", "monotonic", "perf_counter", "process_time", "thread_time", "time"}
SHORTEST_TIMEOUT = 600
"""Seconds. Longer timeouts only guard against hangs: no machine needs ten minutes for one step of a test."""

READ_CLOCKS = {
    "robustness/crashes.py": "draws the moment of a kill, and kills until enough processes were hit",
}
WAIT_BRIEFLY = {
    "conformance_kit/counting_plugin/wrong_saving.py": "asks for a network that is blocked",
}


def scripts():
    """Return the modules of the tests and of their subprocesses."""
    return [
        path for path in sorted(TESTS.rglob("*.py")) if "benchmarks" not in path.parts and path != Path(__file__)
    ]


@cache
def trees(path):
    """Return the syntax tree of a module, and those of the programs in its strings."""
    found = [imports.syntax_tree(path)]
    for node in ast.walk(found[0]):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and "import " in node.value:
            try:
                found.append(ast.parse(node.value))
            except (SyntaxError, ValueError):
                continue
    return found


def clocks(path):
    """Return the lines that read a clock of the module `time`."""
    return [
        node.lineno
        for tree in trees(path)
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and node.attr.removesuffix("_ns") in CLOCKS
        and isinstance(node.value, ast.Name)
        and node.value.id == "time"
    ]


def timeouts(path):
    """Return the lines with a timeout that a slow machine could exceed."""
    found = []
    for tree in trees(path):
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "alarm" and node.args:
                found.append((node.lineno, node.args[0]))
            elif isinstance(node, ast.keyword) and node.arg in ("deadline", "timeout"):
                found.append((node.value.lineno, node.value))
    return [
        line
        for line, value in found
        if isinstance(value, ast.Constant)
        and isinstance(value.value, (int, float))
        and 0 < value.value < SHORTEST_TIMEOUT
    ]


def name(path):
    return path.relative_to(TESTS).as_posix()


@pytest.mark.parametrize(
    ("find", "exempt"), [(clocks, READ_CLOCKS), (timeouts, WAIT_BRIEFLY)], ids=["clock", "timeout"]
)
def test_no_test_depends_on_the_speed_of_the_machine(find, exempt):
    found = {name(path): lines for path in scripts() if (lines := find(path))}
    assert found.keys() == exempt.keys(), found


@pytest.mark.parametrize(
    ("program", "find"),
    [
        ("import time\nassert time.perf_counter() < 1", clocks),
        ("import time\nbegan = time.process_time_ns()", clocks),
        ('PROGRAM = """\nimport time\nprint(time.time())\n"""', clocks),
        ("import subprocess\nsubprocess.run([], timeout=120)", timeouts),
        ("import signal\nsignal.alarm(20)", timeouts),
        ("from hypothesis import settings\nsettings(deadline=200)", timeouts),
    ],
)
def test_clocks_and_timeouts_are_found(tmp_path, program, find):
    path = tmp_path / "test_it.py"
    path.write_text(program, encoding="utf-8")
    assert find(path)


def test_hypothesis_has_no_deadline():
    assert settings.default.deadline is None
    assert HealthCheck.too_slow in settings.default.suppress_health_check
