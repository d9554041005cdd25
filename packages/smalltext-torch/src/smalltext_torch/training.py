"""The training loop: one, for every network."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import ReduceLROnPlateau

from smalltext_core.errors import SmallTextError
from smalltext_core.labels import Labels
from smalltext_torch import early_stopping
from smalltext_torch.batching import (
    Batch,
    Ragged,
    RowNumbers,
    make_batch,
    prediction_batches,
    token_budget,
    training_batches,
    training_budget,
)
from smalltext_torch.caller import stacklevel_of_caller
from smalltext_torch.device import Precision
from smalltext_torch.early_stopping import EarlyStoppingHandler
from smalltext_torch.history import HistoryRecord, TrainingCallback
from smalltext_torch.inference import inference
from smalltext_torch.losses import Loss
from smalltext_torch.model_selection import ModelSelectionHandler
from smalltext_torch.optimization import Scheduler
from smalltext_torch.progress import VERBOSITY_MORE_VERBOSE, Narrator, progress_bar
from smalltext_torch.randomness import Randomness

LOOK_EVERY = 16
"""After so many batches the loss is looked at; waiting for it every time would keep an accelerator idle."""


class DivergedError(SmallTextError, ArithmeticError):
    """The loss, or the weights, are not finite numbers any more; the classifier is what it was before."""


@dataclass(frozen=True)
class Examples:
    """Labelled texts as the loop takes them.

    Parameters
    ----------
    texts : Ragged
    y : ndarray of int, shape (n,), or csr_matrix, shape (n, num_classes)
    weights : ndarray of float32, shape (n,), or None
        How much the loss of each text counts: see `Loss.text_weights`.
    """

    texts: Ragged
    y: Labels
    weights: NDArray[np.float32] | None = None

    def __len__(self) -> int:
        """Return the number of texts."""
        return len(self.texts)


@dataclass(frozen=True)
class Schedule:
    """How long to train, and in what portions.

    Parameters
    ----------
    num_epochs : int
    batch_size : int
    validations_per_epoch : int, default=1
    max_gradient_norm : float or None, default=None
        Gradients longer than this are shortened to it.
    padding : int, default=0
        The token that batches are padded with.
    """

    num_epochs: int
    batch_size: int
    validations_per_epoch: int = 1
    max_gradient_norm: float | None = None
    padding: int = 0

    def batches_per_epoch(self, count: int) -> int:
        """Return how many batches hold so many texts."""
        return -(-count // self.batch_size)

    def validated_after(self, batches: int) -> set[int]:
        """Return after which batches of an epoch to validate: evenly spaced, the last one always."""
        times = min(self.validations_per_epoch, batches)
        return {-(-batches * number // times) for number in range(1, times + 1)}


@dataclass
class Training:
    """One training of one network.

    Parameters
    ----------
    network : Module
        Is trained in place.
    forward : callable
        Turns a `Batch` into logits, shape (n, num_classes), by way of the network.
    loss, schedule, optimizer, scheduler, stopping, selection, callbacks, randomness, precision, narrator
        The parts, each of which its own module describes.
    begin_epoch : callable
        Is told the number of every epoch, from 1, before it begins.
    """

    network: nn.Module
    forward: Callable[[Batch], torch.Tensor]
    loss: Loss
    schedule: Schedule
    optimizer: Optimizer
    scheduler: Scheduler | None
    stopping: EarlyStoppingHandler
    selection: ModelSelectionHandler
    callbacks: tuple[TrainingCallback, ...]
    randomness: Randomness
    precision: Precision
    narrator: Narrator
    begin_epoch: Callable[[int], None]
    history: list[HistoryRecord] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        self._best = BestWeights(self.network, self.optimizer)
        self._scaler = self.precision.gradient_scaler()
        self._began = time.perf_counter()

    def run(self, examples: Examples, validation: Examples | None) -> list[HistoryRecord]:
        """Train until the epochs are over or early stopping says so; the network then has the selected weights.

        Parameters
        ----------
        examples : Examples
            Texts to train on.
        validation : Examples or None
            Texts to validate with. None: nothing is selected, and the last weights stay.

        Returns
        -------
        list of HistoryRecord
            One for every validation.

        Raises
        ------
        DivergedError
            If the loss or the weights are no longer finite numbers.
        """
        early_stopping.reset(self.stopping)
        early_stopping.reset(self.selection)
        batches_per_epoch = self.schedule.batches_per_epoch(len(examples))
        validated_after = self._validated_after(batches_per_epoch)
        step = 0
        with progress_bar(batches_per_epoch * self.schedule.num_epochs, "train", "batch") as bar:
            for epoch in range(1, self.schedule.num_epochs + 1):
                tally = Tally(len(examples), self.precision.device)
                self.begin_epoch(epoch)
                self.network.train()
                lengths = examples.texts.lengths
                for number, rows in enumerate(
                    training_batches(lengths, self.schedule.batch_size, self.randomness.order), start=1
                ):
                    step += 1
                    learning_rate = self._step(examples, rows, tally)
                    bar.update()
                    if step % LOOK_EVERY == 0:
                        bar.set_postfix(epoch=epoch, loss=f"{tally.last_loss(epoch):.3f}", refresh=False)
                    if number in validated_after:
                        record = self._measure(epoch, step, tally, learning_rate, validation)
                        if self._judge(record, validation is not None):
                            return self._finished()
                        tally = Tally(len(examples), self.precision.device)
                        self.network.train()
        return self._finished()

    def _validated_after(self, batches: int) -> set[int]:
        if self.schedule.validations_per_epoch > batches:
            warnings.warn(
                f"validations_per_epoch={self.schedule.validations_per_epoch} is more than the {batches} batches "
                "of an epoch; validating after each of them.",
                RuntimeWarning,
                stacklevel=stacklevel_of_caller(),
            )
        return self.schedule.validated_after(batches)

    def _step(self, examples: Examples, rows: RowNumbers, tally: Tally) -> float:
        """Train on one batch, and return the learning rate that was used.

        A batch that is too much at once is passed through the network in parts, whose gradients add up to that of
        the batch.
        """
        with self.randomness.network.lent():
            lengths = examples.texts.lengths[rows]
            for part in prediction_batches(lengths, training_budget(self.precision.device), self.precision.widths):
                self._add_gradient(examples, rows[part], len(rows), tally)
            return self._update()

    def _add_gradient(self, examples: Examples, rows: RowNumbers, of: int, tally: Tally) -> None:
        """Add the gradient of some of the texts of a batch of so many."""
        device = self.precision.device
        batch = make_batch(examples.texts, rows, device, self.schedule.padding, self.precision.widths)
        targets = self.loss.targets(examples.y[rows], device)
        weights = None if examples.weights is None else torch.from_numpy(examples.weights[rows]).to(device)
        with self.precision.autocast():
            logits = self.forward(batch)
        losses = self.loss.of_texts(logits, targets)
        weighted = losses if weights is None else losses * weights
        self._scaler.scale(weighted.sum() / of).backward()  # type: ignore[no-untyped-call]
        tally.add(losses.detach(), self.loss.hits(logits.detach(), targets), weights)

    def _update(self) -> float:
        """Let the optimizer take a step, then the scheduler, and return the learning rate of the step."""
        if self.schedule.max_gradient_norm is not None:
            self._scaler.unscale_(self.optimizer)
            parameters = [parameter for group in self.optimizer.param_groups for parameter in group["params"]]
            nn.utils.clip_grad_norm_(parameters, self.schedule.max_gradient_norm)
        learning_rate = max(float(group["lr"]) for group in self.optimizer.param_groups)
        scale = self._scaler.get_scale()
        self._scaler.step(self.optimizer)
        self._scaler.update()
        self.optimizer.zero_grad(set_to_none=True)
        # A lower scale means that gradients overflowed and the step was left out; so is the scheduler's then.
        stepped = self._scaler.get_scale() >= scale
        if stepped and self.scheduler is not None and not isinstance(self.scheduler, ReduceLROnPlateau):
            self.scheduler.step()
        return learning_rate

    def _measure(
        self, epoch: int, step: int, tally: Tally, learning_rate: float, validation: Examples | None
    ) -> HistoryRecord:
        train_loss, train_acc = tally.means(f"The training loss in epoch {epoch}")
        val_loss = val_acc = None
        if validation is not None:
            self.network.eval()
            scored = evaluate(
                self.network, self.forward, self.loss, validation, self.precision, self.schedule.padding
            )
            val_loss, val_acc = scored.means(f"The validation loss in epoch {epoch}")
        if isinstance(self.scheduler, ReduceLROnPlateau):
            self.scheduler.step(train_loss if val_loss is None else val_loss)
        return HistoryRecord(
            epoch=epoch,
            step=step,
            train_loss=train_loss,
            train_acc=train_acc,
            val_loss=val_loss,
            val_acc=val_acc,
            learning_rate=learning_rate,
            seconds=time.perf_counter() - self._began,
            best=False,
        )

    def _judge(self, record: HistoryRecord, validated: bool) -> bool:
        """Select, tell, and return whether to stop."""
        measured = {name: record[name] for name in early_stopping.MEASURED}  # type: ignore[literal-required]
        if validated:
            number = sum(earlier["epoch"] == record["epoch"] for earlier in self.history)
            model_id = f"{record['epoch']}-{number}"
            self.selection.add_model(model_id, None, measured)
            selected = self.selection.select()
            if selected is not None and selected.model_id == model_id:
                self._best.keep()
                for earlier in self.history:
                    earlier["best"] = False
                record["best"] = True
        self.history.append(record)
        self.narrator.tell(
            VERBOSITY_MORE_VERBOSE,
            "epoch %d: train_loss %.4f, train_acc %.4f, val_loss %s, val_acc %s, %.1f s",
            *(record[name] for name in ("epoch", "train_loss", "train_acc", "val_loss", "val_acc", "seconds")),
        )
        for callback in self.callbacks:
            callback(record.copy())
        return bool(self.stopping.check_early_stop(record["epoch"], measured))

    def _finished(self) -> list[HistoryRecord]:
        self._best.restore()
        self.network.eval()
        if not all(bool(tensor.isfinite().all()) for tensor in self.network.parameters()):
            raise DivergedError(_advice("A weight"))
        return self.history


class BestWeights:
    """A copy, in memory, of what training moves in a network. Nothing is copied before `keep` is called.

    Parameters
    ----------
    network : Module
    optimizer : Optimizer
        What it does not train is not copied.
    """

    def __init__(self, network: nn.Module, optimizer: Optimizer) -> None:
        trained = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        self._live: list[torch.Tensor] = [*trained, *network.buffers()]
        self._kept: list[torch.Tensor] = []

    @torch.no_grad()
    def keep(self) -> None:
        """Take a copy, in place of the one before."""
        if not self._kept:
            self._kept = [tensor.detach().clone() for tensor in self._live]
            return
        for kept, live in zip(self._kept, self._live, strict=True):
            kept.copy_(live)

    @torch.no_grad()
    def restore(self) -> None:
        """Put the copy back into the network, if one was taken, and let go of it."""
        for kept, live in zip(self._kept, self._live, strict=False):
            live.copy_(kept)
        self._kept = []


class Tally:
    """Losses and hits of texts, gathered batch by batch without waiting for the device.

    There is room for all of it from the beginning: small tensors that stay, each made amid those of a batch, would
    keep its memory in pieces, which the next batch does not fit in.

    Parameters
    ----------
    count : int
        How many texts there will be, at most.
    device : torch.device
    """

    def __init__(self, count: int, device: torch.device) -> None:
        self._losses, self._hits, self._weights = torch.ones(3, count, device=device)
        self._seen = 0
        self._last = slice(0)

    def add(self, losses: torch.Tensor, hits: torch.Tensor, weights: torch.Tensor | None) -> None:
        """Take note of the texts of a batch."""
        self._last = slice(self._seen, self._seen + len(losses))
        self._seen += len(losses)
        self._losses[self._last] = losses
        self._hits[self._last] = hits
        if weights is not None:
            self._weights[self._last] = weights

    def last_loss(self, epoch: int) -> float:
        """Return the mean loss of the last batch, or raise DivergedError if it is no finite number."""
        return _finite(float(self._losses[self._last].mean()), f"The training loss in epoch {epoch}")

    def means(self, name: str) -> tuple[float, float]:
        """Return the (weighted) mean loss over texts, which has to be finite, and the share of right answers."""
        losses, hits, weights = (
            figures[: self._seen].cpu().double() for figures in (self._losses, self._hits, self._weights)
        )
        loss = float((losses * weights).sum() / weights.sum())
        return _finite(loss, name), float(hits.mean())


def evaluate(
    network: nn.Module,
    forward: Callable[[Batch], torch.Tensor],
    loss: Loss,
    examples: Examples,
    precision: Precision,
    padding: int = 0,
) -> Tally:
    """Compute losses and hits of labelled texts by way of a network, which is in evaluation mode meanwhile."""
    device = precision.device
    tally = Tally(len(examples), device)
    for rows in prediction_batches(examples.texts.lengths, token_budget(device), precision.widths):
        with inference(network, precision):
            targets = loss.targets(examples.y[rows], device)
            logits = forward(make_batch(examples.texts, rows, device, padding, precision.widths))
            weights = None if examples.weights is None else torch.from_numpy(examples.weights[rows]).to(device)
            tally.add(loss.of_texts(logits, targets), loss.hits(logits, targets), weights)
    return tally


def _finite(loss: float, name: str) -> float:
    if not math.isfinite(loss):
        raise DivergedError(_advice(f"{name} is {loss}: it"))
    return loss


def _advice(what: str) -> str:
    return (
        f"{what} is not a finite number any more. Training was given up; the classifier is what it was before. "
        "A lower learning rate (lr) usually helps."
    )
