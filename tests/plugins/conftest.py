"""Real plugins: distributions with metadata, which are built as wheels and found by a new Python process.

Each test names the installed distributions; nothing else of the developer's environment is visible.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import zipfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

import fork_server

DISTRIBUTIONS = Path(__file__).parent / "distributions"
# One of the distributions exits the process that imports it.
collect_ignore = ["distributions", "smalltext-bag", "smalltext-naive-bayes"]

Install = Callable[[str], Path]
Ask = Callable[..., Any]


@pytest.fixture(scope="session")
def core_alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with smalltext-core and its dependencies, without the metadata of any plugin."""
    folder = tmp_path_factory.mktemp("core")
    for name in ("numpy", "scipy", "pluggy", "smalltext_core"):
        package = Path(find_spec(name).origin).parent
        (folder / name).symlink_to(package)
        libraries = package.with_name(f"{name}.libs")  # shared libraries of the wheels of numpy and scipy
        if libraries.is_dir():
            (folder / libraries.name).symlink_to(libraries)
    return folder


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Build all distributions, and return the wheels by the names of the folders."""
    folder = tmp_path_factory.mktemp("wheels")
    sources = sorted(path.parent for path in DISTRIBUTIONS.glob("*/pyproject.toml"))
    built = subprocess.run(
        [sys.executable, "-c", BUILD, folder, *sources], check=True, capture_output=True, encoding="utf-8"
    )
    return {source.name: folder / name for source, name in zip(sources, built.stdout.split(), strict=True)}


BUILD = """
import os, sys
from hatchling.build import build_wheel
for source in sys.argv[2:]:
    os.chdir(source)
    print(build_wheel(sys.argv[1]))
"""


@pytest.fixture(scope="session")
def install(tmp_path_factory: pytest.TempPathFactory, wheels: dict[str, Path]) -> Install:
    """Unpack a wheel once, like pip does with pure Python wheels, and return its folder."""
    installed: dict[str, Path] = {}

    def install(name: str) -> Path:
        if name not in installed:
            installed[name] = tmp_path_factory.mktemp(name)
            with zipfile.ZipFile(wheels[name]) as wheel:
                wheel.extractall(installed[name])
        return installed[name]

    return install


@pytest.fixture
def ask(core_alone: Path, install: Install) -> Ask:
    """Run code in a process that finds only the named distributions, and return what it passes to `answer`."""

    def ask(code: str, *distributions: str, folders: tuple[Path, ...] = (), **environment: str) -> Any:
        paths = [*folders, *(install(name) for name in distributions), core_alone]
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "SMALLTEXT"))}
        script = PRELUDE + textwrap.dedent(code)
        finished = fork_server.run(
            ["-c", script],
            env={**kept, "PYTHONPATH": os.pathsep.join(map(str, paths)), **environment},
            site=False,
        )
        assert finished.returncode == 0, finished.stderr.decode()
        return json.loads(finished.stdout.splitlines()[-1])

    return ask


PRELUDE = """
import json
import sys
import smalltext_core as st

def answer(value):
    print(json.dumps(value))

def listed():
    return {plugin.distribution: plugin.status for plugin in st.plugins()}

def refusal(name, **parameters):
    try:
        st.create_factory(name, num_classes=2, **parameters)
    except Exception as error:
        cause = error.__cause__
        return [type(error).__name__, str(error), type(cause).__name__, str(cause)]
    raise AssertionError(f"{name} was not refused")
"""
