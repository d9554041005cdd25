"""The `smalltext` command: its sub-commands, its exit codes and error messages."""

from __future__ import annotations

import io
import os
import re
import signal
import sys
import traceback
import warnings
from types import FrameType
from typing import Annotated, Any, NoReturn, TextIO

import typer

import smalltext_core
from smalltext_cli import __version__
from smalltext_cli.commands.audit import audit
from smalltext_cli.commands.check import check
from smalltext_cli.commands.compare import compare
from smalltext_cli.commands.demo import demo
from smalltext_cli.commands.evaluate import evaluate
from smalltext_cli.commands.info import info, list_classifiers
from smalltext_cli.commands.new_plugin import new_plugin
from smalltext_cli.commands.predict import predict
from smalltext_cli.commands.simulate import simulate
from smalltext_cli.commands.suggest import suggest
from smalltext_cli.commands.train import train
from smalltext_core import plugins
from smalltext_core.errors import SmallTextError
from smalltext_core.messages import one_line, printable

_LONGEST_MESSAGE = 4000

TRACEBACK_VARIABLE = "SMALLTEXT_TRACEBACK"
"""If this environment variable is set, an error ends in a traceback, which shows its cause."""

# What typer raises for options that it cannot read; depending on its version it is click's or its own.
_UsageError: Any = typer.BadParameter.__mro__[1]

app = typer.Typer(
    name="smalltext",
    help="Train, evaluate and use text classifiers for small data.",
    invoke_without_command=True,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("list")(list_classifiers)
app.command()(info)
app.command()(audit)
app.command()(train)
app.command()(evaluate)
app.command()(predict)
app.command()(compare)
app.command()(suggest)
app.command()(simulate)
app.command()(demo)
app.command()(check)
app.command()(new_plugin)


def _print_versions(*, wanted: bool) -> None:
    """Print the versions of the command, of the core and of the plugins."""
    if wanted:
        found = {plugin.distribution: plugin.version for plugin in plugins() if plugin.version}
        ours = {"smalltext-cli": __version__, "smalltext-core": smalltext_core.__version__}
        for distribution, version in (ours | dict(sorted(found.items()))).items():
            typer.echo(printable(f"{distribution} {version}"))
        raise typer.Exit


@app.callback()
def _common(
    context: typer.Context,
    *,
    version: Annotated[  # noqa: ARG001 - its callback does the work
        bool,
        typer.Option(
            "--version",
            "-V",
            metavar="",
            callback=_print_versions,
            is_eager=True,
            help="Show the versions of all packages.",
        ),
    ] = False,
) -> None:
    """Train, evaluate and use text classifiers for small data."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def main() -> None:
    """Run the command, and end with exit code 2 and one line on standard error if the user can set it right."""
    _write_utf8(sys.stdout)
    signal.signal(signal.SIGTERM, _leave)
    warnings.showwarning = _show_warning
    try:
        raise SystemExit(app(standalone_mode=False))
    except SmallTextError as error:
        _fail(str(error), 2)
    except typer.Abort:
        _fail("Interrupted.", 128 + signal.SIGINT)
    except OSError as error:
        _fail(f"{error.filename or 'Input or output'}: {error.strerror or error}.", 2)
    except MemoryError:
        _fail("There is not enough memory for this.", 1)
    except _UsageError as error:
        command = error.ctx.command_path if error.ctx is not None else "smalltext"
        _fail(f"{error.format_message()} See: {command} --help", error.exit_code)
    except Exception as error:
        _fail(f"{type(error).__name__}: {error}. Set {TRACEBACK_VARIABLE}=1 to see where it comes from.", 1)


def _write_utf8(stream: TextIO) -> None:
    """Let results be UTF-8 in a file or a pipe, whatever the locale is."""
    if isinstance(stream, io.TextIOWrapper) and not stream.isatty():
        stream.reconfigure(encoding="utf-8")


def _leave(number: int, _: FrameType | None) -> NoReturn:
    """End like an exception, so that temporary files are removed."""
    raise SystemExit(128 + number)


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,  # noqa: ARG001
    lineno: int,  # noqa: ARG001
    file: TextIO | None = None,  # noqa: ARG001
    line: str | None = None,  # noqa: ARG001
) -> None:
    _say(f"Warning ({category.__name__}): {message}")


def _fail(message: str, code: int) -> NoReturn:
    if os.environ.get(TRACEBACK_VARIABLE):
        sys.stderr.write(printable(traceback.format_exc(), None, keep="\n"))
        raise SystemExit(1)
    _say(f"Error: {message}")
    raise SystemExit(code)


def _say(message: str) -> None:
    """Write one line to standard error, in which nothing controls the terminal."""
    sys.stderr.write(one_line(re.sub(r"[ \t\r\n]+", " ", message), _LONGEST_MESSAGE) + "\n")


if __name__ == "__main__":
    main()
