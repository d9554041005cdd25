"""What plugins share with the rest of the process: random states, signals, and locks in forked processes."""

from __future__ import annotations

import dis
import functools
import os
import random
import signal
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from types import CodeType
from typing import Any, Protocol

import numpy as np


@contextmanager
def random_state_kept(module: str) -> Iterator[None]:
    """Keep the state of the global generators of random, numpy and torch while a module is imported.

    Nothing is touched where the module has been imported before, since other threads may be drawing; nor is torch
    where it is not imported before the block, for importing it draws nothing.

    Parameters
    ----------
    module : str
        What is imported in the block, with all that it imports.

    Examples
    --------
    >>> with random_state_kept("sklearn"):
    ...     import sklearn
    """
    if module in sys.modules:
        yield
        return
    torch = sys.modules.get("torch")
    drawing = torch is not None and hasattr(torch, "get_rng_state")
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002 - it is the global one that is kept
    of_torch = torch.get_rng_state() if drawing and torch is not None else None
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002
        if of_torch is not None and torch is not None:
            torch.set_rng_state(of_torch)


@contextmanager
def left_out(*modules: str) -> Iterator[None]:
    """Have imports of modules fail with ModuleNotFoundError in the block, as if they were not installed.

    This is for code that imports whatever it finds and goes on without what is not installed. Modules that have
    been imported before are left alone. Since other threads see the same modules, name only what no other code
    imports by itself.

    Parameters
    ----------
    *modules : str
        Full names of the modules. Those that do not exist make no difference.

    Examples
    --------
    >>> with left_out("wsgiref"):
    ...     try:
    ...         import wsgiref
    ...     except ModuleNotFoundError:
    ...         print("not found")
    not found
    >>> import wsgiref
    """
    names = [name for name in modules if name not in sys.modules]
    # None is the documented way to have `import` not find a module.
    sys.modules.update(dict.fromkeys(names))  # type: ignore[arg-type]
    try:
        yield
    finally:
        for name in names:
            if name in sys.modules and sys.modules[name] is None:
                del sys.modules[name]


def raised_by_signal(error: BaseException) -> bool:
    """Tell whether an exception comes from the handler of a signal.

    Parameters
    ----------
    error : BaseException
        Being handled, so that it has a traceback.

    Returns
    -------
    bool
        True if a handler that is installed now is among the frames that it passed; for a KeyboardInterrupt, whose
        usual handler has no frame, also if no ``raise`` stands where it began.
    """
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    handlers = set(_handlers())
    if any(frame.f_code in handlers for frame in frames):
        return True
    return isinstance(error, KeyboardInterrupt) and not _begins_with_raise(error)


def _handlers() -> Iterator[CodeType]:
    """Yield the code of every handler of a signal that is written in Python."""
    for number in signal.valid_signals():
        handler: Any = signal.getsignal(number)
        while isinstance(handler, functools.partial):
            handler = handler.func
        if callable(handler) and not hasattr(handler, "__code__") and not hasattr(handler, "__func__"):
            handler = getattr(type(handler), "__call__", handler)  # noqa: B004 - its code, not whether it has one
        code = getattr(getattr(handler, "__func__", handler), "__code__", None)
        if isinstance(code, CodeType):
            yield code


def _begins_with_raise(error: BaseException) -> bool:
    last = error.__traceback__
    if last is None:
        return False
    while last.tb_next is not None:
        last = last.tb_next
    return dis.opname[last.tb_frame.f_code.co_code[last.tb_lasti]] == "RAISE_VARARGS"


class Lock(Protocol):
    """What `threading.Lock` and `threading.RLock` return."""

    def acquire(self) -> bool:
        """Wait for the lock."""

    def release(self) -> None:
        """Give it back."""


def hold_across_forks(lock: Lock) -> None:
    """Have every fork wait until nobody else holds a lock, so that it is free in the child."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=lock.acquire, after_in_parent=lock.release, after_in_child=lock.release)
