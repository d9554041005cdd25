"""The `smalltext` command: its subcommands, exit codes and error messages."""

from __future__ import annotations

import io
import math
import os
import re
import signal
import sys
import traceback
import warnings
from collections.abc import Callable
from types import FrameType
from typing import Annotated, Any, NoReturn, TextIO

import typer
import typer.core
import typer.main

import smalltext_core
from smalltext_cli import __version__
from smalltext_cli.commands.audit import audit
from smalltext_cli.commands.check import check
from smalltext_cli.commands.compare import compare
from smalltext_cli.commands.demo import demo
from smalltext_cli.commands.evaluate import evaluate
from smalltext_cli.commands.export import export
from smalltext_cli.commands.info import info, list_classifiers
from smalltext_cli.commands.merge import merge
from smalltext_cli.commands.new_plugin import new_plugin
from smalltext_cli.commands.predict import predict
from smalltext_cli.commands.serve import serve
from smalltext_cli.commands.simulate import simulate
from smalltext_cli.commands.suggest import suggest
from smalltext_cli.commands.train import train
from smalltext_cli.console import (
    check_one_process,
    ending_signals,
    kept_if_interrupted,
    launched_processes,
    process_number,
)
from smalltext_core import classifiers, plugins
from smalltext_core.errors import SmallTextError
from smalltext_core.messages import one_line, printable

_MAX_MESSAGE_LENGTH = 4000
_INTERRUPTED = 128 + signal.SIGINT

TRACEBACK_VARIABLE = "SMALLTEXT_TRACEBACK"
"""If this environment variable is set, the traceback of an error is printed as well."""

# What typer raises for invalid options: a class of click or of its own, depending on its version.
_UsageError: Any = typer.BadParameter.__mro__[1]

_COMMANDS: dict[str, dict[str, tuple[Callable[..., None], str]]] = {
    "First steps": {
        "demo": (demo, "Train, evaluate and predict on 2,225 news articles."),
        "list": (list_classifiers, "List the classifiers that are installed."),
        "info": (info, "Show the parameters of a classifier, or a saved model."),
    },
    "Data and comparison": {
        "audit": (audit, "Find mistakes in labelled texts before training."),
        "compare": (compare, "Compare classifiers on your texts."),
        "suggest": (suggest, "Choose the texts to label next."),
        "simulate": (simulate, "Compare query strategies by simulated labelling."),
    },
    "Models": {
        "train": (train, "Train a classifier on labelled texts."),
        "evaluate": (evaluate, "Score a model on labelled texts."),
        "predict": (predict, "Label new texts with a model."),
        "merge": (merge, "Join the output of sharded predictions."),
        "export": (export, "Export a model so that it runs without torch."),
        "serve": (serve, "Serve a model over HTTP and to Label Studio."),
    },
    "Plugins": {
        "check": (check, "Check that a classifier follows the rules of smalltext."),
        "new-plugin": (new_plugin, "Create a plugin with a working classifier and tests."),
    },
}
"""The commands by their heading in the help, each with a description that fits into 80 columns."""

_SUBCOMMANDS = {name: command for commands in _COMMANDS.values() for name, command in commands.items()}


_ONE_PROCESS = ("audit", "check", "compare", "demo", "simulate", "suggest")
"""Commands that train classifiers in one process, and must not be started in several by a launcher."""


class _Command(typer.core.TyperCommand):
    """A command that shows ``--help`` without a type in its help, and accepts no NaN as a number."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse arguments; older versions of typer accept NaN in any range, which no comparison excludes."""
        try:
            rest = super().parse_args(ctx, args)
        except _UsageError as error:
            error.ctx = error.ctx or ctx  # which errors about the value of an option lack
            raise
        parameter: Any  # of click or of typer, depending on the version
        for parameter in self.params:
            value = ctx.params.get(parameter.name)
            if isinstance(value, float) and math.isnan(value):
                raise typer.BadParameter(f"{value} is not a number.", ctx=ctx, param=parameter)
        return rest

    def get_help_option(self, ctx: Any) -> Any:
        """Return the help option without a type."""
        option = super().get_help_option(ctx)
        if option is not None:
            option.metavar = ""
        return option


