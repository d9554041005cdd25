"""Inference with transformers: inputs of the network, embeddings, and texts longer than the model takes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from smalltext_core.conversion import is_whole
from smalltext_core.errors import InvalidInputError
from smalltext_core.labels import Labels
from smalltext_core.messages import brief, shown
from smalltext_torch.batching import Batch
from smalltext_torch.inference import BatchInference, copy_sharing_weights
from smalltext_torch.losses import Loss, RunningMetrics
from smalltext_torch.randomness import TorchRandomness

if TYPE_CHECKING:
    from transformers import PretrainedConfig

EmbeddingMethod = Literal["avg", "cls"]


def inputs(batch: Batch, config: PretrainedConfig) -> dict[str, torch.Tensor]:
    """Return the arguments for the forward pass of the network of a configuration."""
    tokens, mask = batch.tokens, batch.mask
    if _reads_the_last_position(config):
        tokens, mask = (tensor.gather(1, _turned(batch, batch.lengths)) for tensor in (tokens, mask))
    return {"input_ids": tokens, "attention_mask": mask.long()}


def in_order(states: torch.Tensor, batch: Batch, config: PretrainedConfig) -> torch.Tensor:
    """Return hidden states, shape (n, longest, width), in the order of the tokens before `inputs` moved them."""
    if not _reads_the_last_position(config):
        return states
    positions = _turned(batch, -batch.lengths)
    return states.gather(1, positions[:, :, None].expand_as(states))


def _reads_the_last_position(config: PretrainedConfig) -> bool:
    """Return whether the head classifies the hidden state at the last position, even if it is padding.

    Other heads look for the last token that is no padding, or at the first one.
    """
    return config.model_type == "xlnet" and config.summary_type == "last"


def _turned(batch: Batch, by: torch.Tensor) -> torch.Tensor:
    """Return the positions of a batch, each row rotated to the left by `by` positions."""
    width = batch.tokens.shape[1]
    return (torch.arange(width, device=by.device) + by[:, None]) % width


def check_embedding(method: object, layer: object, config: PretrainedConfig) -> None:
    """Reject an unknown pooling method, and a layer that the model of a configuration does not have."""
    if not isinstance(method, str) or method not in ("avg", "cls"):
        raise InvalidInputError("embedding_method", shown(method), "'avg' or 'cls'")
    depth = config.num_hidden_layers + 1
    if not is_whole(layer):
        raise InvalidInputError("hidden_layer_index", shown(layer), "a whole number")
    if not -depth <= layer < depth:
        allowed = f"{-depth} to {depth - 1}; the model has {depth - 1} layers above its embeddings"
        raise InvalidInputError("hidden_layer_index", brief(layer), allowed)


def embed(
    batches: BatchInference, network: nn.Module, loss: Loss, method: EmbeddingMethod, layer: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the embeddings of texts, shape (n, hidden_size), and their probabilities."""
    # When asked for hidden states, transformers attaches functions to a network that cannot be pickled.
    copied: Any = copy_sharing_weights(network)
    config = copied.config
    width = int(config.hidden_size)

    def embeddings_and_probabilities(batch: Batch) -> torch.Tensor:
        output = copied(**inputs(batch, config), output_hidden_states=True)
        # Models with a decoder, such as BART, return the hidden states of the encoder separately.
        every = output["encoder_hidden_states" if "encoder_hidden_states" in output else "hidden_states"]
        states = in_order(every[layer].float(), batch, config)
        embeddings = states[:, 0] if method == "cls" else _mean(states, batch)
        return torch.cat([embeddings, loss.probabilities(output.logits)], dim=1)

    both = batches.compute(copied, embeddings_and_probabilities, width + int(config.num_labels))
    return np.ascontiguousarray(both[:, :width]), np.ascontiguousarray(both[:, width:])


def _mean(states: torch.Tensor, batch: Batch) -> torch.Tensor:
    """Return the mean over the tokens that are no padding."""
    mask = batch.mask[:, :, None].to(states.dtype)
    return (states * mask).sum(dim=1) / batch.lengths.clamp(min=1)[:, None]


@dataclass(frozen=True, kw_only=True)
class WindowInference(BatchInference):
    """Inference in windows; the result of a text is the mean over its windows, of which it has ``counts[i]``."""

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


def evaluate_probabilities(proba: NDArray[np.float32], y: Labels, loss: Loss) -> tuple[float, float]:
    """Return the loss and the accuracy of probabilities."""
    logits = loss.logits(torch.from_numpy(proba))
    metrics = RunningMetrics(len(logits), logits.device)
    targets, weights = loss.targets(y, logits.device), loss.text_weights(y)
    of_texts = None if weights is None else torch.from_numpy(weights)
    metrics.add(loss.of_texts(logits, targets), loss.hits(logits, targets), of_texts)
    return metrics.means("The validation loss")
