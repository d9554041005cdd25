"""Progress bars, training history and warnings; and silencing of other libraries.

If a launcher such as torchrun started several processes, only the main one reports.
"""

from __future__ import annotations

import os
import sys
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from logging import ERROR, getLogger
from typing import Any, Protocol, TypedDict

from tqdm import tqdm

from smalltext_core.conversion import is_whole
from smalltext_core.errors import InvalidInputError, UnsupportedError
from smalltext_core.messages import shown

VERBOSITY_QUIET = 0
"""No messages."""

VERBOSITY_VERBOSE = 10
"""The numbers of texts at the start of training."""

VERBOSITY_MORE_VERBOSE = 20
"""The default: also the metrics of every validation."""

VERBOSITY_ALL = 100
"""Everything."""

PROGRESS_BARS = "SMALL_TEXT_PROGRESS_BARS"
"""The environment variable that turns progress bars on (1) or off (0); by default they are on in a terminal."""

PACKAGES = "smalltext_"
"""The prefix of the names of these packages."""

_HIDDEN = threading.local()

_BARS = "progress bars"
_LOCK = threading.Lock()
_SILENT: dict[str, tuple[int, Callable[[], object]]] = {}
"""For each silenced logger, the number of blocks in all threads that silence it, and a function to restore it."""

if hasattr(os, "register_at_fork"):  # a child process has the lock, but not the thread that would release it
    os.register_at_fork(before=_LOCK.acquire, after_in_parent=_LOCK.release, after_in_child=_LOCK.release)

_ON = ("1", "on", "true", "yes")
_OFF = ("0", "off", "false", "no")


def launched_processes() -> int:
    """Return the number of processes that a launcher started (WORLD_SIZE); 1 without a launcher."""
    count = os.environ.get("WORLD_SIZE", "")
    return max(int(count), 1) if count.isdecimal() else 1


def is_main_process() -> bool:
    """Return whether this is the process that reports and saves: the only one, or the one with RANK 0."""
    return launched_processes() == 1 or os.environ.get("RANK", "0") == "0"


def check_one_process(classifier: str) -> None:
    """Raise UnsupportedError if a launcher started several processes for a classifier that supports only one."""
    if (count := launched_processes()) > 1:
        what = f"{classifier} trains in one process, and {count} were started (WORLD_SIZE); each trains a copy"
        raise UnsupportedError(f"{what}. Start one without torchrun or accelerate launch, or unset WORLD_SIZE.")


