"""The classification head: a linear layer on embeddings, fitted by logistic regression or trained by gradients."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from torch import nn

from smalltext_core.calibration import (
    Calibration,
    fit_logistic,
    fit_temperature,
    prior_temperature,
    stratified_folds,
)
from smalltext_core.conversion import is_number, is_whole
from smalltext_core.errors import InvalidInputError
from smalltext_core.labels import Labels, is_multi_label
from smalltext_core.messages import brief, shown
from smalltext_core.probabilities import choose_thresholds
from smalltext_core.validation import check_flag, check_positive, check_within
from smalltext_setfit.training_args import HeadTrainingArgs
from smalltext_torch.device import Randomness
from smalltext_torch.inference import DivergedError, Loss
from smalltext_torch.training_set import is_auto

DIFFERENTIABLE_PARAMETERS = {"temperature": 1.0, "eps": 1e-5, "bias": True}
"""The parameters of a differentiable head, and their defaults."""

C_OF_ONE_TEXT = 20.0
"""The `C` "auto" for one text per class; for n texts per class, it is divided by the cube root of n.

The embeddings are first scaled to a mean squared distance of 1 from their mean. Otherwise a fixed C would give
nearly uniform probabilities if contrastive training has moved all texts close together; and encoders without
normalization differ in scale.
"""

MIN_VARIANCE = 1e-12
"""Lower bound of the mean squared distance before scaling, for embeddings that are equal up to rounding."""

FOLDS = 5
"""The number of folds of out-of-fold predictions."""

MAX_LOGIT = 10.0
"""The maximum out-of-fold logit; the logit of a label without texts in a fold would be infinite."""

USUAL_TEMPERATURE, CLASS_EXPONENT = 0.9, 0.3
"""The usual temperature of a logistic regression of two classes with the `C` "auto", and the exponent of its
decrease with the number of classes; see decision 35."""

BOUNDS = (0.25, 4.0)
"""The lowest and the highest temperature."""

_TRIAL_CLASSES = 3
"""Number of classes of the trial fit that checks `head_params`: more than two, since two are a special case."""

_TRIAL_STEPS = 100
"""Maximum number of steps of the solver in the trial fit."""


@dataclass(frozen=True)
class HeadSettings:
    """The kind of head, logistic regression or a differentiable head; `parameters` are the `head_params`."""

    num_classes: int
    differentiable: bool
    parameters: Mapping[str, Any]
    batch_size: int

    @property
    def temperature(self) -> float:
        """The divisor of the logits of a differentiable head."""
        chosen = {**DIFFERENTIABLE_PARAMETERS, **self.parameters}
        return float(chosen["temperature"]) + float(chosen["eps"])


@dataclass(frozen=True)
class HeadTargets:
    """The labels and weights of n texts; the weights include class weights unless the problem is multi-label."""

    y: Labels
    weights: NDArray[np.float32] | None
    loss: Loss

    def take(self, rows: NDArray[np.intp]) -> HeadTargets:
        """Return the labels and weights of some texts."""
        return HeadTargets(self.y[rows], None if self.weights is None else self.weights[rows], self.loss)


@dataclass(frozen=True)
class HeldOut:
    """Labelled texts that a network was not trained on: their logits, labels and weights."""

    logits: NDArray[np.float32]
    y: NDArray[np.integer[Any]]
    weights: NDArray[np.float32] | None

    @classmethod
    def of(cls, head: nn.Linear, embeddings: NDArray[np.float32], targets: HeadTargets) -> HeldOut:
        """Return texts with the logits from a head that was fitted without them."""
        return cls(logits_of(head, embeddings), targets.y, targets.weights)


def check_head_params(settings: HeadSettings, multi_label: bool) -> None:
    """Reject parameters that the head does not have, or that a trial fit of logistic regression rejects."""
    parameters, differentiable = settings.parameters, settings.differentiable
    num_classes = 2 if multi_label else settings.num_classes
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
            # Convergence on these few points is irrelevant.
            warnings.simplefilter("ignore", ConvergenceWarning)
            count = min(num_classes, _TRIAL_CLASSES)
            trial = LogisticRegression(**_trial_parameters(parameters, num_classes))
            trial.fit(np.eye(count), np.arange(count))
    except (TypeError, ValueError) as error:
        given = f"{brief(dict(parameters))}, which LogisticRegression refuses"
        allowed = "parameters that it can be fitted with"
        raise InvalidInputError("head_params", given, allowed, str(error)) from error


def _trial_parameters(parameters: Mapping[str, Any], num_classes: int) -> dict[str, Any]:
    """Return parameters for a trial fit with few classes and few steps."""
    chosen = dict(parameters)
    if is_auto(chosen.get("C")):
        chosen["C"] = 1.0
    steps = chosen.get("max_iter")
    if isinstance(steps, (int, np.integer)):
        # A saved model may ask for any number of steps, and `load` runs this trial.
        chosen["max_iter"] = min(steps, _TRIAL_STEPS)
    weights = chosen.get("class_weight")
    if isinstance(weights, Mapping):
        for label, weight in weights.items():
            known = is_whole(label) and 0 <= label < num_classes
            if not known or not is_number(weight) or not 0 <= weight < np.inf:
                raise ValueError(f"class_weight has the entry {brief(label)}: {brief(weight)}")
        chosen["class_weight"] = {label: weight for label, weight in weights.items() if label < _TRIAL_CLASSES}
    return chosen


def _ignore(_: int) -> None:
    """Show no progress."""


def fit_head(
    embeddings: NDArray[np.float32],
    targets: HeadTargets,
    settings: HeadSettings,
    args: HeadTrainingArgs,
    randomness: Randomness,
    advance: Callable[[int], object] = _ignore,
) -> nn.Linear:
    """Fit a linear layer, on the CPU, that maps embeddings of shape (n, dimensions) to logits.

    `advance` is called with the number of texts of each training step.

    Raises
    ------
    DivergedError
        If the weights of the layer are not finite.
    """
    if not settings.differentiable:
        seed = int(randomness.order.integers(2**31))
        return check_finite(_fit_logistic_regression(embeddings, targets, settings, seed))
    with randomness.network.as_global():
        head = make_differentiable_head(embeddings.shape[1], settings)
    inputs = torch.from_numpy(embeddings)
    train_by_gradients(
        lambda rows: head(inputs[rows]) / settings.temperature,
        [{"params": list(head.parameters()), "lr": args.learning_rate}],
        targets,
        args,
        settings.batch_size,
        randomness.order,
        advance,
    )
    return with_temperature(head, settings.temperature)


def logits_of(head: nn.Linear, embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the logits of embeddings, shape (n, num_classes)."""
    with torch.inference_mode():
        logits: NDArray[np.float32] = head(torch.from_numpy(embeddings).to(head.weight.device)).cpu().numpy()
    return logits


