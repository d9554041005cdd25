"""The optimizer and the scheduler of one training: the caller's, or those of the backend."""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import torch
from torch import nn
from torch.optim import Optimizer

from smalltext_core.errors import InvalidInputError
from smalltext_core.messages import shown


class Scheduler(Protocol):
    """Changes learning rates: a scheduler of torch, or anything that is stepped after every batch."""

    def step(self) -> object:
        """Take note that a batch has been trained on."""
        ...


OptimizerChoice = Optimizer | Callable[[nn.Module], Optimizer]
"""An optimizer, or a function that makes one for a network."""

SchedulerChoice = Scheduler | Callable[[Optimizer], Scheduler]
"""A scheduler, or a function that makes one for an optimizer."""


def check_choice(optimizer: OptimizerChoice | None, scheduler: SchedulerChoice | None) -> None:
    """Refuse what cannot be trained with, before anything is built."""
    if optimizer is None:
        if scheduler is not None:
            raise InvalidInputError(
                "scheduler",
                "a scheduler without an optimizer",
                "a scheduler together with its optimizer, or neither",
                "You must also pass an optimizer if you pass a scheduler to fit().",
            )
        return
    if isinstance(optimizer, Optimizer):
        _check_steps(optimizer)
        if len(optimizer.param_groups) != 1:
            raise InvalidInputError(
                "optimizer",
                f"{len(optimizer.param_groups)} parameter groups",
                "an optimizer with one group, or a function from the network to an optimizer",
                "fit() trains a new network, whose parameters take the place of those in the group.",
            )
    elif isinstance(optimizer, type) or not callable(optimizer):
        raise InvalidInputError(
            "optimizer",
            shown(optimizer),
            "an optimizer, or a function from the network to one",
            "For example: lambda network: torch.optim.SGD(network.parameters(), lr=0.1)",
        )
    _check_scheduler(optimizer, scheduler)


def _check_scheduler(optimizer: OptimizerChoice, scheduler: SchedulerChoice | None) -> None:
    if scheduler is None:
        return
    if isinstance(scheduler, type) or not (hasattr(scheduler, "step") or callable(scheduler)):
        raise InvalidInputError(
            "scheduler",
            shown(scheduler),
            "a scheduler, or a function from the optimizer to one",
            "For example: lambda optimizer: torch.optim.lr_scheduler.StepLR(optimizer, 100)",
        )
    if getattr(scheduler, "optimizer", optimizer) is not optimizer:
        raise InvalidInputError(
            "scheduler",
            "a scheduler of another optimizer",
            "one that was made for the optimizer given, or a function from the optimizer to one",
        )


def trained_parameters(network: nn.Module) -> list[nn.Parameter]:
    """Return the parameters that are not frozen."""
    return [parameter for parameter in network.parameters() if parameter.requires_grad]


def adam(network: nn.Module, lr: float) -> Optimizer:
    """Return Adam for what is not frozen in a network; fused, which is quicker, where there is such a kernel."""
    parameters = trained_parameters(network)
    return torch.optim.Adam(parameters, lr=lr, fused=can_be_fused(parameters))


def can_be_fused(parameters: Iterable[torch.Tensor]) -> bool:
    """Tell whether torch has a fused kernel of Adam and AdamW for parameters where they are."""
    return all(parameter.device.type in ("cpu", "cuda") for parameter in parameters)


@contextmanager
def chosen(
    optimizer: OptimizerChoice, scheduler: SchedulerChoice | None, network: nn.Module
) -> Iterator[tuple[Optimizer, Scheduler | None]]:
    """Give the caller's optimizer and scheduler for a network.

    An optimizer or scheduler that exists is used as it stands, with the parameters of the network in place of its
    own; at the end it is what it was before, so that one object serves any number of trainings alike.
    """
    if not isinstance(optimizer, Optimizer):
        made = optimizer(network)
        if not isinstance(made, Optimizer):
            raise InvalidInputError(
                "optimizer", f"a function that returned {shown(made)}", "one that returns an optimizer"
            )
        _check_steps(made)
        yield made, _made_scheduler(scheduler, made)
        return
    with _borrowed_optimizer(optimizer, network), _borrowed_scheduler(scheduler):
        yield optimizer, _made_scheduler(scheduler, optimizer)


def _made_scheduler(scheduler: SchedulerChoice | None, optimizer: Optimizer) -> Scheduler | None:
    if scheduler is None or hasattr(scheduler, "step"):
        return scheduler
    made = scheduler(optimizer)
    if not hasattr(made, "step"):
        raise InvalidInputError(
            "scheduler", f"a function that returned {shown(made)}", "one that returns a scheduler"
        )
    return made


def _check_steps(optimizer: Optimizer) -> None:
    """Refuse an optimizer that has to compute the loss again and again to take one step."""
    if isinstance(optimizer, torch.optim.LBFGS):
        raise InvalidInputError(
            "optimizer", type(optimizer).__name__, "one that takes a step for every batch, such as AdamW or SGD"
        )


@contextmanager
def _borrowed_optimizer(optimizer: Optimizer, network: nn.Module) -> Iterator[None]:
    group, state = optimizer.param_groups[0], optimizer.state
    before = dict(group)
    group["params"] = trained_parameters(network)
    optimizer.state = defaultdict(dict)
    try:
        yield
    finally:
        group.clear()
        group.update(before)
        optimizer.state = state


@contextmanager
def _borrowed_scheduler(scheduler: Any) -> Iterator[None]:
    if not hasattr(scheduler, "state_dict") or not hasattr(scheduler, "load_state_dict"):
        yield
        return
    before = copy.deepcopy(scheduler.state_dict())
    try:
        yield
    finally:
        scheduler.load_state_dict(before)
