"""Imports that leave the global random state of the process alone.

Some libraries draw random numbers while they are imported: scikit-learn imports rich, which draws from `random`.
The first classifier that a program creates would then change what its own random numbers are.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager

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
