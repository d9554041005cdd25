"""Do what a page says, in the current folder: ``python run_page.py PAGE``.

With ``--each PAGE...`` each page is done in a folder and a process of its own, and what became of it is printed as
JSON. The processes are forked, so that they have imported what this one has: tests run it by the fork server.
``--cheaply PAGE...`` does the same with the commands that pages name for all runs but the nightly one.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import io
import json
import os
import pkgutil
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from multiprocessing import Pipe
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

from pages import Block, blocks

_SHELL = set("|&;<>$`*?~#(){}")
_FORKED = ("smalltext", "pytest")
"""The programs that are run in forked processes."""
_QUOTED = re.compile(r"'[^']*'|\"[^\"$`\\\\]*\"")


def done_in_processes(pages: list[Path], cheaply: bool = False) -> None:
    """Do each page in a process and an empty folder, and print the page, the exit status and the output."""
    top = Path.cwd()
    with command_server() if hasattr(os, "fork") else contextlib.nullcontext() as run_command:
        for number, page in enumerate(pages):
            folder = top / str(number)
            folder.mkdir()
            with (top / f"{number}.txt").open("a+", encoding="utf-8") as output:
                status = in_process(page, folder, output, run_command, cheaply)
                output.seek(0)
                outcome = {"page": str(page), "status": status, "output": output.read()}
            sys.stdout.write(json.dumps(outcome) + "\n")
            sys.stdout.flush()


def in_process(page: Path, folder: Path, output: io.TextIOWrapper, run_command: Any, cheaply: bool) -> int:
    """Do a page in a process that is forked, or started where that is impossible; return its exit status."""
    if not hasattr(os, "fork"):
        command = [sys.executable, __file__, page]
        return subprocess.run(command, cwd=folder, stdout=output, stderr=output, check=False).returncode
    if child := os.fork():
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    status = 1
    try:
        os.chdir(folder)
        for stream in (1, 2):
            os.dup2(output.fileno(), stream)
        main(page, functools.partial(run_command, output=Path(output.name)), cheaply)
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def main(page: Path, run_command: Callable[[list[str], Path], int] | None = None, cheaply: bool = False) -> None:
    """Do a page in the current folder; its own plugin is installed with ``pip install --target installed``."""
    installed = Path("installed").absolute()
    sys.path.insert(0, str(installed))
    scripts = Path(sys.executable).parent
    surroundings = {
        **os.environ,
        "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(installed),
    }
    program = sys.modules["__main__"] = ModuleType("__main__")  # where a page's own classes are found by name
    for block in blocks(page):
        if block.is_exempt:
            continue
        if block.title is not None:
            Path(block.title).parent.mkdir(parents=True, exist_ok=True)
            Path(block.title).write_text(block.content, encoding="utf-8")
        elif block.language == "bash":
            command = block.cheaper_command if cheaply else block.command
            commands = plain_commands(command)
            if not commands or run_command is None:
                run_bash(command, surroundings)
                continue
            for arguments in commands:
                if arguments[0] not in _FORKED:
                    subprocess.run(arguments, env=surroundings, check=True)
                elif status := run_command(arguments, installed):
                    raise subprocess.CalledProcessError(status, arguments)
        elif block.language == "python":
            run_python(block, page, vars(program))


def plain_commands(command: str) -> list[list[str]]:
    """Return the arguments of each command of a block whose programs are all known, and which needs no shell."""
    joined = command.replace("\\\n", " ").replace(" && ", "\n")  # the first command that fails ends a page
    lines = [line for line in joined.splitlines() if line.strip()]
    if any(_SHELL & set(_QUOTED.sub("", line)) for line in lines):
        return []
    commands = [shlex.split(line) for line in lines]
    return commands if all(words[0] in (*_FORKED, "cat", "pip") for words in commands) else []


@contextlib.contextmanager
def command_server() -> Iterator[Callable[[list[str], Path, Path], int]]:
    """Fork a process that runs `smalltext` and `pytest`, and yield the function that has them run.

    It has imported the command and the libraries, and no block of Python changes it.
    """
    here, there = Pipe()
    server = os.fork()
    if server == 0:
        here.close()
        import_the_command()
        with contextlib.suppress(EOFError):
            while True:
                there.send(status_of(*there.recv()))
        os._exit(0)
    there.close()

    def run(arguments: list[str], installed: Path, output: Path) -> int:
        here.send((arguments, Path.cwd(), installed, output))
        return int(here.recv())

    yield run
    here.close()
    os.waitpid(server, 0)


def import_the_command() -> None:
    """Import what a command would import by and by, in each of its processes; no plugin is looked for."""
    import smalltext_cli

    for module in pkgutil.walk_packages(smalltext_cli.__path__, "smalltext_cli."):
        if not module.name.endswith("__main__"):
            with contextlib.suppress(ImportError):
                importlib.import_module(module.name)


def status_of(arguments: list[str], folder: Path, installed: Path, output: Path) -> int:
    """Run `smalltext` or `pytest` in a forked process, and return its exit status."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            with output.open("a", encoding="utf-8") as stream:
                for number in (1, 2):
                    os.dup2(stream.fileno(), number)
            os.chdir(folder)
            sys.path.insert(0, str(installed))
            os.environ["PYTHONPATH"] = str(installed)
            status = run_smalltext(arguments) if arguments[0] == "smalltext" else run_pytest(arguments)
        except SystemExit as end:
            status = int(end.code or 0)
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def run_smalltext(arguments: list[str]) -> int:
    from smalltext_cli import app
    from smalltext_cli.compare import runner

    runner.subprocess = SimpleNamespace(Popen=ForkedCell, PIPE=subprocess.PIPE)
    sys.argv = arguments
    app.main()
    return 0


def run_pytest(arguments: list[str]) -> int:
    import pytest

    return int(pytest.main(arguments[1:]))


class ForkedCell:
    """A process of `smalltext compare` or `simulate` as a fork, which need not import the libraries again."""

    stdin = None

    def __init__(self, arguments: list[str], *, stdout: Any, stderr: Any, env: dict[str, str], **_: Any) -> None:
        self.pid = os.fork()
        if self.pid == 0:
            from smalltext_cli.compare import worker

            os.dup2(stdout.fileno(), 1)
            os.dup2(stderr.fileno(), 2)
            os.environ.update(env)
            worker._end_with_the_parent = lambda: None
            worker.main(arguments[3])
            os._exit(0)

    def wait(self) -> None:
        self.returncode = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)


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
    if sys.argv[1] in ("--each", "--cheaply"):
        done_in_processes([Path(page) for page in sys.argv[2:]], cheaply=sys.argv[1] == "--cheaply")
    else:
        main(Path(sys.argv[1]))