class _TableOfContents(typer.core.TyperGroup):
    """The `smalltext` command, with help that fits on a screen of 24 lines and 80 columns.

    Its subcommands are built when they are looked up, which takes a few milliseconds each.
    """

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002
        """Return the names of the subcommands."""
        return list(_SUBCOMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002
        """Return a subcommand, or None for an unknown name; typer then suggests one of `commands`."""
        for name in [cmd_name] if cmd_name in _SUBCOMMANDS else _SUBCOMMANDS:
            if name not in self.commands:
                self.commands[name] = _subcommand(name)
        return self.commands.get(cmd_name)

    def format_help(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002
        """Write the help: usage, commands by heading, and options."""
        lines = ["Usage: smalltext COMMAND [OPTIONS]    Text classifiers for small data."]
        for panel, commands in _COMMANDS.items():
            lines.append(typer.style(panel, bold=True))
            lines += [f"  {name:<12}{line}" for name, (_, line) in commands.items()]
        lines += ["", *_OPTIONS]
        formatter.write("\n".join(lines) + "\n")


_OPTIONS = (
    "smalltext COMMAND --help explains a command.  --version, -V: package versions.",
    "--install-completion, --show-completion: completion of your shell.",
)

app = typer.Typer(
    name="smalltext",
    cls=_TableOfContents,
    help="Train, evaluate and use text classifiers for small data.",
    invoke_without_command=True,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _subcommand(name: str) -> Any:
    """Build a subcommand from the signature of its function."""
    function, line = _SUBCOMMANDS[name]
    alone = typer.Typer(rich_markup_mode="markdown", add_completion=False)
    alone.command(name, cls=_Command, short_help=line)(function)
    return typer.main.get_command(alone)


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
    elif context.invoked_subcommand in _ONE_PROCESS:
        check_one_process(context.invoked_subcommand)


def main() -> None:
    """Run the command; errors that the user can fix end with exit code 2 and one line on standard error."""
    _open_closed_streams()
    _write_utf8(sys.stdout)
    for number in ending_signals():
        signal.signal(number, _leave)
    warnings.showwarning = _show_warning
    try:
        code = app(standalone_mode=False, prog_name="smalltext")
        if code == _INTERRUPTED:  # returned by newer versions of typer
            raise typer.Abort
        raise SystemExit(code)
    except SmallTextError as error:
        _fail(str(error), 2)
    except typer.Abort:
        if process_number() > 0:
            raise SystemExit(_INTERRUPTED) from None
        _fail(f"Interrupted. {kept_if_interrupted()}".rstrip(), _INTERRUPTED)
    except OSError as error:
        _fail(f"{error.filename or 'Input or output'}: {error.strerror or error}.", 2)
    except MemoryError:
        _fail("There is not enough memory for this.", 1)
    except _UsageError as error:
        command = error.ctx.command_path if error.ctx is not None else "smalltext"
        message = error.format_message()
        end = "" if message.endswith((".", "?")) else "."
        _fail(f"{message}{end}{_hint(error)} See: {command} --help", error.exit_code)
    except Exception as error:
        advice = f"Set {TRACEBACK_VARIABLE}=1 to see where it comes from."
        _fail(f"{type(error).__name__}: {error}. {'' if _wants_traceback() else advice}".rstrip(), 1)


def _hint(error: Any) -> str:
    """Return a hint: the installed classifiers, if none was given, or what to do about extra files."""
    if "unexpected extra argument" in error.format_message():
        files = [one.metavar for one in error.ctx.command.params if one.metavar in ("DATA", "POOL")]
        advice = "must be one file. Join the files first; only `smalltext predict` reads several."
        return f" {files[0]} {advice}" if files else ""
    if getattr(getattr(error, "param", None), "name", None) != "classifier":
        return ""
    return f" Installed classifiers: {', '.join(classifiers()) or 'none'}."


def _open_closed_streams() -> None:
    """Redirect closed standard streams, with which some schedulers start programs, to the null device.

    Otherwise the next opened files would get their descriptors, and the output of libraries would go into them.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.open(os.devnull, os.O_RDWR), mode, encoding="utf-8"))  # noqa: SIM115, PTH123


def _write_utf8(stream: TextIO) -> None:
    """Write results to files and pipes as UTF-8, regardless of the locale."""
    if isinstance(stream, io.TextIOWrapper) and not stream.isatty():
        stream.reconfigure(encoding="utf-8")


def _leave(number: int, _: FrameType | None) -> NoReturn:
    """Exit by raising an exception, so that temporary files are removed."""
    raise SystemExit(128 + number)


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,  # noqa: ARG001
    lineno: int,  # noqa: ARG001
    file: TextIO | None = None,  # noqa: ARG001
    line: str | None = None,  # noqa: ARG001
) -> None:
    if process_number() == 0:
        _say(f"Warning ({category.__name__}): {message}")


def _wants_traceback() -> bool:
    return bool(os.environ.get(TRACEBACK_VARIABLE))


def _fail(message: str, code: int) -> NoReturn:
    if _wants_traceback():
        sys.stderr.write(printable(traceback.format_exc(), None, keep="\n"))
    number = process_number()
    _say(f"Error in process {number} of {launched_processes()}: {message}" if number else f"Error: {message}")
    raise SystemExit(code)


def _say(message: str) -> None:
    """Write one line to standard error, with control characters escaped."""
    sys.stderr.write(one_line(re.sub(r"[ \t\r\n]+", " ", message), _MAX_MESSAGE_LENGTH) + "\n")


if __name__ == "__main__":
    main()
