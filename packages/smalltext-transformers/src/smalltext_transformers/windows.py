"""Texts longer than what a model takes, scored window by window."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from smalltext_torch.batching import Batch
from smalltext_torch.inference import BatchInference
from smalltext_torch.randomness import TorchRandomness


@dataclass(frozen=True, kw_only=True)
class WindowInference(BatchInference):
    """Scoring of windows, whose results are pooled into those of the texts: the mean over a text's windows.

    Parameters
    ----------
    counts : ndarray of int64, shape (n,)
        How many of the windows in `texts`, in this order, belong to each text.
    """

    counts: NDArray[np.int64]

    def compute(
        self, network: nn.Module, function: Callable[[Batch], torch.Tensor], width: int
    ) -> NDArray[np.float32]:
        """Apply a function to all windows; return the means, shape (n, width)."""
        return self._pooled(super().compute(network, function, width))

    def sample(
        self, function: Callable[[Batch], torch.Tensor], samples: int, width: int, randomness: TorchRandomness
    ) -> NDArray[np.float32]:
        """Apply a function with dropout to all windows; return the means, shape (n, samples, width)."""
        return self._pooled(super().sample(function, samples, width, randomness))

    def _pooled(self, of_windows: NDArray[np.float32]) -> NDArray[np.float32]:
        if len(of_windows) == len(self.counts):
            return of_windows
        sums = np.add.reduceat(of_windows, np.cumsum(self.counts) - self.counts, axis=0, dtype=np.float64)
        means: NDArray[np.float32] = (sums.T / self.counts).T.astype(np.float32)
        return means
