"""Default and user-supplied optimizers and schedulers, and training of only those embedding rows that are used."""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional
from torch.optim import Adam, AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR

from smalltext_core.errors import InvalidInputError, PluginError
from smalltext_core.messages import shown
from smalltext_torch.batching import Ragged
from smalltext_torch.inference import check_returned


@runtime_checkable
class Scheduler(Protocol):
    """A learning rate scheduler: one of torch, or any object with a method ``step``."""

    def step(self) -> object:
        """Update the learning rates after a batch."""
        ...


OptimizerChoice = Optimizer | Callable[[nn.Module], Optimizer]
"""An optimizer, or a function that makes one for a network."""

SchedulerChoice = Scheduler | Callable[[Optimizer], Scheduler]
"""A scheduler, or a function that makes one for an optimizer."""


class ConfiguresOptimization(Protocol):
    """The members of a `TorchClassifier` that choose an optimizer and a scheduler; the class describes each."""

    def configure_optimizer(self, network: nn.Module) -> Optimizer: ...  # noqa: D102
    def configure_scheduler(self, optimizer: Optimizer, total_steps: int) -> Scheduler | None: ...  # noqa: D102


def check_choice(optimizer: OptimizerChoice | None, scheduler: SchedulerChoice | None) -> None:
    """Raise InvalidInputError for an optimizer or scheduler that cannot be used, before anything is built."""
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
    _check_same_optimizer(scheduler, optimizer)


def _check_same_optimizer(scheduler: object, optimizer: OptimizerChoice) -> None:
    if getattr(scheduler, "optimizer", optimizer) is not optimizer:
        raise InvalidInputError(
            "scheduler",
            "a scheduler of another optimizer",
            "one that was made for the optimizer given, or a function from the optimizer to one",
        )


def trained_parameters(network: nn.Module) -> list[nn.Parameter]:
    """Return the parameters that are not frozen."""
    return [parameter for parameter in network.parameters() if parameter.requires_grad]


def can_be_fused(parameters: Iterable[torch.Tensor]) -> bool:
    """Return whether torch has a fused kernel of Adam and AdamW for the device of the parameters."""
    return all(parameter.device.type in ("cpu", "cuda") for parameter in parameters)


def adam(network: nn.Module, lr: float) -> Optimizer:
    """Return Adam for the parameters of a network that are not frozen, with the defaults of torch."""
    parameters = trained_parameters(network)
    return Adam(parameters, lr=lr, fused=can_be_fused(parameters))


def adamw(groups: list[dict[str, Any]], lr: float) -> Optimizer:
    """Return AdamW for parameter groups, with a weight decay of 0.01; a group may have its own ``lr``."""
    return AdamW(groups, lr=lr, eps=1e-8, fused=can_be_fused(one for group in groups for one in group["params"]))


def linear_decay(optimizer: Optimizer, total_steps: int, warmup: float = 0.0) -> LambdaLR:
    """Return a scheduler with linear warmup, for a share `warmup` of the steps, and linear decay to 0.

    Examples
    --------
    >>> import torch
    >>> optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    >>> scheduler = linear_decay(optimizer, 4)
    >>> rates = []
    >>> for _ in range(4):
    ...     rates.append(optimizer.param_groups[0]["lr"])
    ...     optimizer.step()
    ...     scheduler.step()
    >>> rates
    [1.0, 0.75, 0.5, 0.25]
    """
    peak = int(total_steps * warmup)

    def factor(step: int) -> float:
        if step < peak:
            return (step + 1) / (peak + 1)
        return max(total_steps - step, 0) / max(total_steps - peak, 1)

    return LambdaLR(optimizer, factor)


def chosen_optimization(
    classifier: ConfiguresOptimization,
    optimizer: OptimizerChoice | None,
    scheduler: SchedulerChoice | None,
    network: nn.Module,
    total_steps: int,
) -> AbstractContextManager[tuple[Optimizer, Scheduler | None]]:
    """Return the caller's optimizer and scheduler, or those that the classifier configures."""
    if optimizer is not None:
        return caller_choice(optimizer, scheduler, network)
    configured = check_returned(
        classifier, "configure_optimizer", classifier.configure_optimizer(network), Optimizer
    )
    if not _has_parameter_of(network, configured):
        what = f"{type(classifier).__name__}.configure_optimizer() returned an optimizer"
        raise PluginError(f"{what} without any parameter of the network, which would not be trained.")
    made = classifier.configure_scheduler(configured, total_steps)
    if made is not None:
        check_returned(classifier, "configure_scheduler", made, Scheduler)  # type: ignore[type-abstract]
        if getattr(made, "optimizer", configured) is not configured:
            what = f"{type(classifier).__name__}.configure_scheduler() returned a scheduler of another optimizer"
            raise PluginError(f"{what} than the one that it was given.")
    return nullcontext((configured, made))


