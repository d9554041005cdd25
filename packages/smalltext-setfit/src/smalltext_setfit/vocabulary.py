"""Training with only those token embeddings that the training texts use.

The others get no gradient, and all that an optimizer does to them is to let them decay; yet in a small model they
are half of all weights, and an optimizer's step takes a fifth of the time that training on short texts does.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from sentence_transformers import SentenceTransformer
from torch import nn

from smalltext_torch.batching import Ragged

WORTH_IT = 0.5
"""If the texts use a larger share of the vocabulary than this, all of it is trained."""


@dataclass
class SmallVocabulary:
    """The tokens that texts use, numbered anew.

    Parameters
    ----------
    tokens : Ragged
        The texts in these numbers.
    embeddings : Embedding or None
        The layer that has only these tokens for now; None where all of them were left in.
    decay : float
        What optimizer steps have multiplied embeddings with that get no gradient.
    """

    tokens: Ragged
    embeddings: nn.Embedding | None = None
    decay: float = 1.0

    def note_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Take note that AdamW is about to make a step."""
        if self.embeddings is None:
            return
        for group in optimizer.param_groups:
            if any(parameter is self.embeddings.weight for parameter in group["params"]):
                self.decay *= 1 - group["lr"] * group["weight_decay"]


@contextmanager
def small_vocabulary(body: SentenceTransformer, tokens: Ragged, padding: int) -> Iterator[SmallVocabulary]:
    """Leave only the token embeddings in a body that texts use; afterwards all are there, as if all were trained.

    Parameters
    ----------
    body : SentenceTransformer
    tokens : Ragged
    padding : int
        Keeps its number, which some models count positions by.
    """
    transformer = cast("Any", body[0]).auto_model
    layer, config = transformer.get_input_embeddings(), transformer.config
    reserved = max(padding, getattr(config, "pad_token_id", None) or 0, getattr(layer, "padding_idx", None) or 0)
    kept = np.union1d(np.arange(reserved + 1), tokens.tokens)
    if not _is_plain(layer, body) or len(kept) > WORTH_IT * layer.num_embeddings:
        yield SmallVocabulary(tokens)
        return
    whole = layer.weight.data
    rows = torch.from_numpy(kept).to(whole.device)
    layer.weight = nn.Parameter(whole[rows])
    small = SmallVocabulary(Ragged(np.searchsorted(kept, tokens.tokens), tokens.offsets), layer)
    try:
        yield small
    finally:
        with torch.no_grad():
            trained = layer.weight.data
            whole *= small.decay
            whole[rows] = trained
        layer.weight = nn.Parameter(whole)


def _is_plain(layer: object, body: nn.Module) -> bool:
    """Tell whether a layer does nothing but look up, and shares its weights with no other."""
    if type(layer) is not nn.Embedding or layer.max_norm is not None or not layer.weight.requires_grad:
        return False
    uses = sum(weight is layer.weight for module in body.modules() for weight in module._parameters.values())
    return uses == 1
