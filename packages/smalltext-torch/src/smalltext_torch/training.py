"""The training loop of torch classifiers: fit -> fit_loop -> run_epoch -> train_step -> validation_step."""

from __future__ import annotations

import copy
import logging
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar, Generic, Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import ReduceLROnPlateau

from smalltext_core.calibration import CalibrationChoice
from smalltext_core.dataset import Dataset
from smalltext_core.errors import InvalidInputError
from smalltext_core.validation import ClassWeight, Threshold, class_weights
from smalltext_torch import early_stopping, inference
from smalltext_torch.base import E, TorchState
from smalltext_torch.batching import (
    Batch,
    Ragged,
    RowNumbers,
    make_batch,
    prediction_batches,
    training_batches,
    validation_batches,
)
from smalltext_torch.calibration import TemperaturePrior, calibrated, with_thresholds
from smalltext_torch.device import Precision, Randomness, gradients, reproducible, resolve_device, training_budget
from smalltext_torch.early_stopping import EarlyStoppingHandler
from smalltext_torch.inference import Backend, BatchInference, Loss, RunningMetrics, diverged, evaluate
from smalltext_torch.model_selection import BestWeights, ModelSelectionHandler
from smalltext_torch.optimization import (
    ConfiguresOptimization,
    OptimizerChoice,
    Scheduler,
    SchedulerChoice,
    chosen_optimization,
    rows_in_use,
    trained_parameters,
)
from smalltext_torch.progress import (
    VERBOSITY_MORE_VERBOSE,
    VERBOSITY_VERBOSE,
    HistoryRecord,
    TrainingCallback,
    is_main_process,
    progress_bar,
    stacklevel_of_caller,
)
from smalltext_torch.training_set import Examples, ValidationSetSize, names_after, split_rows

LOSS_CHECK_INTERVAL = 16
"""The number of batches between checks of the loss; checking every batch would stall an accelerator."""


class Trainable(Backend[E], ConfiguresOptimization, Protocol[E]):
    """The members of a `TorchClassifier` that training uses; the class describes each."""

    multi_label: bool
    num_epochs: int
    min_steps: int | Literal["auto"]
    mini_batch_size: int
    validation_set_size: ValidationSetSize
    validations_per_epoch: int
    calibration: CalibrationChoice
    auto_min_steps: ClassVar[int]
    training_tokens: ClassVar[int]
    temperature_prior: ClassVar[TemperaturePrior | None]
    multi_label_threshold: Threshold
    max_gradient_norm: float
    class_weight: ClassWeight
    device: str | torch.device | None
    seed: int | None
    verbosity: int

    def make_encoder(self, train_set: Dataset[Any]) -> E: ...  # noqa: D102
    def initialize(self, network: nn.Module, texts: Ragged) -> None: ...  # noqa: D102
    def forward(self, network: nn.Module, batch: Batch) -> torch.Tensor: ...  # noqa: D102
    def on_epoch_start(self, network: nn.Module, epoch: int) -> None: ...  # noqa: D102
    def default_early_stopping(self, validations_per_epoch: int) -> EarlyStoppingHandler: ...  # noqa: D102


