"""The errors and the output of the command: results go to standard output, messages to standard error."""

from __future__ import annotations

import codecs
import difflib
import io
import json
import logging
import os
import signal
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from smalltext_core.errors import SmallTextError
from smalltext_core.label_names import shown_name
from smalltext_core.messages import LIMIT, printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress
    from rich.status import Status
    from rich.table import Table
    from rich.text import Text

_BARS = "SMALL_TEXT_PROGRESS_BARS"
"""The environment variable that switches the progress bars of backends on or off."""

_MAX_GUESS = 1_000


class InputFileError(SmallTextError, ValueError):
    """A file of texts cannot be read; the message has the file and line, the problem, and the next step.

    Examples
    --------
    >>> raise InputFileError("train.csv, line 3", "the label is empty", "Write a label, or drop the line.")
    Traceback (most recent call last):
    ...
    smalltext_cli.console.InputFileError: train.csv, line 3: the label is empty. Write a label, or drop the line.
    """

    def __init__(self, place: str, problem: str, next_step: str) -> None:
        super().__init__(f"{place}: {problem}. {next_step}")


class MissingColumnError(InputFileError):
    """A file lacks a column or key; `column` is its name."""

    def __init__(self, place: str, problem: str, next_step: str, column: str) -> None:
        super().__init__(place, problem, next_step)
        self.column = column


class OutputError(SmallTextError, OSError):
    """A result cannot be written."""


class UsageError(SmallTextError, ValueError):
    """Options contradict one another, or do not apply to the classifier or the data."""


def missing_column(
    name: str, number: int, columns: Sequence[str], found: Iterable[str], hint: str = ""
) -> MissingColumnError:
    """Return the error for a missing column, which lists the existing columns and the most similar name.

    `columns` are the columns of the texts, labels and weights, or the first of these; `number` is the index of the
    missing one.
    """
    column, option = columns[number], ("--text-column", "--label-column", "--weight-column")[number]
    known = list(found)
    near = difflib.get_close_matches(column, [other for other in known if len(other) < _MAX_GUESS], n=1)
    advice = f"Did you mean {shown_name(near[0])}? " if near else ""
    return MissingColumnError(
        name,
        f"there is no column {shown_name(column)}, only {listed_names(known)}",
        f"{advice}{hint}Name another column with {option}.",
        column,
    )


def ending_signals() -> list[signal.Signals]:
    """Return the signals, besides Ctrl-C, that end the command: SIGTERM, and SIGHUP of a terminal that is closed.

    SIGHUP is left out where the system has none, and where it is ignored, as nohup has it.
    """
    hang_up = getattr(signal, "SIGHUP", None)
    if hang_up is None or signal.getsignal(hang_up) is signal.SIG_IGN:
        return [signal.SIGTERM]
    return [signal.SIGTERM, hang_up]


@contextmanager
def errors_of_classifier(name: str) -> Iterator[None]:
    """Turn an error of a classifier into one line that names the classifier."""
    try:
        yield
    except SmallTextError:
        raise
    except (TypeError, ValueError, LookupError, ImportError) as error:
        raise UsageError(
            f"The classifier {name!r} refused its parameters or the data: {type(error).__name__}: {error}"
        ) from error


def counted(count: int, unit: str) -> str:
    """Return a count with its unit.

    Examples
    --------
    >>> counted(1, "text"), counted(1200, "text"), counted(2, "class")
    ('1 text', '1,200 texts', '2 classes')
    """
    plural = "es" if unit.endswith("s") else "s"
    return f"{count:,} {unit}{'' if count == 1 else plural}"


def listed_names(names: Sequence[str], most: int = 20) -> str:
    """List up to `most` names of columns or classes."""
    return ", ".join(map(shown_name, names[:most])) + (", ..." if len(names) > most else "")


@cache
def results() -> Console:
    """Return the console of standard output, for results."""
    return _printable_console(stderr=False)


@cache
def messages() -> Console:
    """Return the console of standard error, for progress, notes and warnings."""
    return _printable_console(stderr=True)


