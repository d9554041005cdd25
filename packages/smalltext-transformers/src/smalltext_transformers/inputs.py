"""What a network is given of a batch: its tokens, padded on the side that the network's head does not look at."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from smalltext_torch.batching import Batch

if TYPE_CHECKING:
    from transformers import PretrainedConfig


def inputs(batch: Batch, config: PretrainedConfig) -> dict[str, torch.Tensor]:
    """Return the arguments for the forward pass of the network of a configuration."""
    tokens, mask = batch.tokens, batch.mask
    if _reads_the_last_position(config):
        tokens, mask = (tensor.gather(1, _turned(batch, batch.lengths)) for tensor in (tokens, mask))
    return {"input_ids": tokens, "attention_mask": mask.long()}


def in_order(states: torch.Tensor, batch: Batch, config: PretrainedConfig) -> torch.Tensor:
    """Return the hidden states of what `inputs` gave, shape (n, longest, width), in the order of the tokens."""
    if not _reads_the_last_position(config):
        return states
    positions = _turned(batch, -batch.lengths)
    return states.gather(1, positions[:, :, None].expand_as(states))


def _reads_the_last_position(config: PretrainedConfig) -> bool:
    """Tell whether the head takes the last position for the text's end, padded or not.

    Other heads look for the last token that is no padding, or at the first one.
    """
    return config.model_type == "xlnet" and config.summary_type == "last"


def _turned(batch: Batch, by: torch.Tensor) -> torch.Tensor:
    """Return the positions of a batch, each row turned to the left by so many."""
    width = batch.tokens.shape[1]
    return (torch.arange(width, device=by.device) + by[:, None]) % width
