"""Virtual environments that contain only what a test installs from a folder of wheels."""

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

import fork_server
from architecture import packages

QUICKLY = ("--quiet", "--no-compile")
"""Options of pip. Compiling all modules of scikit-learn and scipy takes longer than only the imported ones."""
COMPILING_NOTHING = {"PIP_NO_COMPILE": "0"}
"""The same as an environment variable of pip, whose value is that of `compile`."""
BUILDING_HERE = {"PIP_NO_BUILD_ISOLATION": "0"}
"""Makes pip build packages with the environment's hatchling, instead of installing one for each package."""


DISTRIBUTIONS = """
import importlib.metadata, json
print(json.dumps([found.name for found in importlib.metadata.distributions()]))
"""

FORGET = """
import os, sys
from pathlib import Path
here = {found.name.partition(".")[0] for one in sys.argv.pop(1).split(os.pathsep) for found in Path(one).iterdir()}
for name in list(sys.modules):
    if name.partition(".")[0] not in here | sys.stdlib_module_names | {"__main__"}:
        del sys.modules[name]
"""
"""Removes modules that were imported from other folders, so that importing them again is an error."""

MODULE = """
import runpy
runpy.run_module(sys.argv.pop(1), run_name="__main__", alter_sys=True)
"""


@dataclass(frozen=True)
class Environment:
    """An environment and a working folder outside of the sources.

    With `forks`, processes of `fork_python` and `fork_module` have already imported the libraries, and removed
    those that are not installed here; otherwise they are new processes, as for users.
    """

    folder: Path
    wheels: Path
    forks: bool = False

    @property
    def python(self) -> Path:
        return self._scripts / ("python.exe" if os.name == "nt" else "python")

    @property
    def _scripts(self) -> Path:
        return self.folder / ("Scripts" if os.name == "nt" else "bin")

    def install(self, *requirements: str) -> None:
        self._pip("install", *QUICKLY, "--find-links", str(self.wheels), *requirements)

    def install_offline(self, *names: str) -> None:
        """Unpack the wheels of packages and of those of ours that they need; link what they need of others."""
        for needed in ours_needed(*names):
            (wheel,) = self.wheels.glob(f"{packages.import_name(needed)}-*.whl")
            with zipfile.ZipFile(wheel) as archive:
                archive.extractall(self.packages)
        linked(self.packages, *others_needed(*names))

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

    def fork_python(self, code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self._forked(code, *arguments) if self.forks else self.run_python(code, *arguments)

    def fork_module(
        self, name: str, *arguments: str, folder: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        if not self.forks:
            return self.run_module(name, *arguments, folder=folder or self.folder)
        return self._forked(MODULE, name, *arguments, folder=folder)

    def see(self, *folders: Path) -> None:
        """Let this environment find packages that are installed in other folders."""
        lines = "".join(f"{folder}\n" for folder in folders)
        self._others.write_text(lines, encoding="utf-8")

    @property
    def _others(self) -> Path:
        return self.packages / "others.pth"

    @property
    def packages(self) -> Path:
        """The folder in which packages are installed."""
        (found,) = [*self.folder.glob("lib/python*/site-packages"), *self.folder.glob("Lib/site-packages")]
        return found

    def _forked(self, code: str, *arguments: str, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
        seen = self._others.read_text(encoding="utf-8").splitlines() if self._others.exists() else []
        found = os.pathsep.join([str(self.packages), *seen])
        surroundings = {key: value for key, value in os.environ.items() if not key.startswith("SMALLTEXT_")}
        ended = fork_server.run(
            ["-c", FORGET + code, found, *arguments],
            cwd=folder or self.folder,
            env={**surroundings, "PYTHONPATH": found},
            site=False,
        )
        return subprocess.CompletedProcess(
            ended.args, ended.returncode, *(stream.decode("utf-8") for stream in (ended.stdout, ended.stderr))
        )

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
    """Return the packages, and those of ours that they need."""
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        one = waiting.pop()
        if one not in found:
            found.add(one)
            waiting += [needed.name for needed in packages.required(one) if needed.name in packages.NAMES]
    return found


def others_needed(*names: str) -> list[str]:
    """Return the third-party distributions that packages need."""
    needed = {one.name for name in ours_needed(*names) for one in packages.required(name)}
    return sorted(needed - set(packages.NAMES))


def empty_environment(folder: Path, wheels: Path, *, forks: bool = False) -> Environment:
    venv.create(folder, symlinks=os.name != "nt")
    return Environment(folder, wheels, forks)


def linked(folder: Path, *names: str) -> Path:
    """Create a folder with links to distributions of this environment and to their dependencies.

    So no test unpacks hundreds of megabytes of torch: pip finds it installed, and Python imports it.
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