def progress_bars_wanted() -> bool:
    """Return whether progress bars are shown: as set by `PROGRESS_BARS`, else if standard error is a terminal.

    Raises
    ------
    InvalidInputError
        If the value of the variable is invalid.
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
    """Return a progress bar on standard error, which shows nothing if bars are turned off.

    Parameters
    ----------
    total : int
    description : str or None
        The label of the progress bar; None shows nothing.
    unit : str
        The name of the counted items.
    """
    hidden = description is None or getattr(_HIDDEN, "depth", 0) > 0 or not progress_bars_wanted()
    hidden = hidden or not is_main_process()
    bar: tqdm[Any] = tqdm(total=total, desc=description, unit=unit, leave=False, disable=hidden)
    return bar


@contextmanager
def no_progress_bars() -> Iterator[None]:
    """Show no progress bars in this thread within the block."""
    _HIDDEN.depth = getattr(_HIDDEN, "depth", 0) + 1
    try:
        yield
    finally:
        _HIDDEN.depth -= 1


def described(description: str, pbar: object) -> str | None:
    """Return the label of a method's progress bar, or None for no bar if its argument `pbar` is None.

    Raises
    ------
    InvalidInputError
        If `pbar` is neither None nor "tqdm", for which `progress_bars_wanted` decides.
    """
    if pbar is not None and not (isinstance(pbar, str) and pbar == "tqdm"):
        raise InvalidInputError("pbar", shown(pbar), "'tqdm', or None for no progress bar")
    return None if pbar is None else description


def check_verbosity(verbosity: object) -> int:
    """Return a verbosity, or raise InvalidInputError unless it is a whole number, 0 or above."""
    if not is_whole(verbosity) or verbosity < 0:
        raise InvalidInputError(
            "verbosity", shown(verbosity), "VERBOSITY_QUIET (0), _VERBOSE (10), _MORE_VERBOSE (20) or _ALL (100)"
        )
    return int(verbosity)


class HistoryRecord(TypedDict):
    """The metrics of one validation, an item of `history_`.

    Attributes
    ----------
    epoch : int
        The number of the epoch, from 1.
    step : int
        The number of training steps so far.
    train_loss, train_acc : float
        Means over the training texts since the previous validation, in training mode.
    val_loss, val_acc : float or None
        Means over the validation set; None if there is none.
    learning_rate : float
        The learning rate of the last step; the greatest one if there are several parameter groups.
    seconds : float
        The time since training began, in seconds.
    best : bool
        Whether this model was selected: so far, in a callback; finally, in `history_`.

    Examples
    --------
    >>> record = HistoryRecord(
    ...     epoch=1,
    ...     step=4,
    ...     train_loss=0.7,
    ...     train_acc=0.5,
    ...     val_loss=None,
    ...     val_acc=None,
    ...     learning_rate=0.001,
    ...     seconds=0.2,
    ...     best=True,
    ... )
    >>> record["train_acc"]
    0.5
    """

    epoch: int
    step: int
    train_loss: float
    train_acc: float
    val_loss: float | None
    val_acc: float | None
    learning_rate: float
    seconds: float
    best: bool


class TrainingCallback(Protocol):
    """A callable that receives a record after every validation, such as ``print`` or a list's ``append``.

    An exception ends training and leaves the classifier unchanged.
    """

    def __call__(self, record: HistoryRecord, /) -> object:
        """Process the record of a validation."""
        ...


def check_callbacks(callbacks: object) -> tuple[TrainingCallback, ...]:
    """Return callbacks as a tuple, or raise InvalidInputError."""
    listed: tuple[Any, ...] = (callbacks,)
    if isinstance(callbacks, Iterable) and getattr(callbacks, "ndim", 1) != 0:
        listed = tuple(callbacks)
    for callback in listed:
        if not callable(callback):
            raise InvalidInputError("callbacks", shown(callback), "functions that take a HistoryRecord")
    return listed


def stacklevel_of_caller() -> int:
    """Return the `stacklevel` that makes a warning point to the code that called smalltext.

    By default, Python shows a DeprecationWarning only if it is attributed to the user's script.
    """
    frame, level = sys._getframe(1), 1
    while frame.f_globals.get("__name__", "").startswith(PACKAGES) and frame.f_back is not None:
        frame, level = frame.f_back, level + 1
    return level


def warn_deprecated(parameter: str, replacement: str) -> None:
    """Warn the user that a parameter is deprecated."""
    warnings.warn(
        f"{parameter} is deprecated; use {replacement} instead.",
        DeprecationWarning,
        stacklevel=stacklevel_of_caller(),
    )


@contextmanager
def silence(*libraries: str) -> Iterator[None]:
    """Silence the loggers of transformers and other libraries, except for errors, and their progress bars.

    Several threads may be in such blocks at the same time; the last one to leave restores the levels.
    """
    names = (_BARS, "transformers", *libraries)
    with _LOCK:
        for name in names:
            count, restore = _SILENT.get(name) or (0, _silenced(name))
            _SILENT[name] = count + 1, restore
    try:
        yield
    finally:
        with _LOCK:
            for name in names:
                count, restore = _SILENT.pop(name)
                if count > 1:
                    _SILENT[name] = count - 1, restore
                else:
                    restore()


def _silenced(name: str) -> Callable[[], object]:
    """Silence a logger, and return a function that restores it."""
    if name == _BARS:
        return _without_bars()
    logger = getLogger(name)
    level = logger.level
    logger.setLevel(ERROR)
    return partial(logger.setLevel, level)


def _without_bars() -> Callable[[], object]:
    # If transformers was not imported, it shows no progress bars.
    logging = sys.modules.get("transformers.utils.logging")
    if logging is None or not logging.is_progress_bar_enabled():
        return lambda: None
    logging.disable_progress_bar()
    enable: Callable[[], object] = logging.enable_progress_bar
    return enable
