"""Losses and accuracies, and how class weights and text weights count in them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from torch import nn
from torch.nn import functional

from smalltext_core.errors import SmallTextError
from smalltext_core.labels import Labels
from smalltext_torch.batching import Batch, Ragged, RowNumbers, make_batch, prediction_batches, token_budget
from smalltext_torch.device import Precision, inference


class DivergedError(SmallTextError, ArithmeticError):
    """The loss or a weight is no longer a finite number; the classifier is left unchanged."""


@dataclass(frozen=True)
class Loss:
    """The loss of a classifier: cross-entropy, or binary cross-entropy for each label (multi-label).

    Parameters
    ----------
    multi_label : bool
    class_weights : ndarray of float64, shape (num_classes,), optional
        See `smalltext_core.validation`; multi-label, it is the `pos_weight` of torch.
    threshold : float or ndarray of float, shape (num_classes,), default=0.5
        The probability above which a label counts as predicted (multi-label).
    """

    multi_label: bool
    class_weights: NDArray[np.float64] | None = None
    threshold: float | NDArray[np.float64] = 0.5

    def text_weights(self, y: Labels, weights: NDArray[np.float64] | None = None) -> NDArray[np.float32] | None:
        """Return the weight of each text's loss: the text's weight times that of its class.

        The weights have a mean of 1, so that the weighted mean over all texts is their sum divided by n, and the
        gradient of a batch grows with the weights of its texts.
        """
        combined = np.ones(y.shape[0]) if weights is None else weights
        if self.class_weights is not None and not self.multi_label:
            combined = combined * self.class_weights[y]
        elif weights is None:
            return None
        combined = combined / combined.max()
        scaled: NDArray[np.float32] = (combined / combined.mean()).astype(np.float32)
        return scaled

    def targets(self, y: Labels, device: torch.device) -> torch.Tensor:
        """Return labels as the loss expects them: int64, shape (n,), or float32, shape (n, num_classes)."""
        if not self.multi_label:
            return torch.from_numpy(y.astype(np.int64)).to(device, non_blocking=True)
        sparse: csr_matrix = y
        return torch.from_numpy(sparse.toarray().astype(np.float32)).to(device, non_blocking=True)

    def of_texts(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Return the loss of each text, float32 of shape (n,); of a multi-label text, the mean over labels."""
        logits = logits.float()
        if not self.multi_label:
            return functional.cross_entropy(logits, targets, reduction="none")
        weights = self.class_weights
        positive = None if weights is None else torch.tensor(weights, dtype=logits.dtype, device=logits.device)
        losses = functional.binary_cross_entropy_with_logits(
            logits, targets, reduction="none", pos_weight=positive
        )
        return losses.mean(dim=1)

    def hits(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Return the accuracy of each text, shape (n,): 0 or 1; the share of right labels (multi-label)."""
        if not self.multi_label:
            return (logits.argmax(dim=1) == targets).float()
        threshold = torch.as_tensor(self.threshold, dtype=torch.float32, device=logits.device)
        return ((logits.float().sigmoid() > threshold) == targets.bool()).float().mean(dim=1)

    def probabilities(self, logits: torch.Tensor) -> torch.Tensor:
        """Return the probabilities of logits, as float32: their softmax or (multi-label) sigmoid."""
        return logits.float().sigmoid() if self.multi_label else logits.float().softmax(dim=-1)

    def logits(self, probabilities: torch.Tensor) -> torch.Tensor:
        """Return logits of probabilities: the inverse of `probabilities`."""
        least = torch.finfo(torch.float32).tiny
        given = torch.log(probabilities.clamp(min=least))
        return given - torch.log((1 - probabilities).clamp(min=least)) if self.multi_label else given


@dataclass(frozen=True)
class Examples:
    """Labelled texts as token ids, and the weight of each text's loss, if any (see `Loss.text_weights`)."""

    texts: Ragged
    y: Labels
    weights: NDArray[np.float32] | None = None

    def weights_of(self, rows: RowNumbers, device: torch.device) -> torch.Tensor | None:
        """Return the weights of some texts, on a device."""
        return None if self.weights is None else torch.from_numpy(self.weights[rows]).to(device)

    def __len__(self) -> int:
        """Return the number of texts."""
        return len(self.texts)


class RunningMetrics:
    """Losses and accuracies of up to `count` texts, collected batch by batch without waiting for the device.

    The memory is allocated at the beginning: small tensors that are allocated among those of a batch would
    fragment it.
    """

    def __init__(self, count: int, device: torch.device) -> None:
        self._losses, self._hits, self._weights = torch.ones(3, count, device=device)
        self._seen = 0
        self._last = slice(0)

    def add(self, losses: torch.Tensor, hits: torch.Tensor, weights: torch.Tensor | None) -> None:
        """Add the texts of a batch."""
        self._last = slice(self._seen, self._seen + len(losses))
        self._seen += len(losses)
        self._losses[self._last] = losses
        self._hits[self._last] = hits
        if weights is not None:
            self._weights[self._last] = weights

    def last_loss(self, epoch: int) -> float:
        """Return the mean loss of the last batch, or raise DivergedError if it is not finite."""
        return _finite(float(self._losses[self._last].mean()), f"The training loss in epoch {epoch}")

    def means(self, name: str) -> tuple[float, float]:
        """Return the (weighted) mean loss over texts, which has to be finite, and the mean accuracy."""
        losses, hits, weights = (
            values[: self._seen].cpu().double() for values in (self._losses, self._hits, self._weights)
        )
        loss = float((losses * weights).sum() / weights.sum())
        return _finite(loss, name), float(hits.mean())


def evaluate(
    forward: Callable[[Batch], torch.Tensor],
    network: nn.Module,
    loss: Loss,
    examples: Examples,
    precision: Precision,
    padding: int = 0,
) -> RunningMetrics:
    """Compute losses and accuracies of labelled texts with a network, in evaluation mode."""
    device = precision.device
    metrics = RunningMetrics(len(examples), device)
    for rows in prediction_batches(examples.texts.lengths, token_budget(device), precision.widths):
        with inference(network, precision):
            targets = loss.targets(examples.y[rows], device)
            logits = forward(make_batch(examples.texts, rows, device, padding, precision.widths))
            weights = examples.weights_of(rows, device)
            metrics.add(loss.of_texts(logits, targets), loss.hits(logits, targets), weights)
    return metrics


def _finite(loss: float, name: str) -> float:
    if not math.isfinite(loss):
        raise DivergedError(advice(f"{name} is {loss}: it"))
    return loss


def advice(what: str) -> str:
    """Return the message of a DivergedError."""
    return (
        f"{what} is not a finite number any more. Training was given up; the classifier is what it was before. "
        "A lower learning rate (lr) usually helps."
    )
