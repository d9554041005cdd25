"""Passing texts through a trained network: in batches of similar length, results in the order of the texts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from smalltext_torch.batching import (
    Batch,
    Ragged,
    RowNumbers,
    make_batch,
    prediction_batches,
    token_budget,
)
from smalltext_torch.device import Precision
from smalltext_torch.inference import inference
from smalltext_torch.progress import progress_bar
from smalltext_torch.randomness import TorchRandomness


@dataclass(frozen=True)
class Scoring:
    """What it takes to pass texts through a network.

    Parameters
    ----------
    texts : Ragged
    precision : Precision
        It also says on which device.
    padding : int, default=0
        The token that batches are padded with.
    description : str or None, default="predict"
        What the progress bar says; None shows none.
    """

    texts: Ragged
    precision: Precision
    padding: int = 0
    description: str | None = "predict"

    def compute(
        self, network: nn.Module, function: Callable[[Batch], torch.Tensor], width: int
    ) -> NDArray[np.float32]:
        """Apply a function to all texts.

        Parameters
        ----------
        network : Module
            It is in evaluation mode meanwhile.
        function : callable
            Turns a `Batch` of n texts into a tensor of shape (n, width), by way of that network.
        width : int

        Returns
        -------
        ndarray of float32, shape (len(texts), width)
        """
        results = np.empty((len(self.texts), width), dtype=np.float32)
        for rows, batch in self._batches():
            with inference(network, self.precision):
                results[rows] = function(batch).float().cpu().numpy()
        return results

    def sample(
        self, function: Callable[[Batch], torch.Tensor], samples: int, width: int, randomness: TorchRandomness
    ) -> NDArray[np.float32]:
        """Apply a function, in which dropout is active, to all texts several times, each with a mask of its own.

        Parameters
        ----------
        function : callable
            Turns a `Batch` of n texts into a tensor of shape (n, width), by way of a network that
            `smalltext_torch.dropout.with_dropout` gave.
        samples : int
            How often.
        width : int
        randomness : TorchRandomness
            Where the masks come from.

        Returns
        -------
        ndarray of float32, shape (len(texts), samples, width)
        """
        results = np.empty((len(self.texts), samples, width), dtype=np.float32)
        for rows, batch in self._batches():
            # Where texts are few, they are repeated until a batch is full; it never gets larger than that.
            together = max(token_budget(self.precision.device) // batch.tokens.numel(), 1)
            for first in range(0, samples, together):
                times = min(together, samples - first)
                with torch.inference_mode(), self.precision.autocast(), randomness.lent():
                    drawn = function(batch.repeated(times))
                results[rows, first : first + times] = drawn.float().cpu().numpy().reshape(-1, times, width)
        return results

    def _batches(self) -> Iterator[tuple[RowNumbers, Batch]]:
        device = self.precision.device
        with progress_bar(len(self.texts), self.description, "text") as bar:
            widths = self.precision.widths
            for rows in prediction_batches(self.texts.lengths, token_budget(device), widths):
                yield rows, make_batch(self.texts, rows, device, self.padding, widths)
                bar.update(len(rows))
