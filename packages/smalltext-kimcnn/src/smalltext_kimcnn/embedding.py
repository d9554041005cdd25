"""What a network makes of texts on its way to the labels, for whoever wants vectors rather than labels."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

EmbeddingMethod = Literal["pooled", "gradient"]


def last_layer_gradients(pooled: Tensor, logits: Tensor, *, multi_label: bool) -> Tensor:
    """Return the gradients of the loss by the weights of the last layer, for each class as if it were the label.

    The loss is cross-entropy, or (multi-label) the mean of the classes' binary cross-entropies where no other
    class applies. Its gradient by the outputs is known: what was predicted less what is supposed; and the gradient
    by the weights is the outer product of that with the layer's input.

    Parameters
    ----------
    pooled : Tensor, shape (n, features)
        What goes into the last layer.
    logits : Tensor, shape (n, num_classes)
        What comes out of it.
    multi_label : bool

    Returns
    -------
    Tensor, shape (n, num_classes * num_classes * features)
        For each supposed class in turn, the gradient by the weight matrix, row by row.

    Examples
    --------
    >>> last_layer_gradients(torch.tensor([[2.0]]), torch.zeros(1, 2), multi_label=False).tolist()
    [[-1.0, 1.0, 1.0, -1.0]]
    """
    classes = logits.shape[1]
    predicted = logits.sigmoid() / classes if multi_label else functional.softmax(logits, dim=1)
    supposed = torch.eye(classes, device=logits.device) / (classes if multi_label else 1)
    by_logits = predicted.unsqueeze(1) - supposed
    return torch.einsum("nkc,nf->nkcf", by_logits, pooled).flatten(1)
