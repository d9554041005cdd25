"""Twins of networks, which share their weights: one is asked in an unusual way, the other one is left alone."""

from __future__ import annotations

import copy
import itertools
from typing import TypeVar

from torch import nn

M = TypeVar("M", bound=nn.Module)


def twin_of(network: M) -> M:
    """Return a network of modules of its own, in the mode of the one given, with which it shares the tensors."""
    shared = {id(tensor): tensor for tensor in itertools.chain(network.parameters(), network.buffers())}
    return copy.deepcopy(network, shared)