def out_of_fold_logits(
    embeddings: NDArray[np.float32],
    targets: HeadTargets,
    settings: HeadSettings,
    args: HeadTrainingArgs,
    randomness: Randomness,
) -> NDArray[np.float32]:
    """Return the logits of each text from a head that was fitted to the other folds."""
    folds = stratified_folds(targets.y, FOLDS, randomness.split)
    logits = np.empty((len(embeddings), settings.num_classes), dtype=np.float32)
    for fold in range(FOLDS):
        rows, held_out = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        head = fit_head(embeddings[rows], targets.take(rows), settings, args, randomness)
        logits[held_out] = logits_of(head, embeddings[held_out])
    return logits.clip(-MAX_LOGIT, MAX_LOGIT)


def calibrate_head(
    embeddings: NDArray[np.float32],
    targets: HeadTargets,
    held_out: HeldOut | Calibration | None,
    settings: HeadSettings,
    args: HeadTrainingArgs,
    randomness: Randomness,
    *,
    calibrate: bool,
    choose: bool,
) -> tuple[Calibration | None, NDArray[np.float64] | None]:
    """Return the calibration of a head that was fitted to these embeddings, and multi-label thresholds.

    The temperature is fitted on held-out texts; without any, it is the usual temperature. A known calibration is
    kept. Multi-label problems use Platt scaling, and thresholds if requested, fitted on out-of-fold logits; with
    class weights there is no Platt scaling, which would undo them.
    """
    if not targets.loss.multi_label:
        if not calibrate or isinstance(held_out, Calibration):
            return (held_out if isinstance(held_out, Calibration) else None), None
        usual = 1.0
        if is_auto(settings.parameters.get("C")):
            usual = USUAL_TEMPERATURE * (2 / len(np.unique(targets.y))) ** CLASS_EXPONENT
        if held_out is None:
            return prior_temperature(usual), None
        found = held_out.logits, held_out.y, held_out.weights
        return fit_temperature(*found, prior_mean=math.log(usual), bounds=BOUNDS), None
    calibrate = calibrate and targets.loss.class_weights is None
    if not (calibrate or choose) or len(embeddings) < 2 * FOLDS:
        return None, None
    logits = out_of_fold_logits(embeddings, targets, settings, args, randomness)
    calibration = fit_logistic(logits, targets.y, targets.weights) if calibrate else None
    proba = 1 / (1 + np.exp(-logits)) if calibration is None else calibration.probabilities(logits)
    return calibration, choose_thresholds(proba, targets.y, targets.weights) if choose else None