@contextmanager
def caller_choice(
    optimizer: OptimizerChoice, scheduler: SchedulerChoice | None, network: nn.Module
) -> Iterator[tuple[Optimizer, Scheduler | None]]:
    """Return the caller's optimizer and scheduler for a network.

    The parameters of an optimizer or scheduler object are replaced by those of the network. Afterwards its state
    is restored, so that the same object can be used for any number of training runs.
    """
    if not isinstance(optimizer, Optimizer):
        made = optimizer(network)
        if not isinstance(made, Optimizer):
            raise InvalidInputError(
                "optimizer", f"a function that returned {shown(made)}", "one that returns an optimizer"
            )
        _check_steps(made)
        if not _has_parameter_of(network, made):
            raise InvalidInputError(
                "optimizer",
                "a function that returned an optimizer without any parameter of the network",
                "one that returns an optimizer for the network that it is given, which is a new one",
                "For example: lambda network: torch.optim.SGD(network.parameters(), lr=0.1)",
            )
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
    _check_same_optimizer(made, optimizer)
    return made


def _has_parameter_of(network: nn.Module, optimizer: Optimizer) -> bool:
    known = set(map(id, network.parameters()))
    return any(id(parameter) in known for group in optimizer.param_groups for parameter in group["params"])


def _check_steps(optimizer: Optimizer) -> None:
    """Reject an optimizer whose step computes the loss several times, such as LBFGS."""
    if isinstance(optimizer, torch.optim.LBFGS):
        raise InvalidInputError(
            "optimizer", type(optimizer).__name__, "one that takes a step for every batch, such as AdamW or SGD"
        )


@contextmanager
def _borrowed_optimizer(optimizer: Optimizer, network: nn.Module) -> Iterator[None]:
    group, state = optimizer.param_groups[0], optimizer.state
    # A scheduler changes a learning rate that is a tensor in place.
    settings = {name: copy.deepcopy(value) for name, value in group.items() if name != "params"}
    before = {"params": group["params"], **settings}
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


@contextmanager
def rows_in_use(
    network: nn.Module, embedding: nn.Embedding | None, texts: Iterable[Ragged], padding: int
) -> Iterator[None]:
    """Reduce an embedding of a network to the rows that some texts use; a context manager.

    A pretrained vocabulary has tens of thousands of rows, of which a small training set uses a tenth. No other row
    ever gets a gradient, but gradients, optimizer state and steps for all of them cost memory and time.
    Finally, all rows are restored, with the values that training all of them would have produced, up to rounding.

    The optimizer must be created within the block, and must change a row without a gradient in proportion to
    itself, if at all: Adam, or AdamW with its weight decay. `texts` are all that pass through the network there.
    An embedding that is frozen, shares its weights or does more than look up tokens is not changed.
    """
    rows = None if embedding is None else _used_rows(embedding, texts, padding)
    if embedding is None or rows is None or not _stands_alone(network, embedding):
        yield
        return
    whole = embedding.weight
    with torch.no_grad():
        # A last row of ones, which no text uses, records the factor by which weight decay scales unused rows.
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


def _used_rows(embedding: nn.Embedding, texts: Iterable[Ragged], padding: int) -> torch.Tensor | None:
    """Return the indices of the rows in use; None if all are."""
    used: NDArray[np.bool_] = np.zeros(embedding.num_embeddings, dtype=np.bool_)
    used[[padding] if embedding.padding_idx is None else [padding, embedding.padding_idx]] = True
    for some in texts:
        used[some.tokens] = True
    rows = np.flatnonzero(used)
    return torch.from_numpy(rows).to(embedding.weight.device) if len(rows) + 1 < len(used) else None


def _stands_alone(network: nn.Module, embedding: nn.Embedding) -> bool:
    """Return whether an embedding is plain, trainable and shares no weights."""
    plain = type(embedding) is nn.Embedding and embedding.max_norm is None and not embedding.sparse
    uses = sum(parameter is embedding.weight for _, parameter in network.named_parameters(remove_duplicate=False))
    return plain and embedding.weight.requires_grad and uses == 1


def _lookup(embedding: nn.Embedding, rows: torch.Tensor) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return a forward pass that maps token ids to the rows in use."""
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


@contextmanager
def averaged_with_initial(network: nn.Module, share: float) -> Iterator[None]:
    """Average the weights after training with the initial ones, weighted by `share`; 0 has no effect."""
    initial = [one.detach().clone() for one in network.parameters()] if share else []
    yield
    with torch.no_grad():
        for weight, before in zip(network.parameters(), initial, strict=bool(initial)):
            weight.lerp_(before, share)
