"""Virtual environments with nothing in them but what a test installs from a folder of wheels."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
import zipfile
from dataclasses import dataclass
from importlib.metadata import distribution
from pathlib import Path

from packaging.requirements import Requirement

from architecture import packages

QUICKLY = ("--quiet", "--no-compile")
"""Options of pip. To compile all modules of scikit-learn and scipy takes longer than those that are imported."""
COMPILING_NOTHING = {"PIP_NO_COMPILE": "0"}
"""The same as a variable of pip, which takes the value for that of `compile`."""
BUILDING_HERE = {"PIP_NO_BUILD_ISOLATION": "0"}
"""Has pip build packages by the hatchling of the environment, not by one that it installs for each of them."""


DISTRIBUTIONS = """
import importlib.metadata, json
print(json.dumps([found.name for found in importlib.metadata.distributions()]))
"""


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
        self._pip("install", *QUICKLY, "--find-links", str(self.wheels), *requirements)

    def install_offline(self, name: str) -> None:
        """Unpack the wheels of a package and of those of ours that it needs; link what they need of others."""
        for needed in ours_needed(name):
            (wheel,) = self.wheels.glob(f"{packages.import_name(needed)}-*.whl")
            with zipfile.ZipFile(wheel) as archive:
                archive.extractall(self.packages)
        linked(self.packages, *others_needed(name))

    def distributions(self) -> set[str]:
        return set(json.loads(self.run_python(DISTRIBUTIONS).stdout)) - {"pip", "setuptools"}

    def has_command(self, name: str) -> bool:
        return any(self._scripts.glob(f"{name}*"))

    def run_python(self, code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self._run(str(self.python), "-c", code, *arguments)

    def run_command(self, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self._run(str(self._scripts / name), *arguments)

    def run_module(self, name: str, *arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
        """Run a module of this environment in a folder."""
        return self._run(str(self.python), "-m", name, *arguments, folder=folder)

    def see(self, *folders: Path) -> None:
        """Let this environment find what is installed in other folders, as if it were installed here."""
        lines = "".join(f"{folder}\n" for folder in folders)
        (self.packages / "others.pth").write_text(lines, encoding="utf-8")

    @property
    def packages(self) -> Path:
        """Where packages are installed."""
        (found,) = [*self.folder.glob("lib/python*/site-packages"), *self.folder.glob("Lib/site-packages")]
        return found

    def _run(self, *command: str, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
        inherited = {
            key: value for key, value in os.environ.items() if not key.startswith(("PYTHONPATH", "SMALLTEXT_"))
        }
        return subprocess.run(
            command,
            cwd=folder or self.folder,
            env=inherited,
            capture_output=True,
            text=True,
            encoding="utf-8",
            check=False,
        )

    def _pip(self, *arguments: str) -> str:
        command = [sys.executable, "-m", "pip", "--python", str(self.python), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def ours_needed(*names: str) -> set[str]:
    """Return the packages, and those of the packages that they need."""
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        one = waiting.pop()
        if one not in found:
            found.add(one)
            waiting += [needed.name for needed in packages.required(one) if needed.name in packages.NAMES]
    return found


def others_needed(*names: str) -> list[str]:
    """Return the distributions of other people that packages need."""
    needed = {one.name for name in ours_needed(*names) for one in packages.required(name)}
    return sorted(needed - set(packages.NAMES))


def empty_environment(folder: Path, wheels: Path) -> Environment:
    venv.create(folder, symlinks=os.name != "nt")
    return Environment(folder, wheels)


def linked(folder: Path, *names: str) -> Path:
    """Make a folder that holds distributions of this environment, and all that they need, as links.

    So no test unpacks the hundreds of megabytes of torch: pip finds it installed, and Python imports it.
    """
    waiting = list(names)
    done: set[str] = set()
    while waiting:
        found = distribution(waiting.pop())
        if found.name in done:
            continue
        done.add(found.name)
        home = Path(str(found.locate_file("")))
        for top in {file.parts[0] for file in found.files or [] if file.parts[0] != ".."} - {"__pycache__"}:
            if not (folder / top).exists():
                (folder / top).symlink_to(home / top)
        needed = map(Requirement, found.requires or [])
        waiting += [one.name for one in needed if one.marker is None or one.marker.evaluate({"extra": ""})]
    return folder
