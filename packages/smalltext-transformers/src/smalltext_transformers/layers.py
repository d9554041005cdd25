"""The layers of a pretrained network: finding and fine-tuning them, and computing the last for one token only."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from torch import nn
from torch.optim import AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR

from smalltext_core.errors import InvalidInputError
from smalltext_core.messages import brief
from smalltext_torch.optimization import can_be_fused, trained_parameters
from smalltext_transformers.arguments import FineTuningArguments

Layer = list[nn.Parameter]

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


def layers(network: nn.Module) -> list[Layer]:
    """Return the parameters of a network layer by layer, from the bottom up; every parameter is in one layer.

    The first layer is all that comes before the encoder's own layers (the embeddings), the last is all that comes
    after them (a final norm, a pooler, the classification head). Relative position embeddings, which stand behind
    the layers in the module tree and are used by all of them, belong to the first one.

    Raises
    ------
    InvalidInputError
        If the network has no list of layers.
    """
    path, inner = _stack(network)
    prefixes = [f"{path}.{name}." for name, _ in inner.named_children()]
    shared = tuple(f"{name}." for name in _shared_behind(network, path))
    found: list[Layer] = [[] for _ in range(len(prefixes) + 2)]
    begun = False
    for name, parameter in network.named_parameters():
        inside = next((number for number, prefix in enumerate(prefixes, start=1) if name.startswith(prefix)), None)
        begun = begun or inside is not None
        if inside is not None:
            found[inside].append(parameter)
        elif begun and not name.startswith(shared):
            found[-1].append(parameter)
        else:
            found[0].append(parameter)
    return [layer for layer in found if layer]


def stack(network: nn.Module) -> tuple[str, nn.ModuleList] | None:
    """Return the encoder's list of layers and its name, if any: the longest list, of equals the outermost one."""
    stacks = (
        (name, module)
        for name, module in network.named_modules()
        if isinstance(module, nn.ModuleList) and next(module.parameters(), None) is not None
    )
    return max(stacks, key=lambda found: len(found[1]), default=None)


def _stack(network: nn.Module) -> tuple[str, nn.ModuleList]:
    found = stack(network)
    if found is None:
        raise InvalidInputError(
            "fine_tuning_arguments",
            f"a {type(network).__name__}, in which no list of layers was found",
            "a model with a list of layers, or fine_tuning_arguments=None",
        )
    return found


def _shared_behind(network: nn.Module, path: str) -> list[str]:
    """Return the names of the modules beside the layers that are used by all of them."""
    parent, _, own = path.rpartition(".")
    children = list(network.get_submodule(parent).named_children())
    position = [name for name, _ in children].index(own)
    behind = children[position + 1 :]
    if not any(isinstance(module, nn.Embedding) for _, module in behind):
        return []
    return [f"{parent}.{name}" for name, _ in behind]


def word_embedding(network: Any) -> nn.Embedding | None:
    """Return the embedding of a network's tokens, if it has a plain one."""
    try:
        found = network.get_input_embeddings()
    except NotImplementedError:
        return None
    return found if isinstance(found, nn.Embedding) else None


def unfreeze_top(network: nn.Module, count: int | None) -> None:
    """Unfreeze the `count` uppermost layers (None: all), and freeze those below."""
    if count is None:
        network.requires_grad_(requires_grad=True)
        return
    found = layers(network)
    for height, layer in enumerate(reversed(found)):
        for parameter in layer:
            parameter.requires_grad = height < count


def adamw(network: nn.Module, lr: float, arguments: FineTuningArguments | None) -> Optimizer:
    """Return AdamW for a network; with fine-tuning arguments, each layer is a parameter group.

    Raises
    ------
    InvalidInputError
        If all layers would be trained from the beginning, so that none is left to be unfrozen.
    """
    groups: list[dict[str, Any]] = [{"params": trained_parameters(network)}]
    if arguments is not None:
        groups = list(_groups(layers(network), arguments))
    fused = can_be_fused(parameter for group in groups for parameter in group["params"])
    return AdamW(groups, lr=lr if arguments is None else arguments.base_lr, eps=1e-8, fused=fused)


def _groups(found: list[Layer], arguments: FineTuningArguments) -> Iterator[dict[str, Any]]:
    first = arguments.unfrozen_layers(epoch=1)
    if first is not None and first >= len(found):
        allowed = f"less than {len(found)}, the number of layers of the model, embeddings and head included"
        raise InvalidInputError("gradual_unfreezing", brief(first), allowed, "-1 trains all layers at once.")
    for height, layer in enumerate(reversed(found)):
        yield {"params": layer, "lr": arguments.base_lr * arguments.decay**height}


def linear_decay(optimizer: Optimizer, total_steps: int, rising: float = 0.0) -> LambdaLR:
    """Return a scheduler that lets the learning rates rise for a share of the steps, and then fall to 0, linearly.

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
    peak = int(total_steps * rising)

    def factor(step: int) -> float:
        if step < peak:
            return (step + 1) / (peak + 1)
        return max(total_steps - step, 0) / max(total_steps - peak, 1)

    return LambdaLR(optimizer, factor)


def prepare(network: Any) -> nn.Module:
    """Return a network whose last layer computes the first token alone within `first_token_alone`.

    The heads of BERT and related models look at no other token. The last layer needs the others as keys and values
    of its attention; what comes after that, three quarters of its work, is computed for the first token only.
    Results and gradients are the same, up to rounding.
    """
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
    """Compute only the first token in the last layer of prepared networks, in this thread."""
    token = _ALONE.set(True)
    try:
        yield
    finally:
        _ALONE.reset(token)


def _first_token(_: nn.Module, given: tuple[Any, ...]) -> tuple[Any, ...] | None:
    """Keep the first token of the inputs of a module, tensors of shape (n, tokens, ...)."""
    if not _ALONE.get():
        return None
    return tuple(one[:, :1] if isinstance(one, torch.Tensor) else one for one in given)
