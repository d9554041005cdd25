"""Training only those rows of an embedding that some text uses; no other row ever gets a gradient.

A pretrained vocabulary has tens of thousands of rows, of which a small training set uses a tenth. The gradient of
all of them, what the optimizer keeps of it, and its step cost much memory and a good part of the time of training.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from smalltext_torch.batching import Ragged


@contextmanager
def vocabulary_in_use(
    network: nn.Module, embedding: nn.Embedding | None, texts: Iterable[Ragged], padding: int
) -> Iterator[None]:
    """While the block lasts, have an embedding of a network hold no more rows than some texts use.

    The optimizer has to be made within the block, and has to be one that changes a row without a gradient in
    proportion to itself, if at all: Adam, or AdamW with its weight decay. Afterwards all rows are there, and are
    what they had become without this, up to rounding.

    Parameters
    ----------
    network : Module
    embedding : Embedding or None
        A part of the network. Where it is None, is frozen, shares its weights with another part of the network, or
        does more than look up tokens, the whole of it is trained as ever.
    texts : iterable of Ragged
        All texts that the network is given within the block.
    padding : int
        The token that batches are padded with.
    """
    rows = None if embedding is None else _rows(embedding, texts, padding)
    if embedding is None or rows is None or not _stands_alone(network, embedding):
        yield
        return
    whole = embedding.weight
    with torch.no_grad():
        # What becomes of a row of ones that no text uses is what becomes of all the rows left out.
        embedding.weight = nn.Parameter(torch.cat([whole[rows], torch.ones_like(whole[:1])]))
    embedding.forward = _lookup(embedding, rows)  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        trained = embedding.weight
        del embedding.forward
        embedding.weight = whole.requires_grad_(trained.requires_grad)
        with torch.no_grad():
            whole *= trained[-1]
            whole[rows] = trained[:-1]


def _rows(embedding: nn.Embedding, texts: Iterable[Ragged], padding: int) -> torch.Tensor | None:
    """Return the numbers of the rows in use; None if there is nothing to be saved."""
    used: NDArray[np.bool_] = np.zeros(embedding.num_embeddings, dtype=np.bool_)
    used[[padding] if embedding.padding_idx is None else [padding, embedding.padding_idx]] = True
    for some in texts:
        used[some.tokens] = True
    rows = np.flatnonzero(used)
    return torch.from_numpy(rows).to(embedding.weight.device) if len(rows) + 1 < len(used) else None


def _stands_alone(network: nn.Module, embedding: nn.Embedding) -> bool:
    """Tell whether an embedding is a plain one, is trained, and has weights that are its own."""
    plain = type(embedding) is nn.Embedding and embedding.max_norm is None and not embedding.sparse
    uses = sum(parameter is embedding.weight for _, parameter in network.named_parameters(remove_duplicate=False))
    return plain and embedding.weight.requires_grad and uses == 1


def _lookup(embedding: nn.Embedding, rows: torch.Tensor) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return a forward pass that finds rows under the numbers which they have in the whole embedding."""
    # Any other token is out of range.
    position = torch.full((embedding.num_embeddings,), -1, device=rows.device)
    position[rows] = torch.arange(len(rows), device=rows.device)
    padding = None if embedding.padding_idx is None else int(position[embedding.padding_idx])

    def forward(tokens: torch.Tensor) -> torch.Tensor:
        return functional.embedding(
            position[tokens],
            embedding.weight,
            padding,
            scale_grad_by_freq=embedding.scale_grad_by_freq,
        )

    return forward
