"""Errors of the command, each one line that says where and what to do, with which it ends with exit code 2."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

from smalltext_core.errors import SmallTextError
from smalltext_core.label_names import shown_name

_MAX_GUESS = 1_000


class InputFileError(SmallTextError, ValueError):
    """A file of texts cannot be read: the file and line, the problem there, and the next step.

    Examples
    --------
    >>> raise InputFileError("train.csv, line 3", "the label is empty", "Write a label, or drop the line.")
    Traceback (most recent call last):
    ...
    smalltext_cli.errors.InputFileError: train.csv, line 3: the label is empty. Write a label, or drop the line.
    """

    def __init__(self, place: str, problem: str, next_step: str) -> None:
        super().__init__(f"{place}: {problem}. {next_step}")


class OutputError(SmallTextError, OSError):
    """A result cannot be written."""


class UsageError(SmallTextError, ValueError):
    """Options contradict one another, or the classifier or data that they are for."""


def missing_column(name: str, column: str, found: Iterable[str], hint: str = "") -> InputFileError:
    """Return the error for a file without a column, naming the columns that were `found` and the nearest."""
    columns = list(found)
    near = difflib.get_close_matches(column, [other for other in columns if len(other) < _MAX_GUESS], n=1)
    advice = f"Did you mean {shown_name(near[0])}? " if near else ""
    return InputFileError(
        name,
        f"there is no column {shown_name(column)}, only {listed_names(columns)}",
        f"{advice}{hint}Name the columns with --text-column and --label-column.",
    )


def listed_names(names: Sequence[str], most: int = 20) -> str:
    """List the first names of columns or classes."""
    return ", ".join(map(shown_name, names[:most])) + (", ..." if len(names) > most else "")
