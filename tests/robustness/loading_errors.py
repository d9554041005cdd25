"""Errors while a model is loaded that the model does not cause."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any

import pytest


def check_model_is_not_blamed(
    monkeypatch: pytest.MonkeyPatch, library: Any, function: str, load: Callable[[], object]
) -> None:
    """Check that `load` raises a lack of memory and the exception of a signal handler unchanged.

    The function of the library that reads the model is replaced by one that fails in these ways.
    """

    def out_of_memory(*_: object, **__: object) -> None:
        raise MemoryError("Cannot allocate memory (os error 12)")

    def too_late(*_: object) -> None:
        raise TimeoutError("the time is up")

    monkeypatch.setattr(library, function, out_of_memory)
    with pytest.raises(MemoryError, match="os error 12"):
        load()
    monkeypatch.setattr(library, function, lambda *_, **__: signal.raise_signal(signal.SIGINT))
    before = signal.signal(signal.SIGINT, too_late)
    try:
        with pytest.raises(TimeoutError, match="the time is up"):
            load()
    finally:
        signal.signal(signal.SIGINT, before)
