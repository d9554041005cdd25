"""Computing in a process that was forked off one in which torch has computed already.

A fork copies the memory of a process and one thread of it. The threads that torch shares out its arithmetic to
are gone in the child, and the OpenMP library, which believes in them, waits for them for ever: a pool of forked
workers (the default of multiprocessing on Linux before Python 3.14) hangs in its first matrix product. So a child
computes on one thread, as the workers of torch's own data loaders do; a new process ("spawn") has them all.
"""

from __future__ import annotations

import os

import torch


def compute_on_one_thread_in_forks() -> None:
    """Have every process that is forked off this one from now on compute on one thread."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=lambda: torch.set_num_threads(1))
