"""Inference: passing texts through a trained network, in batches, with or without dropout (Monte Carlo sampling).

Gal and Ghahramani (2016), Dropout as a Bayesian Approximation. https://proceedings.mlr.press/v48/gal16.html
"""

from __future__ import annotations

import copy
import itertools
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn.modules.batchnorm import _NormBase

from smalltext_core.probabilities import Probabilities
from smalltext_torch.batching import Batch, Ragged, RowNumbers, make_batch, prediction_batches, token_budget
from smalltext_torch.device import Precision, inference
from smalltext_torch.losses import Loss
from smalltext_torch.progress import progress_bar, stacklevel_of_caller
from smalltext_torch.randomness import TorchRandomness

M = TypeVar("M", bound=nn.Module)


class InferenceStrategy(Protocol):
    """How probabilities of texts are computed; `TorchClassifier.inference_strategy` chooses it."""

    def probabilities(self) -> Probabilities:
        """Return the probability of each class for each text, float32, shape (n, num_classes)."""
        ...

    def sampled_probabilities(self, samples: int, randomness: TorchRandomness) -> NDArray[np.float32]:
        """Return samples of the probabilities under dropout, float32, shape (n, samples, num_classes)."""
        ...


@dataclass(frozen=True)
class BatchInference:
    """Texts in batches of similar length; results are returned in the order of the texts.

    Parameters
    ----------
    texts : Ragged
    precision : Precision
        The precision and the device to compute in.
    padding : int, default=0
        The token id that batches are padded with.
    description : str or None, default="predict"
        The label of the progress bar; None shows none.
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
            The network that the function uses; it is in evaluation mode meanwhile.
        function : callable
            Returns a tensor of shape (n, width) for a `Batch` of n texts.
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
        """Apply a function with active dropout to all texts several times, each time with another dropout mask.

        Parameters
        ----------
        function : callable
            Returns a tensor of shape (n, width) for a `Batch` of n texts, using a network from `with_dropout`.
        samples : int
            The number of samples.
        width : int
        randomness : TorchRandomness
            The source of the dropout masks.

        Returns
        -------
        ndarray of float32, shape (len(texts), samples, width)
        """
        results = np.empty((len(self.texts), samples, width), dtype=np.float32)
        for rows, batch in self._batches():
            # A few texts are repeated until a batch is full; it never gets larger than that.
            together = max(token_budget(self.precision.device) // batch.tokens.numel(), 1)
            for first in range(0, samples, together):
                times = min(together, samples - first)
                with torch.inference_mode(), self.precision.autocast(), randomness.as_global():
                    drawn = function(batch.repeated(times))
                results[rows, first : first + times] = drawn.float().cpu().numpy().reshape(-1, times, width)
        return results

    def _batches(self) -> Iterator[tuple[RowNumbers, Batch]]:
        device, widths = self.precision.device, self.precision.widths
        with progress_bar(len(self.texts), self.description, "text") as bar:
            for rows in prediction_batches(self.texts.lengths, token_budget(device), widths):
                yield rows, make_batch(self.texts, rows, device, self.padding, widths)
                bar.update(len(rows))


@dataclass(frozen=True)
class NetworkInference:
    """The default inference strategy: every text passes through the whole network, once a sample.

    Parameters
    ----------
    network : Module
    forward : callable
        Returns the logits of a batch, given a network and the `Batch`.
    loss : Loss
    num_classes : int
    batches : BatchInference
    """

    network: nn.Module
    forward: Callable[[nn.Module, Batch], torch.Tensor]
    loss: Loss
    num_classes: int
    batches: BatchInference

    def probabilities(self) -> Probabilities:
        """Return the probability of each class for each text, float32, shape (n, num_classes)."""
        return self.batches.compute(self.network, self._function(self.network), self.num_classes)

    def sampled_probabilities(self, samples: int, randomness: TorchRandomness) -> NDArray[np.float32]:
        """Return samples of the probabilities under dropout, float32, shape (n, samples, num_classes)."""
        function = self._function(with_dropout(self.network))
        return self.batches.sample(function, samples, self.num_classes, randomness)

    def _function(self, network: nn.Module) -> Callable[[Batch], torch.Tensor]:
        return lambda batch: self.loss.probabilities(self.forward(network, batch))


def copy_sharing_weights(network: M) -> M:
    """Return a copy of a network, in the same mode, whose parameters and buffers are the same tensors."""
    shared = {id(tensor): tensor for tensor in itertools.chain(network.parameters(), network.buffers())}
    return copy.deepcopy(network, shared)


def with_dropout(network: M) -> M:
    """Return a copy of a network that shares its weights and in which every dropout is active.

    All modules are in training mode, since functional dropout, as in attention, depends on the mode of the module
    around it; except batch and instance normalisation, which would learn from the texts. The network itself does
    not change, so that other threads can predict with it.
    """
    copied = copy_sharing_weights(network)
    copied.train()
    for module in copied.modules():
        if isinstance(module, _NormBase):
            module.eval()
    return copied


def warn_if_alike(samples: NDArray[np.float32]) -> None:
    """Warn if all samples of every text, shape (n, samples, num_classes), are equal: there is no dropout."""
    if len(samples) and (samples == samples[:, :1]).all():
        warnings.warn(
            f"all {samples.shape[1]} samples of dropout_sampling are the same, since the model has no dropout; "
            "they say nothing of how sure it is. Set the dropout in the model's configuration, and train again.",
            UserWarning,
            stacklevel=stacklevel_of_caller(),
        )
