"""Locks and forks: a process that is forked off inherits locks, but not the threads that would release them."""

from __future__ import annotations

import os
from typing import Protocol


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
