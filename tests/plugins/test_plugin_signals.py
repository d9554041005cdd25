"""A signal that arrives while a plugin is imported ends the program, and is not a failure of the plugin."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

WAITS = """
import pathlib, time
pathlib.Path({ready!r}).touch()
while True:
    time.sleep(0.01)
"""
SPEC = """
import smalltext_core as st

@st.hookimpl
def smalltext_classifiers():
    return [st.ClassifierSpec(name="slow", summary="Slow.", protocol=1, classifier="{name}_parts:Slow")]
"""
LIST = (
    "import json, smalltext_core as st; print(json.dumps({p.distribution: repr(p.error) for p in st.plugins()}))"
)
RESOLVE = "import smalltext_core as st; st.classifier_spec('slow').resolve('classifier')"
ALARM = """
import signal

class Alarm(Exception): pass

def ring(number, frame):
    raise Alarm("time is up")

signal.signal(signal.SIGALRM, ring)
"""
TERMINATES = """
import functools, signal, sys

class Ender:
    def end(self, code, number, frame):
        sys.exit(code + number)

signal.signal(signal.SIGTERM, functools.partial(Ender().end, 128))
"""


@pytest.fixture
def plugin(tmp_path):
    """Write a distribution with a plugin, and return its folder."""

    def write(name: str, module: str, parts: str = "") -> Path:
        info = tmp_path / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[smalltext]\n{name} = {name}_plugin\n")
        (tmp_path / f"{name}_plugin.py").write_text(module)
        (tmp_path / f"{name}_parts.py").write_text(parts)
        return tmp_path

    return write


def run(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    path = os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])
    return subprocess.Popen(
        [sys.executable, *arguments],
        env={**os.environ, "PYTHONPATH": path, "SMALLTEXT_PLUGINS": "slow,exits,interrupts"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def signalled(process: subprocess.Popen[str], ready: Path, number: int) -> tuple[int, str]:
    """Send a signal while the plugin is being imported, and return the exit status of the process."""
    while not ready.exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    process.send_signal(number)
    _, err = process.communicate()
    return process.returncode, err


@pytest.mark.parametrize("where", ["module", "parts"])
@pytest.mark.parametrize(
    ("before", "number", "code", "said"),
    [
        ("", signal.SIGINT, -signal.SIGINT, "KeyboardInterrupt"),
        (ALARM, signal.SIGALRM, 1, "Alarm: time is up"),
        (TERMINATES, signal.SIGTERM, 128 + signal.SIGTERM, ""),
    ],
    ids=["interrupt", "alarm", "terminate"],
)
def test_exceptions_of_signal_handlers_pass_through_the_import(
    plugin, tmp_path, where, before, number, code, said
):
    ready = tmp_path / "ready"
    waits = WAITS.format(ready=str(ready))
    folder = plugin("slow", waits) if where == "module" else plugin("slow", SPEC.format(name="slow"), waits)
    process = run(folder, "-c", before + (LIST if where == "module" else RESOLVE))
    ended, err = signalled(process, ready, number)
    assert ended == code, err
    assert "could not be loaded" not in err
    assert said in err


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)], ids=["term", "int"])
def test_the_command_ends_with_the_exit_code_of_the_signal(plugin, tmp_path, number, code):
    pytest.importorskip("smalltext_cli")
    ready = tmp_path / "ready"
    process = run(plugin("slow", WAITS.format(ready=str(ready))), "-m", "smalltext_cli", "info", "slow")
    ended, err = signalled(process, ready, number)
    assert ended == code, err
    assert "could not be loaded" not in err


@pytest.mark.parametrize(
    ("name", "module", "error"),
    [
        ("exits", "import sys; sys.exit(3)", "SystemExit(3)"),
        (
            "exits",
            "import argparse; argparse.ArgumentParser(exit_on_error=True).parse_args(['--x'])",
            "SystemExit(2)",
        ),
        ("interrupts", "raise KeyboardInterrupt('mine')", "KeyboardInterrupt('mine')"),
    ],
    ids=["exits", "exits in a library", "interrupts"],
)
def test_exceptions_of_the_plugin_itself_are_its_failure(plugin, name, module, error):
    process = run(plugin(name, module), "-c", LIST)
    out, err = process.communicate()
    assert process.returncode == 0, err
    assert json.loads(out)[name] == error
