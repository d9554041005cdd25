"""Leaving out of the last layer what the classification head does not look at: every token but the first.

The heads of BERT and its kin are given the first token alone. The last layer needs the others as keys and values
of its attention; what comes after that, three quarters of its work, is computed for the first token only. Results
and gradients are the same, up to rounding.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from torch import nn

from smalltext_transformers.layers import stack

_AFTER_ATTENTION = {
    **dict.fromkeys(
        ("bert", "camembert", "deberta", "deberta-v2", "electra", "roberta", "xlm-roberta"), ("attention.output",)
    ),
    "distilbert": ("sa_layer_norm",),
    "mpnet": ("intermediate", "output"),
}
"""By type of model, whose head looks at the first token: the modules of a layer that are given what its attention
found, and go on with as many tokens as they are given."""

_ALONE: ContextVar[bool] = ContextVar("first_token_alone", default=False)


def prepare(network: Any) -> nn.Module:
    """Return a network that computes no more than it needs within `first_token_alone`, and all of it elsewhere."""
    modules = _AFTER_ATTENTION.get(network.config.model_type, ())
    _, found = stack(network) or ("", [])
    # A layer of DeBERTa that is the only one may be followed by a convolution over all tokens.
    if len(found) > 1:
        for name in modules:
            found[-1].get_submodule(name).register_forward_pre_hook(_first_token)
    prepared: nn.Module = network
    return prepared


@contextmanager
def first_token_alone() -> Iterator[None]:
    """Have networks that were prepared compute, in this thread, what is needed of the last layer for its head."""
    token = _ALONE.set(True)
    try:
        yield
    finally:
        _ALONE.reset(token)


def _first_token(_: nn.Module, given: tuple[Any, ...]) -> tuple[Any, ...] | None:
    """Shorten what a module is given, tensors of shape (n, tokens, ...)."""
    if not _ALONE.get():
        return None
    return tuple(one[:, :1] if isinstance(one, torch.Tensor) else one for one in given)
