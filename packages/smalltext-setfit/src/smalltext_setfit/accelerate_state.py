"""What accelerate keeps for a whole process, put aside while setfit trains: its choices are not the caller's."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from accelerate.state import AcceleratorState, GradientState, PartialState

STATES = (AcceleratorState, PartialState, GradientState)
"""Whatever objects of such a class there are, they all have the same attributes."""

VARIABLES = "ACCELERATE_"
"""How the environment variables begin that accelerate, and the trainer of transformers, read and write."""


@contextmanager
def accelerate_state_aside() -> Iterator[None]:
    """Begin without a state of accelerate, and put back the one there was, and the environment variables."""
    shared = [(state, vars(state)["_shared_state"]) for state in STATES]
    variables = _variables()
    for state in STATES:
        # One of its own: objects of the caller keep theirs meanwhile.
        state._shared_state = {}
    _remove(variables)
    try:
        yield
    finally:
        for state, before in shared:
            state._shared_state = before
        _remove(_variables())
        os.environ.update(variables)


def _variables() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name.startswith(VARIABLES)}


def _remove(variables: dict[str, str]) -> None:
    for name in variables:
        del os.environ[name]
