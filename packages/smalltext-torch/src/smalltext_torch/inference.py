"""Inference with a network in batches: logits, losses, and calibrated probabilities.

Dropout can be active (Monte Carlo sampling): Gal and Ghahramani (2016), Dropout as a Bayesian Approximation.
https://proceedings.mlr.press/v48/gal16.html
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from torch import nn
from torch.nn import functional

from smalltext_core.calibration import Calibration
from smalltext_core.conversion import is_whole
from smalltext_core.dataset import Dataset
from smalltext_core.errors import PluginError, SmallTextError
from smalltext_core.labels import Labels
from smalltext_core.messages import shown
from smalltext_core.probabilities import Probabilities
from smalltext_torch.batching import Batch, Ragged, RowNumbers, make_batch, prediction_batches
from smalltext_torch.device import (
    Precision,
    TorchRandomness,
    inference,
    token_budget,
    with_dropout,
)
from smalltext_torch.progress import progress_bar
from smalltext_torch.training_set import Examples


class DivergedError(SmallTextError, ArithmeticError):
    """The loss or a weight is no longer finite; the classifier is left unchanged."""


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
    calibration : Calibration, optional
        The calibration of the logits before they become probabilities; `per_text` and `accuracies` ignore it.
    """

    multi_label: bool
    class_weights: NDArray[np.float64] | None = None
    threshold: float | NDArray[np.float64] = 0.5
    calibration: Calibration | None = None

    def text_weights(self, y: Labels, weights: NDArray[np.float64] | None = None) -> NDArray[np.float32] | None:
        """Return the weight of each text's loss: the text's weight times that of its class.

        The weights have a mean of 1, so that the weighted mean loss over all texts is the weighted sum divided by
        n, and the gradient of a batch is proportional to the weights of its texts.
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

    def per_text(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Return the loss of each text, float32 of shape (n,): the mean over labels if multi-label."""
        logits = logits.float()
        if not self.multi_label:
            return functional.cross_entropy(logits, targets, reduction="none")
        weights = self.class_weights
        positive = None if weights is None else torch.tensor(weights, dtype=logits.dtype, device=logits.device)
        losses = functional.binary_cross_entropy_with_logits(
            logits, targets, reduction="none", pos_weight=positive
        )
        return losses.mean(dim=1)

    def accuracies(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Return the accuracy on each text, shape (n,): 0 or 1, or the share of correct labels (multi-label)."""
        if not self.multi_label:
            return (logits.argmax(dim=1) == targets).float()
        threshold = torch.as_tensor(self.threshold, dtype=torch.float32, device=logits.device)
        return ((logits.float().sigmoid() > threshold) == targets.bool()).float().mean(dim=1)

    def calibrated(self, logits: torch.Tensor) -> torch.Tensor:
        """Return calibrated logits, float32."""
        logits, fitted = logits.float(), self.calibration
        if fitted is None:
            return logits
        return logits * logits.new_tensor(fitted.scale) + logits.new_tensor(fitted.offset)

    def probabilities(self, logits: torch.Tensor) -> torch.Tensor:
        """Return calibrated probabilities, float32: the softmax or (multi-label) sigmoid of calibrated logits."""
        logits = self.calibrated(logits)
        return logits.sigmoid() if self.multi_label else logits.softmax(dim=-1)

    def logits(self, probabilities: torch.Tensor) -> torch.Tensor:
        """Return the calibrated logits of probabilities: the inverse of softmax or sigmoid."""
        least = torch.finfo(torch.float32).tiny
        given = torch.log(probabilities.clamp(min=least))
        return given - torch.log((1 - probabilities).clamp(min=least)) if self.multi_label else given


Total = Callable[[torch.Tensor], torch.Tensor]
"""Sums totals over the processes of data-parallel training; a single process returns them unchanged."""


class RunningMetrics:
    """Losses and accuracies of up to `count` texts, collected batch by batch without waiting for the device.

    The memory is allocated in advance: small tensors allocated between those of batches would fragment it.
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

    def last_loss(self, epoch: int, total: Total = torch.Tensor.cpu) -> float:
        """Return the mean loss of the last batch, or raise DivergedError if it is not finite."""
        losses = self._losses[self._last]
        loss, texts = total(torch.stack([losses.sum(), losses.new_tensor(len(losses))])).tolist()
        return _finite(loss / texts, f"The training loss in epoch {epoch}")

    def means(self, name: str, total: Total = torch.Tensor.cpu) -> tuple[float, float]:
        """Return the (weighted) mean loss over texts, which must be finite, and the mean accuracy."""
        losses, hits, weights = (
            values[: self._seen].cpu().double() for values in (self._losses, self._hits, self._weights)
        )
        sums = [(losses * weights).sum(), weights.sum(), hits.sum(), hits.new_tensor(self._seen)]
        loss, weight, right, texts = total(torch.stack(sums)).tolist()
        return _finite(loss / weight, name), right / texts


def evaluate(
    forward: Callable[[Batch], torch.Tensor],
    network: nn.Module,
    loss: Loss,
    examples: Examples,
    precision: Precision,
    padding: int = 0,
) -> RunningMetrics:
    """Compute losses and accuracies of labelled texts with a network, in evaluation mode."""
    device, multiple = precision.device, precision.width_multiple
    metrics = RunningMetrics(len(examples), device)
    for rows in prediction_batches(examples.texts.lengths, token_budget(device), multiple):
        with inference(network, precision):
            targets = loss.targets(examples.y[rows], device)
            logits = loss.calibrated(forward(make_batch(examples.texts, rows, device, padding, multiple)))
            weights = examples.weights_of(rows, device)
            metrics.add(loss.per_text(logits, targets), loss.accuracies(logits, targets), weights)
    return metrics


def _finite(loss: float, name: str) -> float:
    if not math.isfinite(loss):
        raise diverged(f"{name} is {loss}: it")
    return loss


def diverged(what: str) -> DivergedError:
    """Return the error for a loss or a weight that is not finite; its message begins with `what`."""
    return DivergedError(
        f"{what} is not a finite number. Training was stopped, and the classifier is unchanged. "
        "A lower learning rate (lr) usually helps."
    )


E = TypeVar("E", contravariant=True)
T = TypeVar("T")


class Backend(Protocol[E]):
    """The extension points of a `TorchClassifier` whose results are checked."""

    num_classes: int

    def encode(self, encoder: E, data_set: Dataset[Any]) -> Ragged: ...  # noqa: D102
    def training_texts(self, encoder: E, texts: Ragged, num_epochs: int) -> Ragged: ...  # noqa: D102
    def padding(self, encoder: E) -> int: ...  # noqa: D102
    def get_input_embeddings(self, network: nn.Module) -> nn.Embedding | None: ...  # noqa: D102
    def make_network(self, encoder: E) -> nn.Module: ...  # noqa: D102
    def precision_for(self, network: nn.Module, device: torch.device) -> Precision: ...  # noqa: D102


def check_returned(classifier: object, method: str, result: object, kind: type[T]) -> T:
    """Return what a method of a backend returned, or raise PluginError if it is of another type."""
    if not isinstance(result, kind):
        what = f"{type(classifier).__name__}.{method}() returned {shown(result, 80)}"
        raise PluginError(f"{what}; it must return an instance of {kind.__name__}.")
    return result


def encoded(classifier: Backend[E], encoder: E, data_set: Dataset[Any]) -> Ragged:
    """Return the encoded texts of a dataset, or raise PluginError unless there is one for each text."""
    return _one_for_each(classifier, "encode", classifier.encode(encoder, data_set), len(data_set))


def training_texts(classifier: Backend[E], encoder: E, texts: Ragged, num_epochs: int) -> Ragged:
    """Return the texts to train on, or raise PluginError unless there is one for each text."""
    chosen = classifier.training_texts(encoder, texts, num_epochs)
    return _one_for_each(classifier, "training_texts", chosen, len(texts))


def _one_for_each(classifier: object, method: str, result: object, count: int) -> Ragged:
    texts = check_returned(classifier, method, result, Ragged)
    if len(texts) != count:
        what = f"{type(classifier).__name__}.{method}() returned {len(texts)} sequences for {count} texts"
        raise PluginError(f"{what}; it must return one for each text, empty if the text has no tokens.")
    return texts


def padding(classifier: Backend[E], encoder: E) -> int:
    """Return the token id that batches are padded with, or raise PluginError if it is not an integer."""
    token = classifier.padding(encoder)
    return token if is_whole(token) else check_returned(classifier, "padding", token, int)


def input_embeddings(classifier: Backend[E], network: nn.Module) -> nn.Embedding | None:
    """Return the embedding of which only the rows in use are trained, if any, or raise PluginError."""
    embedding = classifier.get_input_embeddings(network)
    if embedding is None:
        return None
    return check_returned(classifier, "get_input_embeddings", embedding, nn.Embedding)


def new_network(classifier: Backend[E], encoder: E) -> nn.Module:
    """Return a new network, or raise PluginError if the backend returns something else."""
    return check_returned(classifier, "make_network", classifier.make_network(encoder), nn.Module)


def checked_logits(classifier: Backend[E], batch: Batch, logits: torch.Tensor) -> torch.Tensor:
    """Return the logits of a batch, or raise PluginError unless their shape is (n, num_classes)."""
    found = tuple(check_returned(classifier, "forward", logits, torch.Tensor).shape)
    expected = len(batch), classifier.num_classes
    if found != expected:
        what = f"{type(classifier).__name__}.forward() returned logits of shape {found}"
        raise PluginError(f"{what}; it must return {expected}: a row for each text, a column for each class.")
    return logits


def precision_for(classifier: Backend[E], network: nn.Module, device: torch.device) -> Precision:
    """Return the precision to compute in, or raise PluginError if the backend returns something else."""
    return check_returned(classifier, "precision_for", classifier.precision_for(network, device), Precision)


@runtime_checkable
class InferenceStrategy(Protocol):
    """How probabilities of texts are computed; `TorchClassifier.inference_strategy` chooses it."""

    def probabilities(self) -> Probabilities:
        """Return the probability of each class for each text, float32, shape (n, num_classes)."""
        ...

    def sampled_probabilities(self, samples: int, randomness: TorchRandomness) -> NDArray[np.float32]:
        """Return samples of the probabilities under dropout, float32, shape (n, samples, num_classes)."""
        ...


@dataclass(frozen=True)
class BatchInference:
    """Inference on texts in batches of similar length; results are in the order of the texts.

    Parameters
    ----------
    texts : Ragged
    precision : Precision
        The precision and the device to compute in.
    padding : int, default=0
        The token id that batches are padded with.
    description : str or None, default="predict"
        The label of the progress bar; None shows none.
    """

    texts: Ragged
    precision: Precision
    padding: int = 0
    description: str | None = "predict"

    def compute(
        self, network: nn.Module, function: Callable[[Batch], torch.Tensor], width: int
    ) -> NDArray[np.float32]:
        """Apply a function to all texts.

        Parameters
        ----------
        network : Module
            The network that the function uses; it is in evaluation mode during the call.
        function : callable
            Returns a tensor of shape (n, width) for a `Batch` of n texts.
        width : int

        Returns
        -------
        ndarray of float32, shape (len(texts), width)
        """
        results = np.empty((len(self.texts), width), dtype=np.float32)
        for rows, batch in self._batches():
            with inference(network, self.precision):
                results[rows] = function(batch).float().cpu().numpy()
        return results

    def sample(
        self, function: Callable[[Batch], torch.Tensor], samples: int, width: int, randomness: TorchRandomness
    ) -> NDArray[np.float32]:
        """Apply a function with active dropout to all texts several times, each time with a new dropout mask.

        Parameters
        ----------
        function : callable
            Returns a tensor of shape (n, width) for a `Batch` of n texts, using a network from `with_dropout`.
        samples : int
            The number of samples.
        width : int
        randomness : TorchRandomness
            The source of the dropout masks.

        Returns
        -------
        ndarray of float32, shape (len(texts), samples, width)
        """
        results = np.empty((len(self.texts), samples, width), dtype=np.float32)
        for rows, batch in self._batches():
            # A small batch is repeated, as far as the token budget allows, to draw several samples per pass.
            together = max(token_budget(self.precision.device) // batch.tokens.numel(), 1)
            for first in range(0, samples, together):
                times = min(together, samples - first)
                with torch.inference_mode(), self.precision.autocast(), randomness.as_global():
                    drawn = function(batch.repeated(times))
                results[rows, first : first + times] = drawn.float().cpu().numpy().reshape(-1, times, width)
        return results

    def _batches(self) -> Iterator[tuple[RowNumbers, Batch]]:
        device, multiple = self.precision.device, self.precision.width_multiple
        with progress_bar(len(self.texts), self.description, "text") as bar:
            for rows in prediction_batches(self.texts.lengths, token_budget(device), multiple):
                yield rows, make_batch(self.texts, rows, device, self.padding, multiple)
                bar.update(len(rows))


@dataclass(frozen=True)
class NetworkInference:
    """The default inference strategy: every text passes through the whole network once per sample.

    Parameters
    ----------
    network : Module
    forward : callable
        Returns the logits of a batch, given a network and the `Batch`.
    loss : Loss
    num_classes : int
    batches : BatchInference
    """

    network: nn.Module
    forward: Callable[[nn.Module, Batch], torch.Tensor]
    loss: Loss
    num_classes: int
    batches: BatchInference

    def probabilities(self) -> Probabilities:
        """Return the probability of each class for each text, float32, shape (n, num_classes)."""
        return self.batches.compute(self.network, self._function(self.network), self.num_classes)

    def sampled_probabilities(self, samples: int, randomness: TorchRandomness) -> NDArray[np.float32]:
        """Return samples of the probabilities under dropout, float32, shape (n, samples, num_classes)."""
        function = self._function(with_dropout(self.network))
        return self.batches.sample(function, samples, self.num_classes, randomness)

    def _function(self, network: nn.Module) -> Callable[[Batch], torch.Tensor]:
        return lambda batch: self.loss.probabilities(self.forward(network, batch))