def fit(
    classifier: Trainable[E],
    train_set: Dataset[Any],
    validation_set: Dataset[Any] | None,
    weights: NDArray[np.float64] | None,
    *,
    stopping: EarlyStoppingHandler | None,
    selection: ModelSelectionHandler,
    optimizer: OptimizerChoice | None,
    scheduler: SchedulerChoice | None,
    callbacks: Sequence[TrainingCallback],
    previous: TorchState[E] | None,
    randomness: Randomness | None = None,
    processes: int = 1,
    new_trainer: Callable[..., Trainer[E]] | None = None,
) -> TorchState[E]:
    """Train a network on checked data, from a `previous` state if there is one (warm start).

    The classifier is not changed. Without a validation set, a part of the training set is held out. In
    data-parallel training, the processes pass identical random streams, their number and their trainer.
    """
    randomness = randomness or Randomness(classifier.seed, resolve_device(classifier.device))
    device, batch_size = randomness.device, classifier.mini_batch_size * processes
    encoder = classifier.make_encoder(train_set) if previous is None else previous.encoder
    padding = inference.padding(classifier, encoder)
    examples, held_out, loss = _examples(classifier, encoder, train_set, weights, validation_set, randomness)
    with gradients(device), randomness.network.as_global():
        network = copy.deepcopy(previous.network) if previous else inference.new_network(classifier, encoder)
        if previous is None:
            classifier.initialize(network, examples.texts)
        network.to(device)
    if previous is not None and not trained_parameters(network):
        given, advice = "a model whose parameters are all frozen", "classifier.model.requires_grad_(True)"
        raise InvalidInputError("warm_start", given, "parameters that can be trained", f"Call {advice} first.")
    batches = -(-len(examples) // batch_size)
    validated_after = validation_batches(batches, classifier.validations_per_epoch)
    min_steps = classifier.auto_min_steps if classifier.min_steps == "auto" else classifier.min_steps
    num_epochs = max(classifier.num_epochs, -(-min_steps // batches))
    examples = replace(examples, texts=inference.training_texts(classifier, encoder, examples.texts, num_epochs))
    # With more epochs, the patience of early stopping remains the same share of the training.
    validations = -(-len(validated_after) * num_epochs // classifier.num_epochs)
    if stopping is None:
        made = classifier.default_early_stopping(validations)
        stopping = inference.check_returned(classifier, "default_early_stopping", made, EarlyStoppingHandler)  # type: ignore[type-abstract]
    texts = [part.texts for part in (examples, held_out) if part is not None]
    embedding = inference.input_embeddings(classifier, network) if optimizer is None else None
    with (
        gradients(device),
        reproducible(device, classifier.seed),
        nullcontext() if embedding is None else rows_in_use(network, embedding, texts, padding),
        chosen_optimization(classifier, optimizer, scheduler, network, num_epochs * batches) as chosen,
    ):
        trainer = (new_trainer or Trainer)(
            classifier,
            batch_size=batch_size,
            num_epochs=num_epochs,
            validated_after=validated_after,
            network=network,
            loss=loss,
            padding=padding,
            optimizer=chosen[0],
            scheduler=chosen[1],
            stopping=stopping,
            selection=selection,
            callbacks=callbacks,
            randomness=randomness,
            precision=inference.precision_for(classifier, network, device),
        )
        history = trainer.fit_loop(examples, held_out)
        loss = trainer.calibrated_loss(examples, held_out)
    names = names_after(None if previous is None else previous.label_names, train_set.label_names)
    return TorchState(encoder, network, loss, names, history)


class Trainer(Generic[E]):
    """Trains one network, in place."""

    def __init__(
        self,
        classifier: Trainable[E],
        *,
        batch_size: int,
        num_epochs: int,
        validated_after: set[int],
        network: nn.Module,
        loss: Loss,
        padding: int,
        optimizer: Optimizer,
        scheduler: Scheduler | None,
        stopping: EarlyStoppingHandler,
        selection: ModelSelectionHandler,
        callbacks: Sequence[TrainingCallback],
        randomness: Randomness,
        precision: Precision,
    ) -> None:
        self.classifier = classifier
        self.batch_size, self.num_epochs, self.validated_after = batch_size, num_epochs, validated_after
        self.network, self.loss, self.padding = network, loss, padding
        self.optimizer, self.scheduler = optimizer, scheduler
        self.stopping, self.selection, self.callbacks = stopping, selection, callbacks
        self.randomness, self.precision = randomness, precision
        self.history: list[HistoryRecord] = []
        self.step = 0
        self._logger = logging.getLogger(type(classifier).__module__)
        self._evaluation = partial(classifier.forward, network)
        self._scaler = precision.gradient_scaler()
        self._best = BestWeights(network, optimizer)
        self._start = time.perf_counter()

    def fit_loop(self, examples: Examples, held_out: Examples | None) -> list[HistoryRecord]:
        """Train for all epochs or until early stopping, and return the history of validations.

        The network then has the selected weights; without a held-out set, the last ones.

        Raises
        ------
        DivergedError
            If the loss or the weights are no longer finite.
        """
        batches, times = max(self.validated_after), self.classifier.validations_per_epoch
        if times > batches:
            what = f"validations_per_epoch={times} is more than the {batches} batches of an epoch"
            warnings.warn(
                f"{what}; validating after each of them.", RuntimeWarning, stacklevel=stacklevel_of_caller()
            )
        if self.classifier.verbosity >= VERBOSITY_VERBOSE and is_main_process():
            self._logger.info("training on %d texts, validating with %d", len(examples), len(held_out or ()))
        early_stopping.reset(self.stopping)
        early_stopping.reset(self.selection)
        with progress_bar(batches * self.num_epochs, "train", "batch") as bar:
            for epoch in range(1, self.num_epochs + 1):
                if self.run_epoch(epoch, examples, held_out, bar):
                    break
        self._best.restore()
        self.network.eval()
        if not all(bool(tensor.isfinite().all()) for tensor in self.network.parameters()):
            raise diverged("A weight")
        return self.history

    def run_epoch(self, epoch: int, examples: Examples, held_out: Examples | None, bar: Any) -> bool:
        """Train on every text once, with validations in between, and return whether to stop training."""
        metrics = RunningMetrics(len(examples), self.precision.device)
        self.classifier.on_epoch_start(self.network, epoch)
        self.network.train()
        batches = training_batches(examples.texts.lengths, self.batch_size, self.randomness.order)
        for number, rows in enumerate(batches, start=1):
            learning_rate = self.train_step(examples, rows, metrics)
            bar.update()
            if self.step % LOSS_CHECK_INTERVAL == 0:
                bar.set_postfix(epoch=epoch, loss=f"{metrics.last_loss(epoch, self.total):.3f}", refresh=False)
            if number in self.validated_after:
                if self.validation_step(epoch, metrics, learning_rate, held_out):
                    return True
                metrics = RunningMetrics(len(examples), self.precision.device)
                self.network.train()
        return False

    def train_step(self, examples: Examples, rows: RowNumbers, metrics: RunningMetrics) -> float:
        """Train on one batch, and return the learning rate that was used.

        A batch that would take too much memory is divided into micro-batches (gradient accumulation).
        """
        self.step += 1
        with self.randomness.network.as_global():
            for some in self.micro_batches(examples, rows):
                self.backward(examples, some, len(rows), metrics)
            return self.update()

    def micro_batches(self, examples: Examples, rows: RowNumbers) -> Iterator[RowNumbers]:
        """Divide a batch into micro-batches within the memory limit of a forward and backward pass."""
        budget = training_budget(self.precision.device, self.classifier.training_tokens)
        batches = prediction_batches(examples.texts.lengths[rows], budget, self.precision.width_multiple)
        return (rows[part] for part in batches)

    def backward(self, examples: Examples, rows: RowNumbers, count: float, metrics: RunningMetrics) -> None:
        """Add the gradient and the metrics of a part of a batch of `count` texts."""
        device, multiple = self.precision.device, self.precision.width_multiple
        batch = make_batch(examples.texts, rows, device, self.padding, multiple)
        targets, weights = self.loss.targets(examples.y[rows], device), examples.weights_of(rows, device)
        with self.precision.autocast():
            logits = inference.checked_logits(self.classifier, batch, self.forward(batch))
        losses = self.loss.per_text(logits, targets)
        weighted = losses if weights is None else losses * weights
        self._scaler.scale(weighted.sum() / count).backward()  # type: ignore[no-untyped-call]
        metrics.add(losses.detach(), self.loss.accuracies(logits.detach(), targets), weights)

    def forward(self, batch: Batch) -> torch.Tensor:
        """Return the logits of a batch."""
        return self.classifier.forward(self.network, batch)

    def update(self) -> float:
        """Clip the gradient, step the optimizer and the scheduler, and return the learning rate of the step."""
        self._scaler.unscale_(self.optimizer)
        parameters = [parameter for group in self.optimizer.param_groups for parameter in group["params"]]
        nn.utils.clip_grad_norm_(parameters, self.classifier.max_gradient_norm)
        learning_rate = max(float(group["lr"]) for group in self.optimizer.param_groups)
        scale = self._scaler.get_scale()
        self._scaler.step(self.optimizer)
        self._scaler.update()
        self.optimizer.zero_grad(set_to_none=True)
        # A lower scale means that gradients overflowed and the optimizer skipped the step; the scheduler skips it,
        # too.
        stepped = self._scaler.get_scale() >= scale
        if stepped and self.scheduler is not None and not isinstance(self.scheduler, ReduceLROnPlateau):
            self.scheduler.step()
        return learning_rate

    def validation_step(
        self, epoch: int, metrics: RunningMetrics, learning_rate: float, held_out: Examples | None
    ) -> bool:
        """Validate, select the model, log and call the callbacks; return whether early stopping ends training."""
        train_loss, train_acc = metrics.means(f"The training loss in epoch {epoch}", self.total)
        val_loss = val_acc = None
        if held_out is not None:
            measured = self.evaluated(held_out)
            val_loss, val_acc = measured.means(f"The validation loss in epoch {epoch}", self.total)
        if isinstance(self.scheduler, ReduceLROnPlateau):
            self.scheduler.step(train_loss if val_loss is None else val_loss)
        record = HistoryRecord(
            epoch=epoch,
            step=self.step,
            train_loss=train_loss,
            train_acc=train_acc,
            val_loss=val_loss,
            val_acc=val_acc,
            learning_rate=learning_rate,
            seconds=time.perf_counter() - self._start,
            best=False,
        )
        record, stops = self.decide(record, selects=held_out is not None)
        if record["best"]:
            self._best.keep()
            for earlier in self.history:
                earlier["best"] = False
        self.history.append(record)
        return stops

    def evaluated(self, held_out: Examples) -> RunningMetrics:
        """Return the losses and accuracies of held-out texts."""
        self.network.eval()
        return evaluate(self._evaluation, self.network, self.loss, held_out, self.precision, self.padding)

    def total(self, sums: torch.Tensor) -> torch.Tensor:
        """Return sums over texts, on the CPU."""
        return sums.cpu()

    def decide(self, record: HistoryRecord, *, selects: bool) -> tuple[HistoryRecord, bool]:
        """Select the model, log and call the callbacks; return the record and whether training stops early."""
        values = {name: record[name] for name in early_stopping.MEASURED}  # type: ignore[literal-required]
        if selects:
            number = sum(earlier["epoch"] == record["epoch"] for earlier in self.history)
            model_id = f"{record['epoch']}-{number}"
            self.selection.add_model(model_id, None, values)
            selected = self.selection.select()
            record["best"] = selected is not None and selected.model_id == model_id
        if self.classifier.verbosity >= VERBOSITY_MORE_VERBOSE:
            losses = "train_loss %(train_loss).4f, train_acc %(train_acc).4f, val_loss %(val_loss)s"
            self._logger.info(f"epoch %(epoch)d: {losses}, val_acc %(val_acc)s, %(seconds).1f s", record)
        for callback in self.callbacks:
            callback(record.copy())
        return record, bool(self.stopping.check_early_stop(record["epoch"], values))

    def calibrated_loss(self, examples: Examples, held_out: Examples | None) -> Loss:
        """Return the loss with the calibration and the thresholds that the classifier requests."""
        classifier, loss = self.classifier, self.loss
        calibrates = classifier.calibration == "auto"
        chooses = classifier.multi_label and classifier.multi_label_threshold == "auto"
        logits = self.logits(held_out) if held_out is not None and (calibrates or chooses) else None
        if calibrates:
            prior = classifier.temperature_prior
            loss = calibrated(loss, examples, held_out, logits, prior, classifier.num_classes)
        return with_thresholds(loss, held_out, logits) if chooses else loss

    def logits(self, held_out: Examples) -> NDArray[np.float32]:
        """Return the logits of held-out texts, shape (n, num_classes)."""
        batches = BatchInference(held_out.texts, self.precision, self.padding, description=None)
        return batches.compute(self.network, self._evaluation, self.classifier.num_classes)


def _examples(
    classifier: Trainable[E],
    encoder: E,
    train_set: Dataset[Any],
    weights: NDArray[np.float64] | None,
    validation_set: Dataset[Any] | None,
    randomness: Randomness,
) -> tuple[Examples, Examples | None, Loss]:
    """Return the training texts, the held-out texts, and the loss with the class weights of the training texts."""
    texts, y = inference.encoded(classifier, encoder, train_set), train_set.y
    if validation_set is None:
        rows, set_aside = split_rows(y, classifier.validation_set_size, randomness.split)
        held_out = texts.take(set_aside), y[set_aside], None if weights is None else weights[set_aside]
        texts, y, weights = texts.take(rows), y[rows], None if weights is None else weights[rows]
    else:
        held_out = inference.encoded(classifier, encoder, validation_set), validation_set.y, None
    of_class = None
    if classifier.class_weight is not None:
        of_class = class_weights(classifier.class_weight, y, classifier.num_classes, train_set.label_names)
    given = classifier.multi_label_threshold
    loss = Loss(classifier.multi_label, of_class, 0.5 if given == "auto" else np.array(given))
    examples = Examples(texts, y, loss.text_weights(y, weights))
    if len(held_out[0]) == 0:
        return examples, None, loss
    return examples, Examples(held_out[0], held_out[1], loss.text_weights(*held_out[1:])), loss
