"""The base class of classifiers whose model is a torch network, however it is trained."""

from __future__ import annotations

import copy
import warnings
from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, Protocol, TypeVar, overload

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from smalltext_core import validation
from smalltext_core.atomic import as_path, utf8_path
from smalltext_core.classifier import ProbabilisticClassifier
from smalltext_core.dataset import Dataset
from smalltext_core.errors import InvalidInputError, ModelFolderError, NotFittedError, PluginError
from smalltext_core.label_names import LabelNames
from smalltext_core.labels import Labels
from smalltext_core.messages import shown
from smalltext_core.probabilities import Probabilities
from smalltext_core.saving import Manifest, damage_explained, model_folder, read_manifest
from smalltext_core.validation import Threshold, check_count
from smalltext_torch import saving
from smalltext_torch.device import Randomness, available_or_best, gradients, resolve_device
from smalltext_torch.inference import InferenceStrategy, Loss, check_returned
from smalltext_torch.pretrained_files import check_files, executable_files
from smalltext_torch.progress import HistoryRecord, stacklevel_of_caller
from smalltext_torch.training_set import check_names

if TYPE_CHECKING:
    from typing_extensions import Self


class ModelState(Protocol):
    """The result of training: a dataclass with these fields and any others that a backend needs."""

    @property
    def network(self) -> nn.Module:
        """The trained network. Inference always runs in evaluation mode."""
        ...

    @property
    def loss(self) -> Loss:
        """The loss of training, which defines how logits are converted to probabilities."""
        ...

    @property
    def label_names(self) -> LabelNames | None:
        """The names of the classes, if the training set had any."""
        ...

    @property
    def device(self) -> torch.device:
        """The device of the network."""
        ...


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
        The loss of training, which defines how logits are converted to probabilities.
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


S = TypeVar("S", bound=ModelState)
R = TypeVar("R")


def _accepts_data_set(method: Callable[..., R]) -> Callable[..., R]:
    """Accept the parameter `dataset` also under the name `data_set`, which the abstract class uses.

    The overloads of such a method declare both names; those with `data_set` come first, so that they override
    those of the abstract class.
    """

    @wraps(method)
    def call(self: object, *args: Any, **kwargs: Any) -> R:
        if "data_set" in kwargs:
            if args or "dataset" in kwargs:
                raise InvalidInputError(
                    "data_set", "a dataset given twice", "one dataset", "data_set is another name of dataset."
                )
            kwargs["dataset"] = kwargs.pop("data_set")
        return method(self, *args, **kwargs)

    return call