def _printable_console(*, stderr: bool) -> Console:
    """Return a console that escapes control characters in all text that is printed."""
    from rich.console import Console
    from rich.segment import Segment

    class PrintableConsole(Console):
        def render(self, renderable: Any, options: Any = None) -> Iterator[Segment]:
            for segment in super().render(renderable, options):
                # Control segments come from the console itself, and hide or move the cursor.
                safe = segment.text if segment.control else printable(segment.text, None, keep="\n")
                yield Segment(safe, segment.style, segment.control)

    return PrintableConsole(stderr=stderr, soft_wrap=False, highlight=False)


def plain(text: str, limit: int = LIMIT, *, style: str = "") -> Text:
    """Return a text for a cell or a line, escaped and shortened before rich measures the column width."""
    from rich.text import Text

    return Text(printable(text, limit), style=style)


def new_table(*headers: str, left: tuple[int, ...] = (0,), **options: Any) -> Table:
    """Return an empty table without borders, with right-aligned columns except for those in `left`."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, **{"padding": (0, 2, 0, 0), **options})
    for number, header in enumerate(headers):
        table.add_column(header, justify="left" if number in left else "right")
    return table


def print_columns(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a result as columns; the first column holds names to type, and is never cut or wrapped.

    On a terminal, the last column is wrapped, or printed on lines of its own if it gets less than half of the
    width. Otherwise, each row is one line, for programs such as grep.
    """
    console = results()
    shown = [[printable(cell, 4 * LIMIT) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*([headers] if any(headers) else []), *shown, strict=True)]
    used = sum(widths[:-1]) + 2 * len(widths[:-1])
    room = console.width - used if console.is_terminal else sum(map(len, headers)) + 100_000
    below = room < min(console.width // 2, widths[-1])
    for number, row in enumerate([list(headers), *shown] if any(headers) else shown):
        is_header = number == 0 and any(headers)
        cells = [cell.ljust(width) for cell, width in zip(row[:-1], widths[:-1], strict=True)]
        if below:
            head = "  ".join(row[:1] if is_header else row[:-1]).rstrip()
            wrapped = textwrap.wrap(row[-1], max(console.width - 4, 20), break_long_words=False)
            lines = [head, *(f"    {line}" for line in wrapped if not is_header)]
        else:
            wrapped = textwrap.wrap(row[-1], max(room, 20), break_long_words=False) or [""]
            lines = ["  ".join([*cells, wrapped[0]]).rstrip(), *(" " * used + line for line in wrapped[1:])]
        for line in lines:
            print_line(line, style="dim" if is_header else "")


def launched_processes() -> int:
    """Return the number of training processes that a launcher such as torchrun started; 1 without a launcher."""
    count = os.environ.get("WORLD_SIZE", "")
    return max(int(count), 1) if count.isdecimal() else 1


def process_number() -> int:
    """Return the rank of this process among the `launched_processes`; the main process, which reports, has 0."""
    number = os.environ.get("RANK", "")
    return int(number) if launched_processes() > 1 and number.isdecimal() else 0


def check_one_process(command: str) -> None:
    """Raise UsageError if a launcher started several processes for a command that trains in one."""
    if (count := launched_processes()) > 1:
        what = f"`smalltext {command}` runs in one process, and {count} were started (WORLD_SIZE)"
        raise UsageError(f"{what}. Run it without torchrun or accelerate launch, or unset WORLD_SIZE.")


def set_verbosity(*, quiet: bool = False, verbose: bool = False) -> None:
    """Omit progress and notes, or also print the log of the packages to standard error.

    UsageError is raised if both are given. Processes other than the main one print nothing.
    """
    if quiet and verbose:
        raise UsageError("--quiet and --verbose contradict each other. Give one of them.")
    is_main = process_number() == 0
    quiet, verbose = quiet or not is_main, verbose and is_main
    messages().quiet = quiet
    if quiet:
        os.environ[_BARS] = "0"
    if verbose:
        handler = logging.StreamHandler()
        handler.addFilter(lambda record: record.name.startswith("smalltext"))
        logging.basicConfig(handlers=[handler], level=logging.INFO, format="%(message)s")


def print_message(text: str) -> None:
    """Print a line to standard error verbatim, without markup and wrapping."""
    messages().print(text, markup=False, soft_wrap=True)


def print_line(text: str = "", *, style: str = "") -> None:
    """Print a line of a result verbatim, without markup and wrapping."""
    results().print(text, markup=False, soft_wrap=True, style=style)


_kept: list[str] = []


def say_if_interrupted(sentence: str) -> None:
    """Set the sentence to print if the command is interrupted from now on: what is kept or unchanged."""
    _kept[:] = [sentence]


def kept_if_interrupted() -> str:
    """Return the last sentence given to `say_if_interrupted`, or an empty string."""
    return "".join(_kept)


def note(message: str) -> None:
    """Print a note on a result to standard error."""
    print_message(printable(f"Note: {message}", None))


def warn(message: str) -> None:
    """Print a warning about a result to standard error, even with ``--quiet``."""
    console = messages()
    is_quiet, console.quiet = console.quiet, process_number() > 0
    print_message(printable(f"Warning: {message}", None))
    console.quiet = is_quiet


def result_bytes() -> BinaryIO:
    """Return standard output for tables; control characters are escaped on a terminal."""
    return cast("BinaryIO", _Terminal()) if sys.stdout.isatty() else sys.stdout.buffer


class _Terminal(io.RawIOBase):
    """Writes UTF-8 to the terminal, with control characters escaped."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        sys.stdout.write(printable(self._decoder.decode(bytes(data)), None, keep="\n\t"))
        return len(data)


@contextmanager
def working(message: str, console: Console | None = None) -> Iterator[Status]:
    """Show a spinner on a terminal instead of the progress bars of backends.

    `console` is the one that the block prints to; by default, that of standard error.
    """
    with no_progress_bars(), (console or messages()).status(message) as status:
        yield status


@contextmanager
def no_progress_bars() -> Iterator[None]:
    """Switch off the progress bars of backends."""
    before = os.environ.get(_BARS)
    os.environ[_BARS] = "0"
    try:
        yield
    finally:
        if before is None:
            del os.environ[_BARS]
        else:
            os.environ[_BARS] = before


@contextmanager
def progress_bar(message: str) -> Iterator[Callable[[int, float | None], None]]:
    """Show the progress of a command on a terminal, as a bar with the remaining time once a share is known.

    Yields a function that takes the number of processed texts, and their share of all texts or None.
    """
    with working(f"{message} ...") as status:
        bar: Progress | None = None

        def update(done: int, share: float | None) -> None:
            nonlocal bar
            text = f"{message} ... {counted(done, 'text')}"
            if share is None or not messages().is_terminal:
                status.update(text)
                return
            if bar is None:
                status.stop()
                bar = _bar()
            bar.update(bar.task_ids[0], completed=share, description=text)

        try:
            yield update
        finally:
            if bar is not None:
                bar.stop()


def _bar() -> Progress:
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    bar = Progress(*columns, console=messages(), transient=True)
    bar.add_task("", total=1.0)
    bar.start()
    return bar


def jsonable(value: object) -> Any:
    """Return a value as JSON values; other objects become their `repr`."""
    if isinstance(value, (list, tuple)):
        return [jsonable(one) for one in value]
    if isinstance(value, dict):
        return {str(key): jsonable(one) for key, one in value.items()}
    return value if value is None or isinstance(value, (bool, int, float, str)) else repr(value)


def print_json(content: Mapping[str, object] | list[object]) -> None:
    """Print JSON without colours and wrapping, with control characters escaped."""
    text = json.dumps(content, indent=2, ensure_ascii=False)
    sys.stdout.write("".join(map(_json_character, text)) + "\n")


def _json_character(character: str) -> str:
    return character if character == "\n" or printable(character) == character else json.dumps(character)[1:-1]
