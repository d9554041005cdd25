"""Libraries that report, and show progress bars, while models are loaded: kept silent for a while."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from logging import ERROR, getLogger

from smalltext_core.process import hold_across_forks

BARS = "progress bars"

_LOCK = threading.Lock()
_SILENT: dict[str, tuple[int, Callable[[], object]]] = {}
"""In how many blocks, of all threads, each thing is silent, and what lets it talk again as it did before."""

hold_across_forks(_LOCK)


@contextmanager
def silence(*libraries: str) -> Iterator[None]:
    """Keep transformers and other libraries from reporting less than errors, and from showing progress bars.

    Several threads may be in such blocks at a time: all is as it was once the last of them has left.

    Parameters
    ----------
    *libraries : str
        The names of further loggers.
    """
    names = (BARS, "transformers", *libraries)
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
    """Silence one thing, and return what takes that back."""
    if name == BARS:
        return _without_bars()
    logger = getLogger(name)
    level = logger.level
    logger.setLevel(ERROR)
    return partial(logger.setLevel, level)


def _without_bars() -> Callable[[], object]:
    # Not every backend has transformers; where nobody imported it, it shows nothing.
    logging = sys.modules.get("transformers.utils.logging")
    if logging is None or not logging.is_progress_bar_enabled():
        return lambda: None
    logging.disable_progress_bar()
    enable: Callable[[], object] = logging.enable_progress_bar
    return enable
