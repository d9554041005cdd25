"""The base class of classifiers whose network is trained by this package's training loop."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from safetensors.torch import load_model, save_model
from torch import nn
from torch.optim import Optimizer

from smalltext_core import validation
from smalltext_core.calibration import Calibration, CalibrationChoice, check_calibration
from smalltext_core.dataset import Dataset
from smalltext_core.saving import Manifest
from smalltext_core.validation import ClassWeight, Threshold, by_number, check_class_weight, check_count
from smalltext_torch import distributed, inference, optimization, progress, saving, training, training_set
from smalltext_torch.base import E, TorchModelBase, TorchState
from smalltext_torch.batching import Batch, Ragged
from smalltext_torch.calibration import TemperaturePrior
from smalltext_torch.device import Precision, PrecisionName, TorchRandomness, check_device, check_precision
from smalltext_torch.early_stopping import ConstructorEarlyStopping, EarlyStoppingHandler
from smalltext_torch.inference import BatchInference, InferenceStrategy, NetworkInference, evaluate
from smalltext_torch.model_selection import ModelSelectionHandler, chosen_handler
from smalltext_torch.optimization import OptimizerChoice, Scheduler, SchedulerChoice
from smalltext_torch.progress import VERBOSITY_MORE_VERBOSE, HistoryRecord, TrainingCallback

if TYPE_CHECKING:
    from typing_extensions import Self

WEIGHTS = "weights.safetensors"


class TorchClassifier(TorchModelBase[TorchState[E]], Generic[E]):
    """A classifier whose network is trained by this package's loop. A backend subclasses it.

    A backend implements the abstract methods, which turn texts into tokens and make the network. Its constructor
    passes on the arguments described here, and sets an attribute of the same name for each further one.

    Parameters
    ----------
    num_classes : int
        The number of classes, including those without training texts. At least 2, or 1 if multi-label.
    multi_label : bool, default=False
        Whether several classes, or none, may apply to a text.
    num_epochs : int, default=10
        The maximum number of epochs. At least 1.
    lr : float, default=0.001
        The learning rate of the backend's optimizer. Above 0.
    mini_batch_size : int, default=25
        The training batch size, per process in data-parallel training. At least 1.
    validation_set_size : float or "auto", default=0.1
        The share of the training texts that is held out for validation if no validation set is passed to `fit`.
        From 0 (no validation: the last model is kept) to below 1. "auto" is 0.1, or 0 if that is fewer than 20
        texts or lacks a class.
    validations_per_epoch : int, default=1
        The number of evenly spaced validations per epoch, the last one at its end. At least 1.
    early_stopping_no_improvement : int, default=5
        Deprecated, use ``fit(early_stopping=...)``: the early stopping patience, in epochs; 0 disables it.
    early_stopping_acc : float, default=-1
        Deprecated, use ``fit(early_stopping=...)``: training stops above this training accuracy; -1 disables it.
    class_weight : "balanced" or mapping of str (or int) to float, optional
        The weight of each class in the loss; see `smalltext_core.validation`.
    device : str or torch.device, optional
        The device to compute on; by default the best one available.
    verbosity : int, default=VERBOSITY_MORE_VERBOSE
        The amount of logging: one of the constants of `smalltext_torch.progress`.
    seed : int, optional
        The random seed, from 0 to 2**32 - 1. The same seed, data and machine give bitwise identical results.
    multi_label_threshold : float, sequence of float or "auto", default=0.5
        In multi-label problems, the probability above which a class applies, or one per class; from 0 to below 1.
        "auto" chooses one per class, for the greatest F1 on the validation texts, or 0.5 for fewer than 20 texts.
    precision : {"float32", "auto"}, default="float32"
        The floating-point precision; "auto" is bfloat16 or float16 on devices that are faster with it.
    max_gradient_norm : float, default=1.0
        The maximum L2 norm of the gradient, for gradient clipping. Above 0.
    warm_start : bool, default=False
        Whether `fit` continues from the model of the previous `fit`, instead of a new one.
    min_steps : int or "auto", default=0
        The minimum number of training steps, at least 0. If `num_epochs` gives fewer steps, the number of epochs
        is increased, and the early stopping patience in proportion. "auto" is `auto_min_steps`.
    calibration : {"auto", "none"}, default="none"
        Whether to calibrate probabilities on the validation texts: by temperature scaling, estimated from the
        training texts if there are none; if multi-label, by Platt scaling, given 20 texts and no `class_weight`.

    Parameters of extension points
    ------------------------------
    train_set : Dataset
        The training texts.
    encoder, texts : Any, Ragged
        What `make_encoder` and `encode` returned.
    network, device : Module, torch.device
        What `make_network` returned, or a copy of it, and its device.
    batch : Batch
        Token ids, padded to the longest text.
    optimizer : Optimizer, or function from a Module to an Optimizer
        The optimizer to train with; None is the default one.
    scheduler : scheduler, or function from an Optimizer to a scheduler
        The scheduler to train with, if any.
    total_steps, epoch : int
        The maximum number of training batches, and the number of the epoch, from 1.
    validations_per_epoch, num_epochs : int
        The number of validations per requested epoch, and the number of epochs to train for.

    Raises
    ------
    InvalidInputError
        If an argument has the wrong type or is out of range.

    Examples
    --------
    >>> sorted(TorchClassifier.__abstractmethods__)  # what a backend implements
    ['encode', 'load_encoder', 'make_encoder', 'make_network', 'save_encoder']
    """

    no_improvement_parameter: ClassVar[str] = "early_stopping_no_improvement"
    """The constructor's name for that argument."""
    auto_min_steps: ClassVar[int] = 0
    """The minimum number of training steps for `min_steps` "auto"."""
    training_tokens: ClassVar[int] = 512
    """The maximum number of tokens in one forward and backward pass on a CPU."""
    temperature_prior: ClassVar[TemperaturePrior | None] = None
    """The prior temperature if `calibration` is "auto" and no text is held out; None means 1."""

    def __init__(
        self,
        num_classes: int,
        multi_label: bool = False,
        *,
        num_epochs: int = 10,
        lr: float = 0.001,
        mini_batch_size: int = 25,
        validation_set_size: training_set.ValidationSetSize = 0.1,
        validations_per_epoch: int = 1,
        early_stopping_no_improvement: int = 5,
        early_stopping_acc: float = -1,
        class_weight: ClassWeight = None,
        device: str | torch.device | None = None,
        verbosity: int = VERBOSITY_MORE_VERBOSE,
        seed: int | None = None,
        multi_label_threshold: Threshold | Sequence[float] = 0.5,
        precision: PrecisionName = "float32",
        max_gradient_norm: float = 1.0,
        warm_start: bool = False,
        min_steps: int | Literal["auto"] = 0,
        calibration: CalibrationChoice = "none",
    ) -> None:
        self.num_classes = validation.check_num_classes(num_classes, multi_label)
        self.multi_label = validation.check_flag("multi_label", multi_label)
        self.num_epochs = check_count("num_epochs", num_epochs)
        self.lr: float | Literal["auto"] = validation.check_positive("lr", lr)
        self.mini_batch_size = check_count("mini_batch_size", mini_batch_size)
        self.validation_set_size = training_set.check_validation_set_size(validation_set_size)
        self.validations_per_epoch = check_count("validations_per_epoch", validations_per_epoch)
        self.early_stopping_no_improvement = early_stopping_no_improvement
        self.early_stopping_acc = early_stopping_acc
        check_class_weight(class_weight, self.num_classes)
        self.class_weight = class_weight
        check_device(device)
        self.device = device
        self.verbosity = progress.check_verbosity(verbosity)
        self.seed = validation.check_seed(seed)
        self.multi_label_threshold = validation.check_thresholds(multi_label_threshold, self.num_classes)
        self.precision = check_precision(precision)
        self.max_gradient_norm = validation.check_positive("max_gradient_norm", max_gradient_norm)
        self.warm_start = validation.check_flag("warm_start", warm_start)
        self.min_steps = min_steps if training_set.is_auto(min_steps) else check_count("min_steps", min_steps, 0)
        self.calibration = check_calibration(calibration)
        self._state: TorchState[E] | None = None
        patience = early_stopping_no_improvement, early_stopping_acc, self.no_improvement_parameter
        self._early_stopping = ConstructorEarlyStopping(*patience)
        for parameter in self._early_stopping.used():
            progress.warn_deprecated(parameter, "fit(early_stopping=...)")

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
        """Train on labelled texts, and return this classifier, which is left unchanged if training fails.

        Parameters
        ----------
        train_set : Dataset
            Labelled texts.
        validation_set : Dataset, optional
            Labelled texts for validation; by default a share of the training texts, `validation_set_size`.
        weights : array-like of float, shape (n,), optional
            The weight of each text of `train_set`, 0 or greater; all equal by default.
        early_stopping : EarlyStoppingHandler or 'none', optional
            When to stop; by default as set in the constructor.
        model_selection : ModelSelectionHandler or 'none', optional
            Which model to keep; by default `ModelSelection`, which keeps the one with the lowest validation loss.
        optimizer : Optimizer, or function from a Module to an Optimizer, optional
            The parameters of an optimizer object are replaced by those of the new network.
        scheduler : scheduler, or function from an Optimizer to a scheduler, optional
            Stepped after every batch (`ReduceLROnPlateau`: after every validation). Needs an optimizer.
        callbacks : iterable of TrainingCallback, default=()
            Called with a `HistoryRecord` after every validation, in the main process only.

        Raises
        ------
        InvalidInputError
            If an argument has the wrong type or is out of range. It is raised before training.
        DivergedError
            If the loss is no longer finite.
        """
        checked = training_set.check_fit_data(self, train_set, validation_set, weights)
        train_set, validation_set, checked_weights = checked
        by_number(self.class_weight, self.num_classes, train_set.label_names)
        if self.warm_start and self._state is not None:
            training_set.check_names(train_set, self._state.label_names, "train_set")
        selection = chosen_handler(self, model_selection)
        self.check_optimization(optimizer, scheduler)
        train = training.fit if progress.launched_processes() == 1 else distributed.fit
        self._state = train(
            self,
            train_set,
            validation_set,
            checked_weights,
            stopping=self._early_stopping.checked_override(early_stopping),
            selection=selection,
            optimizer=optimizer,
            scheduler=scheduler,
            callbacks=progress.check_callbacks(callbacks),
            previous=self._state if self.warm_start else None,
        )
        return self

    def save(self, folder: str | Path) -> None:
        """Write the fitted classifier to a folder atomically: weights as safetensors, the rest as JSON.

        The paths of pretrained models, vectors and downloads are saved too, since `fit` needs them for retraining;
        paths in the home folder begin with ``~``. The folder contains no other path of this machine. After
        data-parallel training, all processes must call this: the main process writes, and the others wait.

        Raises
        ------
        NotFittedError
            If the classifier was not fitted.
        ModelFolderError
            If the folder contains anything but a saved model.
        """
        state = self.require_fitted()

        def write(staging: Path) -> None:
            self.save_network(state, staging)
            self.save_encoder(state.encoder, staging)

        learned = saving.calibration_to_json(state.loss.calibration, self.multi_label_threshold_)
        learned["history"] = state.history
        distributed.in_main_process(partial(self.write_folder, folder, write, learned))

    @abstractmethod
    def make_encoder(self, train_set: Dataset[Any]) -> E:
        """Return an encoder of texts: fitted to the training texts, loaded, or taken from their dataset."""

    @abstractmethod
    def encode(self, encoder: E, data_set: Dataset[Any]) -> Ragged:
        """Return the token ids of texts, or raise InvalidInputError for a dataset of another kind or encoder."""

    @abstractmethod
    def make_network(self, encoder: E) -> nn.Module:
        """Return a new network on the CPU that shares no memory; torch is seeded before."""

    def initialize(self, network: nn.Module, texts: Ragged) -> None:
        """Adapt the initial weights of a new network, on the CPU, to the encoded texts to train on."""

    @abstractmethod
    def save_encoder(self, encoder: E, folder: Path) -> None:
        """Write the encoder into a folder, as JSON or safetensors."""

    @abstractmethod
    def load_encoder(self, folder: Path) -> E:
        """Read what `save_encoder` wrote, running no code of the folder."""

    def make_empty_network(self, encoder: E) -> nn.Module:
        """Return a network into which saved weights can be loaded, without downloads."""
        return self.make_network(encoder)

    def save_network(self, state: TorchState[E], folder: Path) -> None:
        """Write the weights of a trained network into a folder."""
        save_model(state.network, str(folder / WEIGHTS))

    def load_network(self, encoder: E, folder: Path) -> nn.Module:
        """Read what `save_network` wrote, running no code of the folder, and return the network on the CPU."""
        network = self.make_empty_network(encoder)
        load_model(network, str(folder / WEIGHTS))
        return network

    def training_texts(self, encoder: E, texts: Ragged, num_epochs: int) -> Ragged:  # noqa: ARG002
        """Return the encoded texts for training; a backend may truncate them to save time."""
        return texts

    def padding(self, encoder: E) -> int:  # noqa: ARG002
        """Return the token id that batches are padded with."""
        return 0

    def forward(self, network: nn.Module, batch: Batch) -> torch.Tensor:
        """Return the logits of a batch, shape (n, num_classes)."""
        logits: torch.Tensor = network(batch.tokens, batch.lengths)
        return logits

    def precision_for(self, network: nn.Module, device: torch.device) -> Precision:  # noqa: ARG002
        """Return the precision to compute in: the requested one, if the network supports it."""
        return Precision.of(device, self.precision == "auto")

    def batch_inference(
        self, state: TorchState[E], data_set: Dataset[Any], description: str | None = "predict"
    ) -> BatchInference:
        """Return batched inference for the texts of a checked dataset."""
        texts = inference.encoded(self, state.encoder, data_set)
        precision = self.precision_for(state.network, state.device)
        return BatchInference(texts, precision, self.padding(state.encoder), description)

    def inference_strategy(self, state: TorchState[E], data_set: Dataset[Any]) -> InferenceStrategy:
        """Return how the probabilities of the texts of a checked dataset are computed."""
        batches = self.batch_inference(state, data_set)
        return NetworkInference(state.network, self.forward, state.loss, self.num_classes, batches)

    def get_input_embeddings(self, network: nn.Module) -> nn.Embedding | None:  # noqa: ARG002
        """Return the token embedding, if only the rows of tokens that occur are to be trained.

        None is always valid. Return the embedding only if the default optimizer at most scales rows without a
        gradient (weight decay); see `smalltext_torch.optimization.rows_in_use`.
        """
        return None

    def on_epoch_start(self, network: nn.Module, epoch: int) -> None:
        """Prepare the network for an epoch, counted from 1, for example by freezing parameters."""

    def check_optimization(self, optimizer: OptimizerChoice | None, scheduler: SchedulerChoice | None) -> None:
        """Reject an optimizer or a scheduler that `fit` cannot use, before anything is built."""
        if optimizer is not None or scheduler is not None:
            optimization.check_choice(optimizer, scheduler)

    def configure_optimizer(self, network: nn.Module) -> Optimizer:
        """Return the default optimizer: Adam on the parameters that are not frozen."""
        return optimization.adam(network, float(self.lr))

    def configure_scheduler(self, optimizer: Optimizer, total_steps: int) -> Scheduler | None:  # noqa: ARG002
        """Return the scheduler of the default optimizer; None keeps the learning rate constant."""
        return None

    def default_early_stopping(self, validations_per_epoch: int) -> EarlyStoppingHandler:
        """Return the default early stopping, which the constructor's deprecated parameters configure."""
        return self._early_stopping.handler(validations_per_epoch)

    def default_model_selection(self) -> ModelSelectionHandler | Literal["none"] | None:
        """Return the default model selection, in a form that `fit` accepts."""
        return None

    @property
    def calibration_(self) -> Calibration | None:  # type: ignore[override]
        """The calibration that `fit` chose; None if it did not calibrate."""
        return None if self._state is None else self._state.loss.calibration

    @property
    def multi_label_threshold_(self) -> NDArray[np.float64] | None:  # type: ignore[override]
        """The thresholds that `fit` chose, float64, shape (num_classes,), if `multi_label_threshold` is "auto"."""
        if self._state is None or not self.multi_label or not training_set.is_auto(self.multi_label_threshold):
            return None
        return np.full(self.num_classes, self._state.loss.threshold, dtype=np.float64)

    @property
    def model(self) -> nn.Module | None:
        """The trained network; None before `fit`."""
        return None if self._state is None else self._state.network

    @property
    def history_(self) -> list[HistoryRecord]:
        """The training history, one record per validation."""
        return self.require_fitted().history

    def compute_metrics(self, state: TorchState[E], validation_set: Dataset[Any]) -> tuple[float, float]:
        batches, y = self.batch_inference(state, validation_set), validation_set.y
        examples = training_set.Examples(batches.texts, y, state.loss.text_weights(y))
        forward = partial(self.forward, state.network)
        metrics = evaluate(forward, state.network, state.loss, examples, batches.precision, batches.padding)
        return metrics.means("The validation loss")

    def load_state(self, folder: Path, manifest: Manifest) -> TorchState[E]:
        encoder = self.load_encoder(folder)
        with TorchRandomness(0, torch.device("cpu")).as_global():
            network = self.load_network(encoder, folder)
        loss = saving.with_saved_calibration(self.saved_loss(manifest), manifest, self.num_classes)
        return TorchState(encoder, network.eval(), loss, manifest.names, manifest.parameters["history"])