def calibrated(head: nn.Linear, calibration: Calibration) -> nn.Linear:
    """Return a head whose logits are calibrated."""
    weight, bias = (tensor.detach().cpu().double().numpy() for tensor in (head.weight, head.bias))
    scale = np.array(calibration.scale)
    return make_linear(weight * scale[:, None], bias * scale + calibration.offset).to(head.weight.device)


def check_finite(head: nn.Linear) -> nn.Linear:
    """Return a trained head, or raise DivergedError if its weights are not finite."""
    if not torch.isfinite(head.weight).all() or torch.isnan(head.bias).any():
        raise DivergedError(
            "The weights of the head are no longer finite numbers; lower head_learning_rate. "
            "The classifier is unchanged."
        )
    return head


def make_differentiable_head(dimensions: int, settings: HeadSettings) -> nn.Linear:
    """Return a differentiable head, initialized as setfit does."""
    bias = bool({**DIFFERENTIABLE_PARAMETERS, **settings.parameters}["bias"])
    head = nn.Linear(dimensions, settings.num_classes, bias=bias)
    nn.init.xavier_uniform_(head.weight)
    if head.bias is not None:
        nn.init.constant_(head.bias, 1e-2)
    return head


def with_temperature(head: nn.Linear, temperature: float) -> nn.Linear:
    """Return a layer, on the CPU, whose logits are those of a differentiable head divided by a temperature."""
    weight = head.weight.detach().cpu() / temperature
    bias = torch.zeros(len(weight)) if head.bias is None else head.bias.detach().cpu() / temperature
    return check_finite(make_linear(weight.numpy(), bias.numpy()))


def make_linear(weight: NDArray[np.floating[Any]], bias: NDArray[np.floating[Any]]) -> nn.Linear:
    """Return a linear layer with these weights."""
    # A layer that is created on the meta device draws no random weights from the global generator.
    layer = nn.Linear(weight.shape[1], weight.shape[0], device="meta", dtype=torch.float32).to_empty(device="cpu")
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(np.ascontiguousarray(weight, dtype=np.float32)))
        layer.bias.copy_(torch.from_numpy(np.ascontiguousarray(bias, dtype=np.float32)))
    return layer.requires_grad_(requires_grad=False)


