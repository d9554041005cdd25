"""What classifiers whose model is a network share, however it is trained: validating, loading, and pickling."""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol, TypeVar

import torch
from torch import nn

from smalltext_core import checks
from smalltext_core.classifier import ProbabilisticClassifier
from smalltext_core.dataset import Dataset
from smalltext_core.errors import NotFittedError
from smalltext_core.labels import LabelNames
from smalltext_torch import parameters
from smalltext_torch.device import present_or_best
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

    device: str | torch.device | None
    _fitted: F | None = None

    def validate(self, validation_set: Dataset[Any]) -> tuple[float, float]:
        """Return (loss, accuracy): means over texts; of a multi-label text, the share of labels that are right.

        Classes count as much in the loss as they did in training.

        Parameters
        ----------
        validation_set : Dataset
            Labelled texts, one at least.
        """
        fitted = self._require_fitted()
        validation_set = checks.validation_data(
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

    @property
    def label_names_(self) -> LabelNames | None:
        """What the classes are called, if the training set said so."""
        return self._require_fitted().label_names

    @abstractmethod
    def _measured(self, fitted: F, validation_set: Dataset[Any]) -> tuple[float, float]:
        """Return loss and accuracy on texts that have been checked."""

    @abstractmethod
    def _restore(self, folder: Path, manifest: Manifest) -> None:
        """Read what `save` wrote of the model of this classifier, running no code of the folder."""

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
