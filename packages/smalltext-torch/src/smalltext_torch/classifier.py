"""What every torch classifier shares: all but its network, and what it makes of a text."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import nn
from torch.optim import Optimizer

from smalltext_core import validation
from smalltext_core.class_weights import ClassWeight, by_number, check_class_weight, class_weights
from smalltext_core.dataset import Dataset
from smalltext_core.errors import InvalidInputError
from smalltext_torch import optimization
from smalltext_torch.backend import Backend, E, Fitted
from smalltext_torch.batching import Batch
from smalltext_torch.deprecation import ConstructorEarlyStopping, warn_deprecated
from smalltext_torch.device import (
    Precision,
    PrecisionName,
    check_device,
    check_precision,
    present_or_best,
    reproducible,
    resolve_device,
)
from smalltext_torch.dropout import with_dropout
from smalltext_torch.early_stopping import EarlyStoppingHandler
from smalltext_torch.history import HistoryRecord, TrainingCallback, check_callbacks
from smalltext_torch.inference import gradients
from smalltext_torch.losses import Loss
from smalltext_torch.model_selection import ModelSelectionHandler, as_model_selection_handler
from smalltext_torch.optimization import OptimizerChoice, Scheduler, SchedulerChoice
from smalltext_torch.progress import VERBOSITY_MORE_VERBOSE, VERBOSITY_VERBOSE, Narrator, check_verbosity
from smalltext_torch.randomness import Randomness, TorchRandomness
from smalltext_torch.saving import save, saved_loss
from smalltext_torch.scoring import Scoring
from smalltext_torch.split import check_validation_set_size, split_rows
from smalltext_torch.training import Examples, Schedule, Tally, Training, evaluate
from smalltext_torch.vocabulary_in_use import vocabulary_in_use

if TYPE_CHECKING:
    from typing_extensions import Self

    from smalltext_core.saving import Manifest


class TorchClassifier(Backend[E]):
    """A classifier whose network is trained by this package's loop. A backend subclasses it.

    A backend says what a text becomes and what network it goes through: see `Backend`. Its constructor hands on
    the arguments described here, and sets an attribute of the same name for each one of its own.

    Parameters
    ----------
    num_classes : int
    multi_label : bool, default=False
    num_epochs : int, default=10
    lr : float, default=0.001
        The learning rate of the backend's optimizer.
    mini_batch_size : int, default=25
        How many texts a step of training sees.
    validation_set_size : float, default=0.1
        The share of the training texts to set aside if `fit` is given no validation set.
    validations_per_epoch : int, default=1
    early_stopping_no_improvement : int, default=5
        Deprecated: how many epochs the validation loss may bring no improvement; 0: any number.
    early_stopping_acc : float, default=-1
        Deprecated: stop once the accuracy on the training texts is above this; -1: whatever it is.
    class_weight : {None, "balanced"} or mapping of str (or int) to float, default=None
    device : str or torch.device, optional
        Where to compute; None is the best there is.
    verbosity : int, default=VERBOSITY_MORE_VERBOSE
    seed : int, optional
        The same seed, data and machine give the same bits.
    multi_label_threshold : float, default=0.5
        In multi-label problems a class applies if its probability is greater than this.
    precision : {"float32", "auto"}, default="float32"
        "auto" multiplies in bfloat16 or float16 where the device is faster with it.
    max_gradient_norm : float, default=1.0
        Longer gradients are shortened to this.
    warm_start : bool, default=False
        Whether `fit` goes on from the model of the `fit` before, instead of starting again.
    mixed_precision : bool, optional
        The former name of `precision`: True is "auto", False is "float32".

    Raises
    ------
    InvalidInputError
        If an argument is not what is described here.
    """

    def __init__(
        self,
        num_classes: int,
        multi_label: bool = False,
        *,
        num_epochs: int = 10,
        lr: float = 0.001,
        mini_batch_size: int = 25,
        validation_set_size: float = 0.1,
        validations_per_epoch: int = 1,
        early_stopping_no_improvement: int = 5,
        early_stopping_acc: float = -1,
        class_weight: ClassWeight = None,
        device: str | torch.device | None = None,
        verbosity: int = VERBOSITY_MORE_VERBOSE,
        seed: int | None = None,
        multi_label_threshold: float = 0.5,
        precision: PrecisionName = "float32",
        max_gradient_norm: float = 1.0,
        warm_start: bool = False,
        mixed_precision: bool | None = None,
    ) -> None:
        self.num_classes = validation.check_num_classes(num_classes, multi_label)
        self.multi_label = validation.check_flag("multi_label", multi_label)
        self.num_epochs = validation.check_count("num_epochs", num_epochs)
        self.lr = validation.check_positive("lr", lr)
        self.mini_batch_size = validation.check_count("mini_batch_size", mini_batch_size)
        self.validation_set_size = check_validation_set_size(validation_set_size)
        self.validations_per_epoch = validation.check_count("validations_per_epoch", validations_per_epoch)
        self.early_stopping_no_improvement = early_stopping_no_improvement
        self.early_stopping_acc = early_stopping_acc
        check_class_weight(class_weight, self.num_classes)
        self.class_weight = class_weight
        check_device(device)
        self.device = device
        self.verbosity = check_verbosity(verbosity)
        self.seed = validation.check_seed(seed)
        self.multi_label_threshold = validation.check_threshold(multi_label_threshold)
        self.precision = check_precision(precision, mixed_precision)
        self.max_gradient_norm = validation.check_positive("max_gradient_norm", max_gradient_norm)
        self.warm_start = validation.check_flag("warm_start", warm_start)
        self._fitted: Fitted[E] | None = None
        for parameter in self._constructor_early_stopping().used():
            warn_deprecated(parameter, "fit(early_stopping=...)")

    def fit(
        self,
        train_set: Dataset[Any],
        validation_set: Dataset[Any] | None = None,
        weights: ArrayLike | None = None,
        early_stopping: EarlyStoppingHandler | Literal["none"] | None = None,
        model_selection: ModelSelectionHandler | Literal["none"] | None = None,
        optimizer: OptimizerChoice | None = None,
        scheduler: SchedulerChoice | None = None,
        *,
        callbacks: Iterable[TrainingCallback] = (),
    ) -> Self:
        """Train from the initial model on labelled texts, and return this classifier.

        If anything goes wrong the classifier stays what it was before.

        Parameters
        ----------
        train_set : Dataset
            Labelled texts.
        validation_set : Dataset, optional
            Labelled texts to validate with; by default `validation_set_size` of the training texts are set aside.
        weights : array-like of float, shape (n,), optional
            How much each text of `train_set` counts: 0 or more, finite, not all zero.
        early_stopping : EarlyStoppingHandler or 'none', optional
            When to stop; by default as the constructor says.
        model_selection : ModelSelectionHandler or 'none', optional
            Which model to keep; by default a `ModelSelection`, the one with the least validation loss.
        optimizer : Optimizer, or function from a Module to an Optimizer, optional
            An optimizer that exists is used with the parameters of the new network in place of its own.
        scheduler : scheduler, or function from an Optimizer to a scheduler, optional
            Stepped after every batch (`ReduceLROnPlateau`: after every validation). Needs an optimizer.
        callbacks : iterable of TrainingCallback, default=()
            Called with a `HistoryRecord` after every validation.

        Raises
        ------
        InvalidInputError
            If an argument is not what is described here. Nothing has been done then.
        DivergedError
            If the loss is no longer a finite number.
        """
        train_set, validation_set, checked_weights = self._checked_data(train_set, validation_set, weights)
        by_number(self.class_weight, self.num_classes, train_set.label_names)
        early = self._constructor_early_stopping()
        stopping = early.overruled(early_stopping)
        selection = as_model_selection_handler(
            self._default_model_selection() if model_selection is None else model_selection
        )
        self._check_optimization(optimizer, scheduler)
        listeners = check_callbacks(callbacks)
        device = resolve_device(self.device)
        randomness = Randomness(self.seed, device)
        goes_on = self._fitted if self.warm_start else None
        encoder = self._make_encoder(train_set) if goes_on is None else goes_on.encoder
        examples, validation, loss = self._examples(
            encoder, train_set, checked_weights, validation_set, randomness
        )
        with gradients(device), randomness.network.lent():
            network = self._make_network(encoder) if goes_on is None else copy.deepcopy(goes_on.network)
            network.to(device)
        if goes_on is not None and not any(parameter.requires_grad for parameter in network.parameters()):
            raise InvalidInputError(
                "warm_start",
                "a model of which every parameter is frozen",
                "parameters that can be trained",
                "Call classifier.model.requires_grad_(True) first.",
            )
        schedule = self._schedule(encoder)
        narrator = Narrator(logging.getLogger(type(self).__module__), self.verbosity)
        narrator.tell(
            VERBOSITY_VERBOSE, "training on %d texts, validating with %d", len(examples), len(validation or ())
        )
        batches = schedule.batches_per_epoch(len(examples))
        if stopping is None:
            stopping = early.handler(len(schedule.validated_after(batches)))
        in_use = [given.texts for given in (examples, validation) if given is not None]
        embedding = self._word_embedding(network) if optimizer is None else None
        with (
            gradients(device),
            reproducible(device, self.seed),
            vocabulary_in_use(network, embedding, in_use, self._padding(encoder)),
            self._optimization(optimizer, scheduler, network, schedule.num_epochs * batches) as (given, paced),
        ):
            training = Training(
                network=network,
                forward=lambda batch: self._forward(network, batch),
                loss=loss,
                schedule=schedule,
                optimizer=given,
                scheduler=paced,
                stopping=stopping,
                selection=selection,
                callbacks=listeners,
                randomness=randomness,
                precision=self._precision_of(network, device),
                narrator=narrator,
                begin_epoch=lambda epoch: self._begin_epoch(network, epoch),
            )
            history = training.run(examples, validation)
        self._fitted = Fitted(encoder, network, loss, train_set.label_names, history)
        return self

    def save(self, folder: str | Path) -> None:
        """Write the fitted classifier to a folder, whole or not at all: weights as safetensors, the rest as JSON.

        Where pretrained models, vectors and downloads are is written too, since `fit` needs that to train again:
        inside the home folder as paths that begin with ``~``. The folder holds no other path of this machine.

        Raises
        ------
        NotFittedError
            If `fit` was not called.
        ModelFolderError
            If the folder holds other things than a saved model.
        """
        fitted = self._require_fitted()

        def write(staging: Path) -> None:
            self._save_network(fitted, staging)
            self._save_encoder(fitted.encoder, staging)

        save(self, folder, write, {"history": fitted.history})

    @property
    def model(self) -> nn.Module | None:
        """The trained network; None before `fit`."""
        return None if self._fitted is None else self._fitted.network

    @property
    def mixed_precision(self) -> bool:
        """Whether `precision` is "auto"."""
        return self.precision == "auto"

    @property
    def history_(self) -> list[HistoryRecord]:
        """What was measured while training, one record for every validation."""
        return self._require_fitted().history

    def _examples(
        self,
        encoder: E,
        train_set: Dataset[Any],
        weights: NDArray[np.float64] | None,
        validation_set: Dataset[Any] | None,
        randomness: Randomness,
    ) -> tuple[Examples, Examples | None, Loss]:
        """Return the texts to train on and those to validate with, and the loss that fits the former."""
        texts, y = self._encode(encoder, train_set), train_set.y
        if validation_set is None:
            rows, set_aside = split_rows(y, self.validation_set_size, randomness.split)
            held_out = texts.take(set_aside), y[set_aside], None if weights is None else weights[set_aside]
            texts, y, weights = texts.take(rows), y[rows], None if weights is None else weights[rows]
        else:
            held_out = self._encode(encoder, validation_set), validation_set.y, None
        of_class = class_weights(self.class_weight, y, self.num_classes, train_set.label_names)
        loss = Loss(self.multi_label, of_class, self.multi_label_threshold)
        examples = Examples(texts, y, loss.text_weights(y, weights))
        if len(held_out[0]) == 0:
            return examples, None, loss
        return examples, Examples(held_out[0], held_out[1], loss.text_weights(*held_out[1:])), loss

    def _predicted(self, fitted: Fitted[E], data_set: Dataset[Any], samples: int) -> NDArray[np.float32]:
        scoring = self._scoring(fitted, data_set)
        if samples == 1:
            return scoring.compute(fitted.network, self._probabilities(fitted, fitted.network), self.num_classes)
        return scoring.sample(
            self._probabilities(fitted, with_dropout(fitted.network)),
            samples,
            self.num_classes,
            Randomness(self.seed, fitted.device).network,
        )

    def _measured(self, fitted: Fitted[E], validation_set: Dataset[Any]) -> tuple[float, float]:
        return self._tally(fitted, validation_set).means("The validation loss")

    def _saved_parameters(self) -> dict[str, Any]:
        saved = super()._saved_parameters()
        return {name: saved[name] for name in saved if name != "mixed_precision"}  # it repeats the precision

    def _restore(self, folder: Path, manifest: Manifest) -> None:
        encoder = self._load_encoder(folder)
        with TorchRandomness(0, torch.device("cpu")).lent():
            network = self._load_network(encoder, folder)
        network.to(present_or_best(self.device)).eval()
        loss, history = saved_loss(self, manifest), manifest.parameters["history"]
        self._fitted = Fitted(encoder, network, loss, manifest.names, history)

    def _tally(self, fitted: Fitted[E], data_set: Dataset[Any]) -> Tally:
        """Return the losses and hits of labelled texts."""
        y = data_set.y
        return evaluate(
            fitted.network,
            lambda batch: self._forward(fitted.network, batch),
            fitted.loss,
            Examples(self._encode(fitted.encoder, data_set), y, fitted.loss.text_weights(y)),
            self._precision(fitted),
            self._padding(fitted.encoder),
        )

    def _schedule(self, encoder: E) -> Schedule:
        return Schedule(
            self.num_epochs,
            self.mini_batch_size,
            self.validations_per_epoch,
            self.max_gradient_norm,
            self._padding(encoder),
        )

    def _optimization(
        self,
        optimizer: OptimizerChoice | None,
        scheduler: SchedulerChoice | None,
        network: nn.Module,
        steps: int,
    ) -> AbstractContextManager[tuple[Optimizer, Scheduler | None]]:
        if optimizer is not None:
            return optimization.chosen(optimizer, scheduler, network)
        default = self._default_optimizer(network)
        return nullcontext((default, self._default_scheduler(default, steps)))

    def _constructor_early_stopping(self) -> ConstructorEarlyStopping:
        return ConstructorEarlyStopping(
            self.early_stopping_no_improvement, self.early_stopping_acc, self.no_improvement_parameter
        )

    def _probabilities(self, fitted: Fitted[E], network: nn.Module) -> Callable[[Batch], torch.Tensor]:
        """Return what turns a batch into probabilities by way of a network."""
        return lambda batch: fitted.loss.probabilities(self._forward(network, batch))

    def _precision(self, fitted: Fitted[E]) -> Precision:
        return self._precision_of(fitted.network, fitted.device)

    def _scoring(self, fitted: Fitted[E], data_set: Dataset[Any], description: str | None = "predict") -> Scoring:
        """Return the texts of a dataset that was checked, ready to be passed through the network."""
        return Scoring(
            self._encode(fitted.encoder, data_set),
            self._precision(fitted),
            self._padding(fitted.encoder),
            description,
        )
