"""First imports of libraries, without what they do beyond what is needed.

Some libraries draw random numbers while they are imported: scikit-learn imports rich, which draws from `random`.
The first classifier that a program creates would then change what its own random numbers are. Others import every
library that is installed: skops goes through all modules of scikit-learn, which have wrappers of torch and CuPy
among them, and takes seconds to import torch for nothing.
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
