"""What plugins share with the rest of the process: random states, signals, and locks in forked processes."""

from __future__ import annotations

import dis
import functools
import importlib
import os
import random
import signal
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from types import CodeType
from typing import Any, Protocol

import numpy as np


@contextmanager
def random_state_kept(module: str) -> Iterator[None]:
    """Keep the state of the global generators of random, numpy and torch while a module is imported.

    Some libraries draw random numbers while they are imported: scikit-learn imports rich, which does. Nothing is
    done if the module was imported before, since other threads may draw, nor for torch if that was not imported.

    Parameters
    ----------
    module : str
        The full name of the module that is imported in the block.

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


def lazy_attributes(
    package: str, modules: Mapping[str, Iterable[str]]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return ``__getattr__`` and ``__dir__`` of a package that imports its modules on first use (PEP 562).

    Parameters
    ----------
    package : str
        Its ``__name__``.
    modules : mapping of str to iterable of str
        The public names in each of its modules.
    """
    module_of = {name: f"{package}.{module}" for module, names in modules.items() for name in names}

    def load(name: str) -> Any:
        if name not in module_of:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        with random_state_kept(module_of[name]):
            return getattr(importlib.import_module(module_of[name]), name)

    return load, lambda: sorted({*vars(sys.modules[package]), *module_of})


def raised_by_signal(error: BaseException) -> bool:
    """Return whether an exception, which is being handled, comes from the handler of a signal.

    Ctrl-C, SIGTERM or an alarm may arrive while a plugin is imported or a model is read, and is no failure of it.
    An installed handler is then among the frames of the traceback. That of KeyboardInterrupt has no frame by
    default; it is recognised by the missing ``raise``.
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

    def acquire(self) -> bool: ...  # noqa: D102

    def release(self) -> None: ...  # noqa: D102


def hold_across_forks(lock: Lock) -> None:
    """Hold a lock during every fork: a child inherits locks, but not the threads that would release them."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=lock.acquire, after_in_parent=lock.release, after_in_child=lock.release)