def _fit_logistic_regression(
    embeddings: NDArray[np.float32], targets: HeadTargets, settings: HeadSettings, seed: int
) -> nn.Linear:
    """Return a layer whose softmax, or sigmoid (multi-label), gives the probabilities of logistic regression.

    A class without texts has a bias of minus infinity, so that its probability is 0; a label that all texts have
    has a bias of plus infinity.
    """
    y, loss = targets.y, targets.loss
    weight = np.zeros((settings.num_classes, embeddings.shape[1]))
    bias = np.full(settings.num_classes, -np.inf)
    parameters = {"max_iter": 1000, **settings.parameters}
    center, deviation = np.zeros(embeddings.shape[1]), 1.0
    if is_auto(parameters.get("C")):
        # At unit variance the solver converges, and the same C suits all encoders.
        center = embeddings.mean(axis=0, dtype=np.float64)
        deviation = math.sqrt(max(embeddings.var(axis=0, dtype=np.float64).sum(), MIN_VARIANCE))
        embeddings = (embeddings - center) / deviation
    if not is_multi_label(y):
        regression = _regression(parameters, len(y) / len(np.unique(y)), seed)
        with warnings.catch_warnings():
            # Labels are classes, however few texts each class has.
            warnings.filterwarnings("ignore", "The number of unique classes is greater", UserWarning)
            fitted = regression.fit(embeddings, y, sample_weight=targets.weights)
        if len(fitted.classes_) == 2:
            halves = np.array([-0.5, 0.5])
            weight[fitted.classes_] = halves[:, None] * fitted.coef_
            bias[fitted.classes_] = halves * fitted.intercept_
        else:
            weight[fitted.classes_], bias[fitted.classes_] = fitted.coef_, fitted.intercept_
        return make_linear(weight / deviation, bias - weight @ center / deviation)
    for label, applies in enumerate(y.toarray().T > 0):
        if applies.all() or not applies.any():
            bias[label] = np.inf if applies.all() else -np.inf
            continue
        weights = np.ones(len(applies)) if targets.weights is None else targets.weights.astype(np.float64)
        if loss.class_weights is not None:
            weights = weights * np.where(applies, loss.class_weights[label], 1.0)
        regression = _regression(parameters, int(applies.sum()), seed)
        fitted = regression.fit(embeddings, applies, sample_weight=weights)
        weight[label], bias[label] = fitted.coef_[0], fitted.intercept_[0]
    return make_linear(weight / deviation, bias - weight @ center / deviation)


def _regression(parameters: Mapping[str, Any], texts: float, seed: int) -> LogisticRegression:
    """Return an unfitted logistic regression for a number of texts per class."""
    chosen = dict(parameters)
    if is_auto(chosen.get("C")):
        chosen["C"] = C_OF_ONE_TEXT / texts ** (1 / 3)
    return LogisticRegression(**chosen, random_state=seed)


def train_by_gradients(
    logits_of: Callable[[NDArray[np.intp]], torch.Tensor],
    parameter_groups: list[dict[str, Any]],
    targets: HeadTargets,
    args: HeadTrainingArgs,
    batch_size: int,
    order: np.random.Generator,
    advance: Callable[[int], object],
) -> None:
    """Train as setfit trains a differentiable head: with AdamW, halving the learning rate every five epochs.

    `logits_of` returns the logits of rows, shape (n, num_classes); `order` shuffles the texts of each epoch;
    `advance` is called with the number of texts of each training step.
    """
    optimizer = torch.optim.AdamW(parameter_groups, weight_decay=args.l2_weight)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=5, gamma=0.5)
    device, count = parameter_groups[0]["params"][0].device, targets.y.shape[0]
    labels = targets.loss.targets(targets.y, device)
    weights = np.ones(count, dtype=np.float32) if targets.weights is None else targets.weights
    text_weights = torch.from_numpy(weights).to(device)
    for _ in range(args.num_epochs):
        shuffled = order.permutation(count)
        for start in range(0, count, batch_size):
            rows = shuffled[start : start + batch_size]
            optimizer.zero_grad()
            losses = targets.loss.per_text(logits_of(rows), labels[rows]) * text_weights[rows]
            losses.mean().backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            advance(len(rows))
        scheduler.step()
