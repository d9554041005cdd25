"""The random state of a classifier; the global random state is neither read nor changed.

In numpy everything random is drawn from generators made from the seed. What torch draws inside a network (initial
weights, dropout masks) can only come from its global generators; their state is replaced for each step.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

_LOCK = threading.RLock()
"""Held while torch's global generators have a classifier's state: two trainings may run in two threads."""

if hasattr(os, "register_at_fork"):  # a child process has the lock, but not the thread that would release it
    os.register_at_fork(before=_LOCK.acquire, after_in_parent=_LOCK.release, after_in_child=_LOCK.release)


class TorchRandomness:
    """A stream of random numbers for torch.

    Parameters
    ----------
    seed : int
    device : torch.device
        Where, besides the CPU, random numbers are drawn.

    Examples
    --------
    >>> randomness = TorchRandomness(1, torch.device("cpu"))
    >>> with randomness.as_global():
    ...     first = torch.rand(3)
    >>> with TorchRandomness(1, torch.device("cpu")).as_global():
    ...     bool((torch.rand(3) == first).all())
    True
    """

    def __init__(self, seed: int, device: torch.device) -> None:
        self._device = device
        self._seed: int | None = seed
        self._state: list[torch.Tensor] = []

    @contextmanager
    def as_global(self) -> Iterator[None]:
        """Draw from this stream with torch's global generators; a context manager that restores their state."""
        with _LOCK:
            before = self._read()
            if self._seed is not None:
                self._begin(self._seed)
            else:
                self._write(self._state)
            try:
                yield
            finally:
                self._state, self._seed = self._read(), None
                self._write(before)

    def _begin(self, seed: int) -> None:
        torch.default_generator.manual_seed(seed)
        if self._device.type == "cuda":
            with torch.cuda.device(self._device):
                torch.cuda.manual_seed(seed)
        elif self._device.type == "mps":
            torch.mps.manual_seed(seed)

    def _read(self) -> list[torch.Tensor]:
        states = [torch.get_rng_state()]
        if self._device.type == "cuda":
            states.append(torch.cuda.get_rng_state(self._device))
        elif self._device.type == "mps":
            states.append(torch.mps.get_rng_state())
        return states

    def _write(self, states: list[torch.Tensor]) -> None:
        torch.set_rng_state(states[0])
        if self._device.type == "cuda":
            torch.cuda.set_rng_state(states[1], self._device)
        elif self._device.type == "mps":
            torch.mps.set_rng_state(states[1])


class Randomness:
    """The independent random streams of one training or one call, from one seed (None: from the operating system).

    Attributes
    ----------
    split, order : numpy.random.Generator
        For the validation split, and for the order of the texts.
    network : TorchRandomness
        For initial weights and dropout masks.
    """

    def __init__(self, seed: int | None, device: torch.device) -> None:
        split, order, network = np.random.SeedSequence(seed).spawn(3)
        self.split = np.random.default_rng(split)
        self.order = np.random.default_rng(order)
        self.network = TorchRandomness(int(network.generate_state(1, np.uint64)[0]), device)
