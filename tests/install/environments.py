"""Virtual environments with nothing in them but what a test installs from a folder of wheels."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from dataclasses import dataclass
from importlib.metadata import distribution, requires
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


@dataclass(frozen=True)
class Environment:
    """An environment and a folder to work in, away from the sources."""

    folder: Path
    wheels: Path

    @property
    def python(self) -> Path:
        return self._scripts / ("python.exe" if os.name == "nt" else "python")

    @property
    def _scripts(self) -> Path:
        return self.folder / ("Scripts" if os.name == "nt" else "bin")

    def install(self, *requirements: str) -> None:
        self._pip("install", "--quiet", "--find-links", str(self.wheels), *requirements)

    def install_offline(self, name: str) -> None:
        """Install one of the packages from its wheel, with what it needs and nothing else, in a moment.

        What it needs of others is linked to from this environment, where it is installed already.
        """
        needed = closure(name)
        ours = sorted(one for one in needed if one.startswith("smalltext-"))
        self._pip("install", "--quiet", "--no-deps", "--no-index", "--find-links", str(self.wheels), *ours)
        (room,) = self.folder.glob("Lib/site-packages" if os.name == "nt" else "lib/python*/site-packages")
        for other in needed - set(ours):
            for path in tops(other):
                if not (room / path.name).exists():
                    (room / path.name).symlink_to(path)

    def distributions(self) -> set[str]:
        return {found["name"] for found in json.loads(self._pip("list", "--format", "json"))}

    def has_command(self, name: str) -> bool:
        return any(self._scripts.glob(f"{name}*"))

    def run_python(self, code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self._run(str(self.python), "-c", code, *arguments)

    def run_command(self, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self._run(str(self._scripts / name), *arguments)

    def _run(self, *command: str) -> subprocess.CompletedProcess[str]:
        inherited = {
            key: value for key, value in os.environ.items() if not key.startswith(("PYTHONPATH", "SMALLTEXT_"))
        }
        return subprocess.run(
            command, cwd=self.folder, env=inherited, capture_output=True, text=True, encoding="utf-8", check=False
        )

    def _pip(self, *arguments: str) -> str:
        command = [sys.executable, "-m", "pip", "--python", str(self.python), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def closure(name: str) -> set[str]:
    """Return the distributions that one needs, itself included, as the metadata of those installed here say."""
    needed: set[str] = set()
    waiting = [name]
    while waiting:
        one = canonicalize_name(waiting.pop())
        if one not in needed:
            needed.add(one)
            requirements = map(Requirement, requires(one) or ())
            waiting += [
                each.name for each in requirements if each.marker is None or each.marker.evaluate({"extra": ""})
            ]
    return needed


def tops(name: str) -> set[Path]:
    """Return the folders and modules of a distribution that is installed here, and its metadata."""
    found = distribution(name)
    paths = {file.parts[0] for file in found.files or () if file.parts[0] not in ("..", "__pycache__")}
    return {Path(str(found.locate_file(path))) for path in paths}


def empty_environment(folder: Path, wheels: Path) -> Environment:
    venv.create(folder, symlinks=os.name != "nt")
    return Environment(folder, wheels)
