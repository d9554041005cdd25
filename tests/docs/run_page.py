"""Do what a page says, in the current folder: ``python run_page.py PAGE``."""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from pages import Block, blocks

INSTALLED = Path("installed").absolute()
"""Where a page's own plugin is installed, with ``pip install --target installed``."""


def main(page: Path) -> None:
    sys.path.insert(0, str(INSTALLED))
    scripts = Path(sys.executable).parent
    surroundings = {
        **os.environ,
        "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(INSTALLED),
    }
    namespace: dict[str, Any] = {"__name__": "__main__"}
    for block in blocks(page):
        if block.is_exempt:
            continue
        if block.title is not None:
            Path(block.title).parent.mkdir(parents=True, exist_ok=True)
            Path(block.title).write_text(block.content, encoding="utf-8")
        elif block.language == "bash":
            run_bash(block.command, surroundings)
        elif block.language == "python":
            run_python(block, page, namespace)


def run_bash(command: str, surroundings: dict[str, str]) -> None:
    """Run a command and stay where it went, as in a terminal."""
    with tempfile.NamedTemporaryFile(mode="r", encoding="utf-8") as place:
        script = f"{command}\npwd > {shlex.quote(place.name)}"
        subprocess.run(["bash", "-euo", "pipefail", "-c", script], env=surroundings, check=True)
        os.chdir(place.read().strip())


def run_python(block: Block, page: Path, namespace: dict[str, Any]) -> None:
    # Leading line breaks make the line numbers of a traceback those of the page.
    source = "\n" * block.line + block.content
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(compile(source, str(page), "exec"), namespace)
    promised = re.findall(r"^ *print\(.*\)  # (.+)$", block.content, flags=re.MULTILINE)
    lines = printed.getvalue().splitlines()
    if promised and promised != lines:
        raise AssertionError(f"{page.name}, line {block.line}: promises {promised} and prints {lines}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
