"""Vectors of texts: the hidden states of one layer, pooled over the tokens of each text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from smalltext_core.errors import InvalidInputError
from smalltext_core.messages import brief, shown
from smalltext_core.values import is_whole
from smalltext_torch.batching import Batch
from smalltext_transformers.inputs import in_order

if TYPE_CHECKING:
    import torch
    from transformers import PretrainedConfig

EmbeddingMethod = Literal["avg", "cls"]


def check_embedding(method: object, layer: object, config: PretrainedConfig) -> None:
    """Refuse a way of pooling that there is not, and a layer that the model of a configuration does not have."""
    if not isinstance(method, str) or method not in ("avg", "cls"):
        raise InvalidInputError("embedding_method", shown(method), "'avg' or 'cls'")
    depth = config.num_hidden_layers + 1
    if not is_whole(layer):
        raise InvalidInputError("hidden_layer_index", shown(layer), "a whole number")
    if not -depth <= layer < depth:
        allowed = f"{-depth} to {depth - 1}; the model has {depth - 1} layers above its embeddings"
        raise InvalidInputError("hidden_layer_index", brief(layer), allowed)


def embedded(
    output: Any, batch: Batch, config: PretrainedConfig, method: EmbeddingMethod, layer: int
) -> torch.Tensor:
    """Return the vectors of the texts of a batch, shape (n, hidden_size), from what a network made of it."""
    # Models with a decoder, such as BART, keep what the encoder makes of a text apart.
    every = output["encoder_hidden_states" if "encoder_hidden_states" in output else "hidden_states"]
    states = in_order(every[layer].float(), batch, config)
    return states[:, 0] if method == "cls" else _mean(states, batch)


def _mean(states: torch.Tensor, batch: Batch) -> torch.Tensor:
    """Return the mean over the tokens that are no padding."""
    mask = batch.mask[:, :, None].to(states.dtype)
    return (states * mask).sum(dim=1) / batch.lengths.clamp(min=1)[:, None]
