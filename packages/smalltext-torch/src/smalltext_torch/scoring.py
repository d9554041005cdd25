"""Asking a trained network: batches of like length, inference mode, results in the order of the texts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from smalltext_torch.batching import (
    Batch,
    Ragged,
    RowNumbers,
    make_batch,
    prediction_batches,
    token_budget,
)
from smalltext_torch.device import Precision
from smalltext_torch.progress import progress_bar
from smalltext_torch.randomness import TorchRandomness

SAMPLED_NUMBERS = 1 << 20
"""At most so many features, repeats of texts included, are given to a network at once when dropout is sampled."""

Features = Batch | torch.Tensor


class Scorer:
    """How a network is asked for logits: in two stages, of which only the second one has dropout.

    This one has nothing in the first. A backend whose network has all its dropout near the end says so with a
    scorer of its own: the first stage is then computed once a text, however many samples are drawn.

    Parameters
    ----------
    forward : callable
        Turns a `Batch` into logits, shape (n, num_classes).
    """

    def __init__(self, forward: Callable[[Batch], torch.Tensor]) -> None:
        self._forward = forward

    def features(self, batch: Batch) -> Features:
        """Return what comes before the first dropout: a tensor with a row a text, or the batch itself."""
        return batch

    def logits(self, features: Features) -> torch.Tensor:
        """Return what comes of it, shape (n, num_classes)."""
        assert isinstance(features, Batch)
        return self._forward(features)


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
    description : str, default="predict"
        What the progress bar says.
    """

    texts: Ragged
    precision: Precision
    padding: int = 0
    description: str = "predict"

    def compute(self, function: Callable[[Batch], torch.Tensor], width: int) -> NDArray[np.float32]:
        """Apply a function to all texts.

        Parameters
        ----------
        function : callable
            Turns a `Batch` of n texts into a tensor of shape (n, width).
        width : int

        Returns
        -------
        ndarray of float32, shape (len(texts), width)
        """
        results = np.empty((len(self.texts), width), dtype=np.float32)
        for rows, batch in self._batches():
            with torch.inference_mode(), self.precision.autocast():
                results[rows] = function(batch).float().cpu().numpy()
        return results

    def sample(
        self,
        scorer: Scorer,
        probabilities: Callable[[torch.Tensor], torch.Tensor],
        samples: int,
        width: int,
        randomness: TorchRandomness,
    ) -> NDArray[np.float32]:
        """Draw probabilities under dropout, each from a mask of its own.

        Parameters
        ----------
        scorer : Scorer
            Of a network whose dropout is active: see `smalltext_torch.dropout.with_dropout`.
        probabilities : callable
            Turns logits into probabilities.
        samples : int
            How many to draw for each text.
        width : int
            The number of classes.
        randomness : TorchRandomness
            Where the masks come from.

        Returns
        -------
        ndarray of float32, shape (len(texts), samples, width)
        """
        results = np.empty((len(self.texts), samples, width), dtype=np.float32)
        for rows, batch in self._batches():
            with torch.inference_mode(), self.precision.autocast(), randomness.lent():
                features = scorer.features(batch)
                together = self._repeats_at_once(features)
                for first in range(0, samples, together):
                    times = min(together, samples - first)
                    drawn = probabilities(scorer.logits(_repeated(features, times)))
                    results[rows, first : first + times] = drawn.float().cpu().numpy().reshape(-1, times, width)
        return results

    def _batches(self) -> Iterator[tuple[RowNumbers, Batch]]:
        device = self.precision.device
        bar = progress_bar(len(self.texts), self.description, "text")
        with bar:
            for rows in prediction_batches(self.texts.lengths, token_budget(device)):
                yield rows, make_batch(self.texts, rows, device, self.padding)
                bar.update(len(rows))

    def _repeats_at_once(self, features: Features) -> int:
        """Return how often all texts of a batch can be repeated without it growing beyond a full one."""
        if isinstance(features, Batch):
            return max(token_budget(self.precision.device) // features.tokens.numel(), 1)
        return max(SAMPLED_NUMBERS // features.numel(), 1)


def _repeated(features: Features, times: int) -> Features:
    return features.repeated(times) if isinstance(features, Batch) else features.repeat_interleave(times, 0)
