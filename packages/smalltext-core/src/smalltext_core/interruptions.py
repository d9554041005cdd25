"""Whether an exception was raised by the code that ran, or by a signal that arrived meanwhile.

While a plugin is imported or a model is read, a signal may arrive: Ctrl-C, a SIGTERM that is to end the process,
an alarm. What its handler raises passes through the code of others, and is not their failure.
"""

from __future__ import annotations

import dis
import functools
import signal
import traceback
from collections.abc import Iterator
from types import CodeType
from typing import Any


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
