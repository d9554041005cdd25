"""Lazy imports that leave the global random state unchanged and let signals interrupt them."""

from __future__ import annotations

import dis
import functools
import importlib
import random
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np


@contextmanager
def random_state_kept(module: str) -> Iterator[None]:
    """Restore the state of the global generators of random, numpy and torch after a module is imported.

    Some libraries draw random numbers while they are imported, such as rich, which scikit-learn imports. Nothing
    is done if the module is already imported, since other threads may draw, nor for torch if it is not imported.

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
    if torch is not None and not hasattr(torch, "get_rng_state"):  # torch is being imported
        torch = None
    states = random.getstate(), np.random.get_state()  # noqa: NPY002 - the global state is meant
    torch_state = None if torch is None else torch.get_rng_state()
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])  # noqa: NPY002
        if torch is not None:
            torch.set_rng_state(torch_state)


def lazy_attributes(
    package: str, modules: Mapping[str, Iterable[str]]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return ``__getattr__`` and ``__dir__`` of a package that imports its modules on first use (PEP 562).

    Parameters
    ----------
    package : str
        The ``__name__`` of the package.
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
    """Return whether an exception that is being handled was raised by a signal handler.

    Ctrl-C, SIGTERM or an alarm may arrive while a plugin is imported or a model is read, which is not its failure.
    The traceback then contains the code of an installed handler. The default handler of Ctrl-C is not written in
    Python; its KeyboardInterrupt is recognised by the missing ``raise``.
    """
    codes, last, traceback = set(), None, error.__traceback__
    while traceback is not None:
        codes.add(traceback.tb_frame.f_code)
        last, traceback = traceback, traceback.tb_next
    if any(_code(signal.getsignal(number)) in codes for number in signal.valid_signals()):
        return True
    raised = last is not None and dis.opname[last.tb_frame.f_code.co_code[last.tb_lasti]] == "RAISE_VARARGS"
    return isinstance(error, KeyboardInterrupt) and not raised


def _code(handler: Any) -> Any:
    """Return the code object of a signal handler written in Python, else None."""
    while isinstance(handler, functools.partial):
        handler = handler.func
    call = handler if hasattr(handler, "__code__") else getattr(type(handler), "__call__", None)  # noqa: B004
    return getattr(call, "__code__", None)
