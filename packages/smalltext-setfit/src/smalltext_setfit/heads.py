"""The linear layer that tells classes apart by their embeddings: by logistic regression, or by gradients."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from torch import nn

from smalltext_core.errors import InvalidInputError
from smalltext_core.labels import Labels, is_multi_label
from smalltext_core.messages import brief, shown
from smalltext_core.validation import check_flag, check_positive, check_within
from smalltext_core.values import is_number, is_whole
from smalltext_setfit.keywords import HeadTraining
from smalltext_torch.losses import Loss
from smalltext_torch.randomness import Randomness

Advance = Callable[[int], object]
"""Is told of how many more texts have been seen."""

DIFFERENTIABLE_PARAMETERS = {"temperature": 1.0, "eps": 1e-5, "bias": True}
"""What `head_params` may say of a differentiable head, and what it is otherwise."""


_PROBED = 3
"""With how many classes `head_params` are tried out: several are another problem than two, thousands are not."""

_PROBED_STEPS = 100
"""How many steps of its solver that takes at most."""


def check_head_params(parameters: Mapping[str, Any], differentiable: bool, num_classes: int) -> None:
    """Refuse parameters that the head does not have, or cannot be fitted with, before anything else takes long."""
    known = list(DIFFERENTIABLE_PARAMETERS if differentiable else LogisticRegression().get_params())
    unknown = sorted(set(parameters) - set(known))
    if unknown:
        kind = "a differentiable head" if differentiable else "LogisticRegression"
        raise InvalidInputError("head_params", shown(unknown[0]), f"parameters of {kind}: {', '.join(known)}")
    if differentiable:
        chosen = {**DIFFERENTIABLE_PARAMETERS, **parameters}
        check_positive("temperature", chosen["temperature"])
        check_within("eps", chosen["eps"], 0)
        check_flag("bias", chosen["bias"])
        return
    try:
        with warnings.catch_warnings():
            # Whether it converges on these few points tells nothing.
            warnings.simplefilter("ignore", ConvergenceWarning)
            count = min(num_classes, _PROBED)
            LogisticRegression(**_for_probe(parameters, num_classes)).fit(np.eye(count), np.arange(count))
    except (TypeError, ValueError) as error:
        given = f"{brief(dict(parameters))}, which LogisticRegression refuses"
        raise InvalidInputError(
            "head_params", given, "parameters that it can be fitted with", str(error)
        ) from error


def _for_probe(parameters: Mapping[str, Any], num_classes: int) -> dict[str, Any]:
    """Return the parameters of a regression of a few classes that is like one of all of them."""
    chosen = dict(parameters)
    steps = chosen.get("max_iter")
    if isinstance(steps, (int, np.integer)):
        # A saved model may ask for any number of steps, and `load` runs this trial.
        chosen["max_iter"] = min(steps, _PROBED_STEPS)
    weights = chosen.get("class_weight")
    if isinstance(weights, Mapping):
        for label, weight in weights.items():
            known = is_whole(label) and 0 <= label < num_classes
            if not known or not is_number(weight) or not 0 <= weight < np.inf:
                raise ValueError(f"class_weight has the entry {brief(label)}: {brief(weight)}")
        chosen["class_weight"] = {label: weight for label, weight in weights.items() if label < _PROBED}
    return chosen


def new_head(dimensions: int, num_classes: int, parameters: Mapping[str, Any]) -> nn.Linear:
    """Return a differentiable head as setfit begins with one."""
    head = nn.Linear(dimensions, num_classes, bias=bool({**DIFFERENTIABLE_PARAMETERS, **parameters}["bias"]))
    nn.init.xavier_uniform_(head.weight)
    if head.bias is not None:
        nn.init.constant_(head.bias, 1e-2)
    return head


def temperature(parameters: Mapping[str, Any]) -> float:
    """Return what the logits of a differentiable head are divided by."""
    chosen = {**DIFFERENTIABLE_PARAMETERS, **parameters}
    return float(chosen["temperature"]) + float(chosen["eps"])


@dataclass(frozen=True)
class HeadSettings:
    """What kind of head is fitted.

    Parameters
    ----------
    num_classes : int
    differentiable : bool
        Whether it is trained by gradients.
    parameters : mapping
        What the caller wants otherwise than usual: see `check_head_params`.
    batch_size : int
        How many texts a step of training by gradients sees.
    """

    num_classes: int
    differentiable: bool
    parameters: Mapping[str, Any] = field(default_factory=dict)
    batch_size: int = 32


@dataclass(frozen=True)
class LabelledRows:
    """The labels that a head is fitted to, and how much each counts.

    Parameters
    ----------
    y : ndarray of int, shape (n,), or csr_matrix, shape (n, num_classes)
    weights : ndarray of float32, shape (n,), or None
        How much each text counts, its class included.
    loss : Loss
        Multi-label, it says how much the texts count that a label applies to.
    """

    y: Labels
    weights: NDArray[np.float32] | None
    loss: Loss


def fit_head(
    embeddings: NDArray[np.float32],
    rows: LabelledRows,
    settings: HeadSettings,
    how: HeadTraining,
    randomness: Randomness,
    advance: Advance,
) -> nn.Linear:
    """Return a layer, on the CPU, that turns embeddings, shape (n, dimensions), into logits of their labels."""
    if not settings.differentiable:
        seed = int(randomness.order.integers(2**31))
        layer = fit_logistic_regression(embeddings, rows, settings.num_classes, settings.parameters, seed)
        advance(len(embeddings))
        return layer
    with randomness.network.lent():
        head = new_head(embeddings.shape[1], settings.num_classes, settings.parameters)
    given, divisor = torch.from_numpy(embeddings), temperature(settings.parameters)
    train_by_gradients(
        lambda numbers: head(given[numbers]) / divisor,
        [{"params": list(head.parameters()), "lr": how.learning_rate}],
        rows,
        how,
        settings.batch_size,
        randomness.order,
        advance,
    )
    return scaled(head, divisor)


def scaled(head: nn.Linear, divisor: float) -> nn.Linear:
    """Return a layer whose logits are those of a head, divided."""
    weight = head.weight.detach().cpu() / divisor
    bias = torch.zeros(len(weight)) if head.bias is None else head.bias.detach().cpu() / divisor
    return linear(weight.numpy(), bias.numpy())


def linear(weight: NDArray[np.floating[Any]], bias: NDArray[np.floating[Any]]) -> nn.Linear:
    """Return a linear layer with these weights."""
    # Made without memory at first, a layer draws no random weights from the global generator.
    layer = nn.Linear(weight.shape[1], weight.shape[0], device="meta").to_empty(device="cpu")
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(np.ascontiguousarray(weight, dtype=np.float32)))
        layer.bias.copy_(torch.from_numpy(np.ascontiguousarray(bias, dtype=np.float32)))
    return layer.requires_grad_(requires_grad=False)


def fit_logistic_regression(
    embeddings: NDArray[np.float32], rows: LabelledRows, num_classes: int, parameters: Mapping[str, Any], seed: int
) -> nn.Linear:
    """Return the layer whose softmax or (multi-label) sigmoid is what logistic regression says.

    A class that no text has gets a bias of minus infinity, so that its probability is 0; a label that applies to
    all texts one of plus infinity.
    """
    y, loss = rows.y, rows.loss
    weight = np.zeros((num_classes, embeddings.shape[1]))
    bias = np.full(num_classes, -np.inf)
    regression = LogisticRegression(**{"max_iter": 1000, **parameters}, random_state=seed)
    if not is_multi_label(y):
        fitted = regression.fit(embeddings, y, sample_weight=rows.weights)
        if len(fitted.classes_) == 2:
            halves = np.array([-0.5, 0.5])
            weight[fitted.classes_] = halves[:, None] * fitted.coef_
            bias[fitted.classes_] = halves * fitted.intercept_
        else:
            weight[fitted.classes_], bias[fitted.classes_] = fitted.coef_, fitted.intercept_
        return linear(weight, bias)
    for label, applies in enumerate(y.toarray().T > 0):
        if applies.all() or not applies.any():
            bias[label] = np.inf if applies.all() else -np.inf
            continue
        of_text = np.ones(len(applies)) if rows.weights is None else rows.weights.astype(np.float64)
        if loss.class_weights is not None:
            of_text = of_text * np.where(applies, loss.class_weights[label], 1.0)
        fitted = regression.fit(embeddings, applies, sample_weight=of_text)
        weight[label], bias[label] = fitted.coef_[0], fitted.intercept_[0]
    return linear(weight, bias)


def train_by_gradients(
    logits_of: Callable[[NDArray[np.intp]], torch.Tensor],
    groups: list[dict[str, Any]],
    rows: LabelledRows,
    how: HeadTraining,
    batch_size: int,
    order: np.random.Generator,
    advance: Advance,
) -> None:
    """Train as setfit trains a differentiable head: AdamW, whose rate is halved every five epochs.

    Parameters
    ----------
    logits_of : callable
        Turns row numbers into logits, shape (n, num_classes).
    groups : list of dict
        What is trained, and at what rates, as optimizers of torch take it.
    rows : LabelledRows
    how : HeadTraining
    batch_size : int
    order : numpy.random.Generator
    advance : callable
    """
    optimizer = torch.optim.AdamW(groups, weight_decay=how.l2_weight)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=5, gamma=0.5)
    device, count = groups[0]["params"][0].device, rows.y.shape[0]
    targets = rows.loss.targets(rows.y, device)
    weights = np.ones(count, dtype=np.float32) if rows.weights is None else rows.weights
    counts = torch.from_numpy(weights).to(device)
    for _ in range(how.num_epochs):
        shuffled = order.permutation(count)
        for start in range(0, count, batch_size):
            numbers = shuffled[start : start + batch_size]
            optimizer.zero_grad()
            losses = rows.loss.of_texts(logits_of(numbers), targets[numbers]) * counts[numbers]
            losses.mean().backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            advance(len(numbers))
        scheduler.step()
