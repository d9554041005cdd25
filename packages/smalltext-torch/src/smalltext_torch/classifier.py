"""What every torch classifier shares: all but its network, and what it makes of a text."""

from __future__ import annotations

import copy
import logging
from abc import abstractmethod
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, TypeVar

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from safetensors.torch import load_model, save_model
from torch import nn
from torch.optim import Optimizer

from smalltext_core import validation
from smalltext_core.class_weights import ClassWeight, by_number, check_class_weight, class_weights
from smalltext_core.dataset import Dataset
from smalltext_core.errors import InvalidInputError
from smalltext_core.labels import LabelNames
from smalltext_core.saving import Manifest
from smalltext_torch import optimization
from smalltext_torch.base import TorchModelBase
from smalltext_torch.batching import Batch, Ragged
from smalltext_torch.deprecation import ConstructorEarlyStopping, warn_deprecated
from smalltext_torch.device import (
    Precision,
    PrecisionName,
    check_device,
    check_precision,
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
from smalltext_torch.scoring import Scoring
from smalltext_torch.split import check_validation_set_size, split_rows
from smalltext_torch.training import Examples, Schedule, Tally, Training, evaluate
from smalltext_torch.vocabulary_in_use import vocabulary_in_use

if TYPE_CHECKING:
    from typing_extensions import Self

WEIGHTS = "weights.safetensors"

E = TypeVar("E")
"""The type of a backend's encoder: a vocabulary, a tokenizer."""


@dataclass(frozen=True)
class TorchState(Generic[E]):
    """The result of training a `TorchClassifier`.

    Parameters
    ----------
    encoder : Any
        Encodes texts: a vocabulary, a tokenizer.
    network : Module
        The trained network. Inference runs in evaluation mode, whatever mode it is in.
    loss : Loss
        The loss that it was trained with, which defines what its logits mean.
    label_names : LabelNames or None
    history : list of HistoryRecord
    """

    encoder: E
    network: nn.Module
    loss: Loss
    label_names: LabelNames | None
    history: list[HistoryRecord]

    @property
    def device(self) -> torch.device:
        """The device of the network."""
        return next(iter(self.network.parameters())).device


class TorchClassifier(TorchModelBase[TorchState[E]], Generic[E]):
    """A classifier whose network is trained by this package's loop. A backend subclasses it.

    A backend implements the abstract methods, which turn texts into tokens and make the network. Its constructor
    passes on the arguments described here, and sets an attribute of the same name for each further one.

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

    no_improvement_parameter: ClassVar[str] = "early_stopping_no_improvement"
    """The constructor's name for that argument."""

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
        self._state: TorchState[E] | None = None
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
        train_set, validation_set, checked_weights = self.check_fit_data(train_set, validation_set, weights)
        by_number(self.class_weight, self.num_classes, train_set.label_names)
        early = self._constructor_early_stopping()
        stopping = early.overruled(early_stopping)
        selection = as_model_selection_handler(
            self.default_model_selection() if model_selection is None else model_selection
        )
        self.check_optimization(optimizer, scheduler)
        listeners = check_callbacks(callbacks)
        device = resolve_device(self.device)
        randomness = Randomness(self.seed, device)
        goes_on = self._state if self.warm_start else None
        encoder = self.make_encoder(train_set) if goes_on is None else goes_on.encoder
        examples, validation, loss = self._examples(
            encoder, train_set, checked_weights, validation_set, randomness
        )
        with gradients(device), randomness.network.lent():
            network = self.make_network(encoder) if goes_on is None else copy.deepcopy(goes_on.network)
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
        embedding = self.get_input_embeddings(network) if optimizer is None else None
        with (
            gradients(device),
            reproducible(device, self.seed),
            vocabulary_in_use(network, embedding, in_use, self.padding(encoder)),
            self._optimization(optimizer, scheduler, network, schedule.num_epochs * batches) as (given, paced),
        ):
            training = Training(
                network=network,
                forward=lambda batch: self.forward(network, batch),
                loss=loss,
                schedule=schedule,
                optimizer=given,
                scheduler=paced,
                stopping=stopping,
                selection=selection,
                callbacks=listeners,
                randomness=randomness,
                precision=self.precision_for(network, device),
                narrator=narrator,
                begin_epoch=lambda epoch: self.on_epoch_start(network, epoch),
            )
            history = training.run(examples, validation)
        self._state = TorchState(encoder, network, loss, train_set.label_names, history)
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
        fitted = self.require_fitted()

        def write(staging: Path) -> None:
            self.save_network(fitted, staging)
            self.save_encoder(fitted.encoder, staging)

        self.write_folder(folder, write, {"history": fitted.history})

    @abstractmethod
    def make_encoder(self, train_set: Dataset[Any]) -> E:
        """Return what texts are encoded with: learned from the texts, loaded, or taken from their dataset."""

    @abstractmethod
    def encode(self, encoder: E, data_set: Dataset[Any]) -> Ragged:
        """Return the texts of a `TextDataset`, or of the backend's own dataset, as token numbers.

        Raises
        ------
        InvalidInputError
            If the dataset is of another kind, or was made with another encoder.
        """

    @abstractmethod
    def make_network(self, encoder: E) -> nn.Module:
        """Return a new network, on the CPU, that shares no memory with anything of the caller's.

        Random initial weights are drawn from torch's global generators, which meanwhile are the classifier's own.
        """

    @abstractmethod
    def save_encoder(self, encoder: E, folder: Path) -> None:
        """Write what `load_encoder` needs into a folder, as JSON or safetensors."""

    @abstractmethod
    def load_encoder(self, folder: Path) -> E:
        """Read what `save_encoder` wrote, running no code of the folder."""

    def make_empty_network(self, encoder: E) -> nn.Module:
        """Return a network that saved weights are then put into; nothing is fetched for it."""
        return self.make_network(encoder)

    def save_network(self, fitted: TorchState[E], folder: Path) -> None:
        """Write the weights of a trained network into a folder."""
        save_model(fitted.network, str(folder / WEIGHTS))

    def load_network(self, encoder: E, folder: Path) -> nn.Module:
        """Read what `save_network` wrote, running no code of the folder, and return the network on the CPU."""
        network = self.make_empty_network(encoder)
        load_model(network, str(folder / WEIGHTS))
        return network

    def padding(self, encoder: E) -> int:  # noqa: ARG002
        """Return the token that batches are padded with."""
        return 0

    def forward(self, network: nn.Module, batch: Batch) -> torch.Tensor:
        """Return the logits of a batch, shape (n, num_classes)."""
        logits: torch.Tensor = network(batch.tokens, batch.lengths)
        return logits

    def precision_for(self, network: nn.Module, device: torch.device) -> Precision:  # noqa: ARG002
        """Return the precision to compute in: what the caller wants, where the network can."""
        return Precision.of(device, self.precision == "auto")

    def check_optimization(self, optimizer: OptimizerChoice | None, scheduler: SchedulerChoice | None) -> None:
        """Refuse an optimizer and a scheduler that `fit` cannot train with, before anything is built."""
        optimization.check_choice(optimizer, scheduler)

    def default_model_selection(self) -> ModelSelectionHandler | Literal["none"] | None:
        """Return what `fit` takes if it is given no model selection."""
        return None

    def get_input_embeddings(self, network: nn.Module) -> nn.Embedding | None:  # noqa: ARG002
        """Return the embedding in which tokens are looked up, so that only rows that occur need to be trained.

        None is always right. An embedding is, where the default optimizer changes a row without a gradient in
        proportion to itself, if at all; see `smalltext_torch.vocabulary_in_use`.
        """
        return None

    def on_epoch_start(self, network: nn.Module, epoch: int) -> None:
        """Take note that an epoch, counted from 1, begins: for what is frozen in some epochs and not in others."""

    def configure_optimizer(self, network: nn.Module) -> Optimizer:
        """Return the optimizer for when `fit` is given none."""
        return optimization.adam(network, self.lr)

    def configure_scheduler(self, optimizer: Optimizer, total_steps: int) -> Scheduler | None:  # noqa: ARG002
        """Return the scheduler that goes with the default optimizer; None keeps the learning rate."""
        return None

    @property
    def model(self) -> nn.Module | None:
        """The trained network; None before `fit`."""
        return None if self._state is None else self._state.network

    @property
    def mixed_precision(self) -> bool:
        """Whether `precision` is "auto"."""
        return self.precision == "auto"

    @property
    def history_(self) -> list[HistoryRecord]:
        """What was measured while training, one record for every validation."""
        return self.require_fitted().history

    def _examples(
        self,
        encoder: E,
        train_set: Dataset[Any],
        weights: NDArray[np.float64] | None,
        validation_set: Dataset[Any] | None,
        randomness: Randomness,
    ) -> tuple[Examples, Examples | None, Loss]:
        """Return the texts to train on and those to validate with, and the loss that fits the former."""
        texts, y = self.encode(encoder, train_set), train_set.y
        if validation_set is None:
            rows, set_aside = split_rows(y, self.validation_set_size, randomness.split)
            held_out = texts.take(set_aside), y[set_aside], None if weights is None else weights[set_aside]
            texts, y, weights = texts.take(rows), y[rows], None if weights is None else weights[rows]
        else:
            held_out = self.encode(encoder, validation_set), validation_set.y, None
        of_class = class_weights(self.class_weight, y, self.num_classes, train_set.label_names)
        loss = Loss(self.multi_label, of_class, self.multi_label_threshold)
        examples = Examples(texts, y, loss.text_weights(y, weights))
        if len(held_out[0]) == 0:
            return examples, None, loss
        return examples, Examples(held_out[0], held_out[1], loss.text_weights(*held_out[1:])), loss

    def compute_probabilities(
        self, fitted: TorchState[E], data_set: Dataset[Any], samples: int
    ) -> NDArray[np.float32]:
        """Return probabilities, shape (n, num_classes); (n, samples, num_classes) for several samples."""
        scoring = self._scoring(fitted, data_set)
        if samples == 1:
            return scoring.compute(fitted.network, self._probabilities(fitted, fitted.network), self.num_classes)
        return scoring.sample(
            self._probabilities(fitted, with_dropout(fitted.network)),
            samples,
            self.num_classes,
            Randomness(self.seed, fitted.device).network,
        )

    def compute_metrics(self, fitted: TorchState[E], validation_set: Dataset[Any]) -> tuple[float, float]:
        """Return loss and accuracy on checked texts."""
        return self._tally(fitted, validation_set).means("The validation loss")

    def parameters_to_save(self) -> dict[str, Any]:
        """Return the constructor's arguments that are saved, from which `load` constructs the classifier."""
        saved = super().parameters_to_save()
        return {name: saved[name] for name in saved if name != "mixed_precision"}  # it repeats the precision

    def load_state(self, folder: Path, manifest: Manifest) -> TorchState[E]:
        """Read the result of training that `save` wrote, on the CPU, running no code of the folder."""
        encoder = self.load_encoder(folder)
        with TorchRandomness(0, torch.device("cpu")).lent():
            network = self.load_network(encoder, folder)
        return TorchState(
            encoder, network.eval(), self.saved_loss(manifest), manifest.names, manifest.parameters["history"]
        )

    def _tally(self, fitted: TorchState[E], data_set: Dataset[Any]) -> Tally:
        """Return the losses and hits of labelled texts."""
        y = data_set.y
        return evaluate(
            fitted.network,
            lambda batch: self.forward(fitted.network, batch),
            fitted.loss,
            Examples(self.encode(fitted.encoder, data_set), y, fitted.loss.text_weights(y)),
            self._precision(fitted),
            self.padding(fitted.encoder),
        )

    def _schedule(self, encoder: E) -> Schedule:
        return Schedule(
            self.num_epochs,
            self.mini_batch_size,
            self.validations_per_epoch,
            self.max_gradient_norm,
            self.padding(encoder),
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
        default = self.configure_optimizer(network)
        return nullcontext((default, self.configure_scheduler(default, steps)))

    def _constructor_early_stopping(self) -> ConstructorEarlyStopping:
        return ConstructorEarlyStopping(
            self.early_stopping_no_improvement, self.early_stopping_acc, self.no_improvement_parameter
        )

    def _probabilities(self, fitted: TorchState[E], network: nn.Module) -> Callable[[Batch], torch.Tensor]:
        """Return what turns a batch into probabilities by way of a network."""
        return lambda batch: fitted.loss.probabilities(self.forward(network, batch))

    def _precision(self, fitted: TorchState[E]) -> Precision:
        return self.precision_for(fitted.network, fitted.device)

    def _scoring(
        self, fitted: TorchState[E], data_set: Dataset[Any], description: str | None = "predict"
    ) -> Scoring:
        """Return the texts of a dataset that was checked, ready to be passed through the network."""
        return Scoring(
            self.encode(fitted.encoder, data_set),
            self._precision(fitted),
            self.padding(fitted.encoder),
            description,
        )
