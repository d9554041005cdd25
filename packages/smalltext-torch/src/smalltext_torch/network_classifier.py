"""What classifiers whose model is a network share, however it is trained: validating, loading, and pickling."""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, Protocol, TypeVar, overload

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import nn

from smalltext_core import validation
from smalltext_core.classifier import ProbabilisticClassifier
from smalltext_core.dataset import Dataset
from smalltext_core.errors import InvalidInputError, NotFittedError
from smalltext_core.labels import LabelNames, Labels
from smalltext_core.probabilities import Probabilities
from smalltext_torch import parameters
from smalltext_torch.device import present_or_best
from smalltext_torch.dropout import warn_if_alike
from smalltext_torch.losses import Loss
from smalltext_torch.saving import load

if TYPE_CHECKING:
    from typing_extensions import Self

    from smalltext_core.saving import Manifest


class Trained(Protocol):
    """What training makes: a dataclass that holds these and whatever else a backend needs."""

    @property
    def network(self) -> nn.Module:
        """What was trained; predictions are made in evaluation mode, whatever mode it is in."""
        ...

    @property
    def loss(self) -> Loss:
        """What it was trained with, and so what its logits mean."""
        ...

    @property
    def label_names(self) -> LabelNames | None:
        """What the classes are called, if the training set said so."""
        ...

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        ...


F = TypeVar("F", bound=Trained)
R = TypeVar("R")


def _accepts_data_set(method: Callable[..., R]) -> Callable[..., R]:
    """Let a method whose documented parameter is `dataset` take it as `data_set` as well.

    Callers who swap classifiers write `data_set`, as the abstract class does. What such a method takes by its
    types is said by its overloads; those with `data_set` come first, so that they override the abstract class's.
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


class NetworkClassifier(ProbabilisticClassifier, Generic[F]):
    """A classifier that is all in `_fitted`, once it has been trained.

    Attributes
    ----------
    device : str, torch.device or None
        Where the caller wants to compute.
    """

    name: ClassVar[str]
    """The name that the backend's plugin registers."""
    distribution: ClassVar[str]
    """The name of the backend's distribution."""
    version: ClassVar[str]
    """The version of the backend's distribution."""
    further_files: ClassVar[frozenset[str]] = frozenset()
    """Files in a saved folder that are code or pickles, and that `load` does not read."""

    device: str | torch.device | None
    _fitted: F | None = None

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
        """Label texts.

        Parameters
        ----------
        dataset : Dataset
            Texts, whose labels (if any) do not matter. ``data_set=`` works as well.
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
            If `fit` was not called.
        InvalidInputError
            If the dataset is not one that this classifier takes.
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
        """Return how probable each class is for each text.

        Parameters
        ----------
        dataset : Dataset
            Texts, whose labels (if any) do not matter. ``data_set=`` works as well.
        dropout_sampling : int, default=1
            Above 1, the number of samples to draw, each with its own dropout mask. With a seed, every call draws
            the same ones.

        Returns
        -------
        ndarray of float32, shape (n, num_classes); (n, dropout_sampling, num_classes) above 1

        Raises
        ------
        NotFittedError
            If `fit` was not called.
        InvalidInputError
            If the dataset is not one that this classifier takes, or `dropout_sampling` is not 1 or above.
        """
        samples = validation.check_count("dropout_sampling", dropout_sampling)
        fitted = self._require_fitted()
        data_set = validation.prediction_data(dataset, fitted=True, classifier=self, argument="dataset")
        proba = self._predicted(fitted, data_set, samples)
        if samples > 1:
            warn_if_alike(proba)
        return proba

    def validate(self, validation_set: Dataset[Any]) -> tuple[float, float]:
        """Return (loss, accuracy): means over texts; of a multi-label text, the share of labels that are right.

        Classes count as much in the loss as they did in training.

        Parameters
        ----------
        validation_set : Dataset
            Labelled texts, one at least.
        """
        fitted = self._require_fitted()
        validation_set = validation.validation_data(
            validation_set, num_classes=self.num_classes, multi_label=self.multi_label
        )
        return self._measured(fitted, validation_set)

    @classmethod
    def load(cls, folder: str | Path, device: str | torch.device | None = None) -> Self:
        """Bring back a classifier from a folder that `save` wrote; no code in the folder is run.

        Parameters
        ----------
        folder : path
        device : str or torch.device, optional
            Where to compute; by default where the saved one did if there is such a device, else the best there is.

        Raises
        ------
        ModelFolderError
            If the folder is no saved model of this class, or is damaged.
        InvalidInputError
            If there is no such device.
        """
        return load(cls, folder, device)

    def _checked_data(
        self, train_set: Dataset[Any], validation_set: Dataset[Any] | None, weights: ArrayLike | None
    ) -> tuple[Dataset[Any], Dataset[Any] | None, NDArray[np.float64] | None]:
        """Check what `fit` is given, and leave out texts that have no weight.

        The abstract class has `weights` in the place of `validation_set`, so that callers may mix them up.
        """
        if validation_set is not None and not isinstance(validation_set, Dataset):
            raise InvalidInputError(
                "validation_set",
                type(validation_set).__name__,
                "a Dataset, or None",
                "The second argument of fit is the validation set; pass weights=... by keyword.",
            )
        train_set, checked = validation.training_data(
            train_set, weights, num_classes=self.num_classes, multi_label=self.multi_label
        )
        if validation_set is not None:
            validation_set = validation.validation_data(
                validation_set, num_classes=self.num_classes, multi_label=self.multi_label
            )
        return train_set, validation_set, checked

    @property
    def label_names_(self) -> LabelNames | None:
        """What the classes are called, if the training set said so."""
        return self._require_fitted().label_names

    @abstractmethod
    def _predicted(self, fitted: F, data_set: Dataset[Any], samples: int) -> NDArray[np.float32]:
        """Return the probabilities of texts: shape (n, num_classes) for one sample, else one more axis in between.

        With more than one sample, each has its own dropout mask.
        """

    @abstractmethod
    def _measured(self, fitted: F, validation_set: Dataset[Any]) -> tuple[float, float]:
        """Return loss and accuracy on texts that have been checked."""

    @abstractmethod
    def _restore(self, folder: Path, manifest: Manifest) -> None:
        """Read what `save` wrote of the model of this classifier, running no code of the folder."""

    @classmethod
    def _check_saved(cls, folder: Path, manifest: Manifest) -> None:
        """Refuse a saved folder before anything is made of it, with a ModelFolderError."""

    def _saved_parameters(self) -> dict[str, Any]:
        """Return the constructor's arguments that are saved; they are given to it again on loading."""
        return parameters.constructor_parameters(self)

    @classmethod
    def _loaded_parameters(cls, saved: Mapping[str, Any]) -> dict[str, Any]:
        """Return the constructor's arguments as a manifest holds them, made what the constructor takes."""
        return parameters.from_json(saved)

    def _require_fitted(self) -> F:
        """Return what training made, or say that there has been none."""
        if self._fitted is None:
            raise NotFittedError(self)
        return self._fitted

    def __getstate__(self) -> dict[str, Any]:
        """Return what is pickled: the network on the CPU, so that it can be read where there is nothing else."""
        state = self.__dict__.copy()
        fitted: Any = self._fitted
        if fitted is not None and fitted.device.type != "cpu":
            state["_fitted"] = replace(fitted, network=copy.deepcopy(fitted.network).cpu())
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take over what was pickled, on the device that was asked for if there is one here."""
        self.__dict__.update(state)
        if self._fitted is not None:
            self._fitted.network.to(present_or_best(self.device))
