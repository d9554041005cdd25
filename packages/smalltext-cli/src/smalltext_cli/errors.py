"""What goes wrong at a terminal: files that are not what was expected, and options that do not fit.

Like every error of smalltext, each is one line that says where and what to do, and ends the command with
exit code 2.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from smalltext_core.errors import SmallTextError
from smalltext_core.label_names import shown_name

_LONGEST_GUESS = 1_000


class InputFileError(SmallTextError, ValueError):
    """A file of texts cannot be read.

    Parameters
    ----------
    place : str
        The file, and the line or row where that is known.
    problem : str
        What was found there.
    next_step : str
        What to do about it.

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
    """A result cannot be written to where it was asked for."""


class UsageError(SmallTextError, ValueError):
    """Options that do not fit one another, or the classifier that they are for."""


def missing_column(name: str, column: str, found: Iterable[str], hint: str = "") -> InputFileError:
    """Return the error that a file lacks a column, naming those it has and the nearest.

    Parameters
    ----------
    name : str
        The file.
    column : str
        The column that was asked for.
    found : iterable of str
        The columns that are there.
    hint : str, default=""
        What else may be wrong.
    """
    columns = list(found)
    listed = ", ".join(map(shown_name, columns[:20])) + (", ..." if len(columns) > 20 else "")
    near = difflib.get_close_matches(column, [other for other in columns if len(other) < _LONGEST_GUESS], n=1)
    advice = f"Did you mean {shown_name(near[0])}? " if near else ""
    return InputFileError(
        name,
        f"there is no column {shown_name(column)}, only {listed}",
        f"{advice}{hint}Name the columns with --text-column and --label-column.",
    )
