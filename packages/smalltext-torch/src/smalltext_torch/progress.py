"""What a training tells while it runs: progress bars, and messages as chatty as one classifier was asked to be."""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tqdm import tqdm

from smalltext_core.errors import InvalidInputError
from smalltext_core.messages import shown

VERBOSITY_QUIET = 0
"""No messages."""

VERBOSITY_VERBOSE = 10
"""What a training begins with: how many texts."""

VERBOSITY_MORE_VERBOSE = 20
"""What is measured after every validation, as well. The default."""

VERBOSITY_ALL = 100
"""Everything."""

PROGRESS_BARS = "SMALL_TEXT_PROGRESS_BARS"
"""The environment variable that switches progress bars on (1) or off (0); unset: on where there is a terminal."""

_HIDDEN = threading.local()

_ON = ("1", "on", "true", "yes")
_OFF = ("0", "off", "false", "no")


def progress_bars_wanted() -> bool:
    """Tell whether progress bars are shown: as `PROGRESS_BARS` says, else if standard error is a terminal.

    Raises
    ------
    InvalidInputError
        If the variable says neither yes nor no.
    """
    answer = os.environ.get(PROGRESS_BARS, "").strip().lower()
    if answer in _ON:
        return True
    if answer in _OFF:
        return False
    if answer:
        raise InvalidInputError(PROGRESS_BARS, shown(answer), f"one of {', '.join(_ON + _OFF)}, or nothing")
    return sys.stderr is not None and sys.stderr.isatty()


def progress_bar(total: int, description: str | None, unit: str) -> tqdm[Any]:
    """Return a progress bar on standard error, which shows nothing where bars are not wanted.

    Parameters
    ----------
    total : int
    description : str or None
        What is being done; None shows nothing.
    unit : str
        What is counted.
    """
    hidden = description is None or getattr(_HIDDEN, "depth", 0) > 0 or not progress_bars_wanted()
    bar: tqdm[Any] = tqdm(total=total, desc=description, unit=unit, leave=False, disable=hidden)
    return bar


@contextmanager
def no_progress_bars() -> Iterator[None]:
    """Show no progress bar in this thread meanwhile."""
    _HIDDEN.depth = getattr(_HIDDEN, "depth", 0) + 1
    try:
        yield
    finally:
        _HIDDEN.depth -= 1


def described(description: str, pbar: object) -> str | None:
    """Return what the progress bar of a method says, or None where its argument `pbar` is None: no bar.

    Raises
    ------
    InvalidInputError
        If `pbar` is neither None nor "tqdm", which leaves it to `progress_bars_wanted`.
    """
    if pbar is not None and not (isinstance(pbar, str) and pbar == "tqdm"):
        raise InvalidInputError("pbar", shown(pbar), "'tqdm', or None for no progress bar")
    return None if pbar is None else description


class Narrator:
    """Passes messages on to a logger of the standard library, if they are not chattier than was asked for.

    Parameters
    ----------
    logger : logging.Logger
    verbosity : int
        `VERBOSITY_QUIET`, `VERBOSITY_VERBOSE`, `VERBOSITY_MORE_VERBOSE` or `VERBOSITY_ALL`.
    """

    def __init__(self, logger: logging.Logger, verbosity: int) -> None:
        self._logger = logger
        self.verbosity = verbosity

    def tell(self, verbosity: int, message: str, *values: object) -> None:
        """Log a message at level INFO if the verbosity is at least this."""
        if self.verbosity >= verbosity:
            self._logger.info(message, *values)


def check_verbosity(verbosity: object) -> int:
    """Return a verbosity as it is, or say what it has to be: a whole number, 0 or above."""
    if isinstance(verbosity, bool) or not isinstance(verbosity, int) or verbosity < 0:
        raise InvalidInputError(
            "verbosity", shown(verbosity), "VERBOSITY_QUIET (0), _VERBOSE (10), _MORE_VERBOSE (20) or _ALL (100)"
        )
    return verbosity
