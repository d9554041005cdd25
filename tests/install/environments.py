"""Virtual environments with nothing in them but what a test installs from a folder of wheels."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path


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


def empty_environment(folder: Path, wheels: Path) -> Environment:
    venv.create(folder, symlinks=os.name != "nt")
    return Environment(folder, wheels)