class TorchModelBase(ProbabilisticClassifier, Generic[S]):
    """Prediction, validation, saving, loading and pickling of a classifier with a torch network.

    `fit` of a subclass sets `_state`, the result of training. The abstract methods are the extension points;
    `TorchClassifier` implements most of them for networks that its training loop trains.

    Attributes
    ----------
    device : str, torch.device or None
        The requested device; None is the best one available.
    seed : int or None
        The random seed, also for dropout sampling.
    multi_label_threshold : float, tuple of float or "auto"
        In multi-label problems, the probability above which a class applies, or one probability per class.

    Parameters of extension points
    ------------------------------
    state : ModelState
        The result of training.
    data_set, validation_set : Dataset
        Texts, which have been checked; those of a validation set are labelled.
    description : str or None, default="predict"
        The label of the progress bar; None shows none.
    folder : Path
        The folder of a saved model.
    manifest : Manifest
        The checked manifest of that folder.
    saved : mapping of str to Any
        The constructor's arguments in that manifest.
    """

    name: ClassVar[str]
    """The name under which the backend's plugin registers the classifier."""
    distribution: ClassVar[str]
    """The name of the backend's distribution."""
    version: ClassVar[str]
    """The version of the backend's distribution."""
    further_files: ClassVar[frozenset[str]] = frozenset()
    """Files with code or pickles that a saved folder may contain, since `load` does not read them."""

    device: str | torch.device | None
    seed: int | None
    multi_label_threshold: Threshold
    _state: S | None = None

    @overload
    def predict(self, data_set: Dataset[Any], return_proba: Literal[False] = False) -> Labels: ...
    @overload
    def predict(self, data_set: Dataset[Any], return_proba: Literal[True]) -> tuple[Labels, Probabilities]: ...
    @overload
    def predict(self, dataset: Dataset[Any], return_proba: Literal[False] = False) -> Labels: ...
    @overload
    def predict(self, dataset: Dataset[Any], return_proba: Literal[True]) -> tuple[Labels, Probabilities]: ...
    @_accepts_data_set
    def predict(self, dataset: Dataset[Any], return_proba: bool = False) -> Labels | tuple[Labels, Probabilities]:
        """Predict the labels of texts.

        Parameters
        ----------
        dataset : Dataset
            Texts; labels are ignored. ``data_set=`` works as well.
        return_proba : bool, default=False
            Whether to return the probabilities as well, at no further cost.

        Returns
        -------
        labels : ndarray of int32, shape (n,), or csr_matrix of int32, shape (n, num_classes)
        proba : ndarray of float32, shape (n, num_classes)
            Only with `return_proba`.

        Raises
        ------
        NotFittedError
            If the classifier was not fitted.
        InvalidInputError
            If the classifier does not support this type of dataset.
        """
        if validation.check_flag("return_proba", return_proba):
            return super().predict(dataset, return_proba=True)
        return super().predict(dataset)

    @overload
    def predict_proba(self, data_set: Dataset[Any], dropout_sampling: int = 1) -> NDArray[np.float32]: ...
    @overload
    def predict_proba(self, dataset: Dataset[Any], dropout_sampling: int = 1) -> NDArray[np.float32]: ...
    @_accepts_data_set
    def predict_proba(self, dataset: Dataset[Any], dropout_sampling: int = 1) -> NDArray[np.float32]:
        """Predict the probability of each class for each text.

        Parameters
        ----------
        dataset : Dataset
            Texts; labels are ignored. ``data_set=`` works as well.
        dropout_sampling : int, default=1
            Above 1, the number of samples of Monte Carlo dropout, each with its own dropout mask. With a seed,
            every call draws the same samples.

        Returns
        -------
        ndarray of float32, shape (n, num_classes); (n, dropout_sampling, num_classes) above 1

        Raises
        ------
        NotFittedError
            If the classifier was not fitted.
        InvalidInputError
            If the classifier does not support this type of dataset, or `dropout_sampling` is not 1 or above.
        """
        samples = check_count("dropout_sampling", dropout_sampling)
        state = self.require_fitted()
        data_set = validation.prediction_data(dataset, fitted=True, classifier=self, argument="dataset")
        strategy = self.inference_strategy(state, data_set)
        check_returned(self, "inference_strategy", strategy, InferenceStrategy)  # type: ignore[type-abstract]
        if samples == 1:
            return strategy.probabilities()
        proba = strategy.sampled_probabilities(samples, Randomness(self.seed, state.device).network)
        _warn_if_alike(proba)
        return proba

    def validate(self, validation_set: Dataset[Any]) -> tuple[float, float]:
        """Return (loss, accuracy), means over texts; multi-label accuracy is the share of correct labels.

        The loss includes class weights, as in training.

        Parameters
        ----------
        validation_set : Dataset
            At least one labelled text.
        """
        state = self.require_fitted()
        validation_set, _ = validation.training_data(
            validation_set, num_classes=self.num_classes, multi_label=self.multi_label, argument="validation_set"
        )
        check_names(validation_set, state.label_names, "validation_set")
        return self.compute_metrics(state, validation_set)

    @classmethod
    def load(cls, folder: str | Path, device: str | torch.device | None = None) -> Self:
        """Load a classifier from a folder that `save` wrote; no code in the folder is run.

        The folder may be untrusted: its contents are checked before use, and the classifier classifies a few texts
        on the CPU, so that unusable folders are rejected at loading.

        Parameters
        ----------
        folder : path
        device : str or torch.device, optional
            The device to compute on; by default that of the saved classifier if available, else the best one.

        Raises
        ------
        ModelFolderError
            If the folder is not a saved model of this class, or is damaged.
        InvalidInputError
            If the device does not exist.
        """
        folder = as_path(folder)
        manifest = read_manifest(folder)
        if manifest.classifier != cls.name:
            raise ModelFolderError(
                f"{folder} holds a {shown(manifest.classifier)} classifier; use smalltext_core.load."
            )
        if device is not None:
            resolve_device(device)
        check_files(folder, cls.further_files)
        cpu = torch.device("cpu")
        with damage_explained(folder), saving.as_model_folder_errors(folder), utf8_path(folder) as readable:
            cls.check_saved_folder(readable, manifest)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # shown when the classifier was made
                classifier = cls(**cls.parameters_from_saved(saving.saved_value(manifest, "constructor", dict)))
            wanted = classifier.device if device is None else device
            # Out-of-range indices make an accelerator unusable, whereas the CPU raises an error.
            classifier.device = "cpu"
            with gradients(cpu):
                state = classifier._state = classifier.load_state(readable, manifest)
            saving.smoke_test(classifier)
            classifier.device = wanted
            with gradients(cpu):
                state.network.to(available_or_best(wanted))
        return classifier

    def write_folder(self, folder: str | Path, write: Callable[[Path], None], learned: Mapping[str, Any]) -> None:
        """Write the fitted classifier to a folder atomically.

        Parameters
        ----------
        folder : path
        write : callable
            Writes the network and the encoder into the folder passed to it.
        learned : mapping
            Further results of training, as JSON values; `load_state` finds them in ``manifest.parameters``.
        """
        state = self.require_fitted()
        weights = state.loss.class_weights
        parameters = {
            "constructor": saving.to_json(self.parameters_to_save()),
            "class_weights": None if weights is None else weights.tolist(),
            **learned,
        }
        with model_folder(
            folder,
            classifier=self.name,
            distribution=self.distribution,
            version=self.version,
            parameters=parameters,
            label_names=state.label_names,
        ) as staging:
            with utf8_path(staging) as writable:
                write(writable)
            for name in executable_files(staging, self.further_files):
                what = f"{type(self).__name__} writes {name}, a kind of file that can hold code"
                raise PluginError(f"{what}, so load would refuse the folder. Write JSON or safetensors instead.")

    @property
    def label_names_(self) -> LabelNames | None:
        """The names of the classes, if the training set had any."""
        return self.require_fitted().label_names

    def require_fitted(self) -> S:
        """Return the result of training, or raise NotFittedError."""
        if self._state is None:
            raise NotFittedError(self)
        return self._state

    @abstractmethod
    def inference_strategy(self, state: S, data_set: Dataset[Any]) -> InferenceStrategy:
        """Return how the probabilities of the texts of a checked dataset are computed."""

    @abstractmethod
    def compute_metrics(self, state: S, validation_set: Dataset[Any]) -> tuple[float, float]:
        """Return the loss and accuracy on checked texts."""

    @abstractmethod
    def load_state(self, folder: Path, manifest: Manifest) -> S:
        """Read the result of training that `save` wrote, on the CPU, running no code of the folder."""

    @classmethod
    def check_saved_folder(cls, folder: Path, manifest: Manifest) -> None:
        """Raise ModelFolderError for an invalid saved folder, before anything is constructed from it."""

    def parameters_to_save(self) -> dict[str, Any]:
        """Return the constructor's arguments to save, from which `load` constructs the classifier."""
        return saving.constructor_parameters(self)

    @classmethod
    def parameters_from_saved(cls, saved: Mapping[str, Any]) -> dict[str, Any]:
        """Return the constructor's arguments that a manifest contains."""
        return saving.from_json(saved)

    def saved_loss(self, manifest: Manifest) -> Loss:
        """Return the loss that a saved classifier was trained with; raise ModelFolderError if it is not valid."""
        weights = saving.saved_class_weights(manifest, self.num_classes)
        return Loss(self.multi_label, weights, self.decision_threshold())

    def __getstate__(self) -> dict[str, Any]:
        """Return the state to pickle, with the network on the CPU, so that any machine can read it."""
        pickled = self.__dict__.copy()
        state: Any = self._state
        if state is not None and state.device.type != "cpu":
            pickled["_state"] = replace(state, network=copy.deepcopy(state.network).cpu())
        return pickled

    def __setstate__(self, pickled: dict[str, Any]) -> None:
        """Restore the pickled state, on the requested device if it is available."""
        self.__dict__.update(pickled)
        if self._state is not None:
            self._state.network.to(available_or_best(self.device))


def _warn_if_alike(samples: NDArray[np.float32]) -> None:
    """Warn if all samples of every text, shape (n, samples, num_classes), are equal: there is no dropout."""
    if len(samples) and (samples == samples[:, :1]).all():
        warnings.warn(
            f"all {samples.shape[1]} samples of dropout_sampling are the same, since the model has no dropout; "
            "they do not measure its uncertainty. Set the dropout in the model's configuration, and train again.",
            UserWarning,
            stacklevel=stacklevel_of_caller(),
        )
