"""The random state that a whole process shares: set for a while, watched, and put back."""

from __future__ import annotations

import pickle
import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np


def _torch() -> Any:
    """Return torch if somebody has imported it; the kit itself never does."""
    return sys.modules.get("torch")


def global_state() -> dict[str, bytes]:
    """Return the state of each global random number generator of this process, by its name."""
    state = {
        "random": pickle.dumps(random.getstate()),
        "numpy.random": pickle.dumps(np.random.get_state()),  # noqa: NPY002 - it is the global one that matters
    }
    torch = _torch()
    if torch is not None:
        state["torch"] = torch.get_rng_state().numpy().tobytes()
        if torch.cuda.is_initialized():
            state["torch.cuda"] = b"".join(one.numpy().tobytes() for one in torch.cuda.get_rng_state_all())
    return state


@contextmanager
def global_seed(seed: int) -> Iterator[None]:
    """Set every global random number generator for the length of a block, then put the old states back.

    Each has drawn once when the block begins: fresh from a seed, its state would be the very one that a
    classifier leaves which sets the same seed globally.
    """
    torch = _torch()
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002
    cpu = None if torch is None else torch.get_rng_state()
    cuda = None if torch is None or not torch.cuda.is_initialized() else torch.cuda.get_rng_state_all()
    random.seed(seed)
    random.random()  # noqa: S311 - no secret
    np.random.seed(seed)  # noqa: NPY002
    np.random.random()  # noqa: NPY002
    if torch is not None:
        torch.manual_seed(seed)
        torch.rand(1)
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002
        if cpu is not None:
            torch.set_rng_state(cpu)
        if cuda is not None:
            torch.cuda.set_rng_state_all(cuda)


def moved(before: dict[str, bytes], after: dict[str, bytes]) -> list[str]:
    """Return the names of the generators whose state has changed; one that has just been imported has not."""
    return [name for name, state in before.items() if after.get(name) != state]
