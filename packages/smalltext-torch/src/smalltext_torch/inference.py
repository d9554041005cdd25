"""The state of torch that predictions and training need, whatever state a caller has left it in.

A caller may have put the network into training mode, be inside of `torch.no_grad`, `torch.inference_mode` or
`torch.autocast`, and have chosen another default dtype. None of this changes a result, and all of it is afterwards
what it was.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from smalltext_torch.device import Precision

_lock = threading.Lock()
_held: dict[nn.Module, int] = {}
"""Modules that were in training mode, and how many predictions now hold them in evaluation mode."""


@contextmanager
def evaluation_mode(network: nn.Module) -> Iterator[None]:
    """Hold every module of a network in evaluation mode, and restore the mode of each one afterwards.

    Several threads may predict at the same time: a module returns to training mode when the last of them is done.

    Parameters
    ----------
    network : Module
        Its modules may be in different modes.

    Examples
    --------
    >>> network = nn.Sequential(nn.Linear(1, 1), nn.Dropout().eval())
    >>> with evaluation_mode(network):
    ...     [module.training for module in network]
    [False, False]
    >>> [module.training for module in network]
    [True, False]
    """
    with _lock:
        held = [module for module in network.modules() if module.training or module in _held]
        for module in held:
            _held[module] = _held.get(module, 0) + 1
            # Some networks do more in train() and eval() than to set this, such as to merge weights.
            module.training = False
    try:
        yield
    finally:
        with _lock:
            for module in held:
                _held[module] -= 1
                if not _held[module]:
                    del _held[module]
                    module.training = True


@contextmanager
def inference(network: nn.Module, precision: Precision) -> Iterator[None]:
    """Compute with a network in evaluation mode, in a given precision, without gradients.

    Parameters
    ----------
    network : Module
    precision : Precision
    """
    with evaluation_mode(network), torch.inference_mode(), precision.autocast():
        yield


@contextmanager
def gradients(device: torch.device) -> Iterator[None]:
    """Compute with gradients, in float32, and make tensors that can be trained.

    Parameters
    ----------
    device : torch.device
        Where it is computed.
    """
    dtype = torch.get_default_dtype()
    if dtype is not torch.float32:
        torch.set_default_dtype(torch.float32)
    try:
        with (
            torch.inference_mode(mode=False),
            torch.enable_grad(),
            torch.autocast("cpu", enabled=False),  # a head may be trained on the processor beside an accelerator
            Precision(device).autocast(),
        ):
            yield
    finally:
        if dtype is not torch.float32:
            torch.set_default_dtype(dtype)
