"""What a torch backend says for itself: how texts become tokens, and what network they go through."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Generic, Literal, TypeVar

import torch
from safetensors.torch import load_model, save_model
from torch import nn
from torch.optim import Optimizer

from smalltext_core.dataset import Dataset
from smalltext_core.labels import LabelNames
from smalltext_torch import optimization
from smalltext_torch.batching import Batch, Ragged
from smalltext_torch.device import Precision, PrecisionName
from smalltext_torch.history import HistoryRecord
from smalltext_torch.losses import Loss
from smalltext_torch.model_selection import ModelSelectionHandler
from smalltext_torch.network_classifier import NetworkClassifier
from smalltext_torch.optimization import OptimizerChoice, Scheduler, SchedulerChoice

WEIGHTS = "weights.safetensors"

E = TypeVar("E")
"""What texts are encoded with: a vocabulary, a tokenizer."""


@dataclass(frozen=True)
class Fitted(Generic[E]):
    """What training makes.

    Parameters
    ----------
    encoder : Any
        What texts are encoded with.
    network : Module
        Predictions are made in evaluation mode, whatever mode it is in.
    loss : Loss
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
        """Where the network is."""
        return next(iter(self.network.parameters())).device


class Backend(NetworkClassifier[Fitted[E]], Generic[E]):
    """The part of a `TorchClassifier` that differs from backend to backend.

    Its methods are for a subclass to write and for smalltext-torch to call, which is what their underscore says;
    they change only with an announcement. Those that are not abstract have an answer that suits most.
    """

    no_improvement_parameter: ClassVar[str] = "early_stopping_no_improvement"
    """What the backend's constructor calls that argument."""

    lr: float
    precision: PrecisionName

    @abstractmethod
    def _make_encoder(self, train_set: Dataset[Any]) -> E:
        """Return what texts are encoded with: learned from the texts, loaded, or taken from their dataset."""

    @abstractmethod
    def _encode(self, encoder: E, data_set: Dataset[Any]) -> Ragged:
        """Return the texts of a `TextDataset`, or of the backend's own dataset, as token numbers.

        Raises
        ------
        InvalidInputError
            If the dataset is of another kind, or was made with another encoder.
        """

    @abstractmethod
    def _make_network(self, encoder: E) -> nn.Module:
        """Return a new network, on the CPU, that shares no memory with anything of the caller's.

        Random initial weights are drawn from torch's global generators, which meanwhile are the classifier's own.
        """

    @abstractmethod
    def _save_encoder(self, encoder: E, folder: Path) -> None:
        """Write what `_load_encoder` needs into a folder, as JSON or safetensors."""

    @abstractmethod
    def _load_encoder(self, folder: Path) -> E:
        """Read what `_save_encoder` wrote, running no code of the folder."""

    def _empty_network(self, encoder: E) -> nn.Module:
        """Return a network that saved weights are then put into; nothing is fetched for it."""
        return self._make_network(encoder)

    def _save_network(self, fitted: Fitted[E], folder: Path) -> None:
        """Write the weights of a trained network into a folder."""
        save_model(fitted.network, str(folder / WEIGHTS))

    def _load_network(self, encoder: E, folder: Path) -> nn.Module:
        """Read what `_save_network` wrote, running no code of the folder, and return the network on the CPU."""
        network = self._empty_network(encoder)
        load_model(network, str(folder / WEIGHTS))
        return network

    def _padding(self, encoder: E) -> int:  # noqa: ARG002
        """Return the token that batches are padded with."""
        return 0

    def _forward(self, network: nn.Module, batch: Batch) -> torch.Tensor:
        """Return the logits of a batch, shape (n, num_classes)."""
        logits: torch.Tensor = network(batch.tokens, batch.lengths)
        return logits

    def _precision_of(self, network: nn.Module, device: torch.device) -> Precision:  # noqa: ARG002
        """Return the precision to compute in: what the caller wants, where the network can."""
        return Precision.of(device, self.precision == "auto")

    def _check_optimization(self, optimizer: OptimizerChoice | None, scheduler: SchedulerChoice | None) -> None:
        """Refuse an optimizer and a scheduler that `fit` cannot train with, before anything is built."""
        optimization.check_choice(optimizer, scheduler)

    def _default_model_selection(self) -> ModelSelectionHandler | Literal["none"] | None:
        """Return what `fit` takes if it is given no model selection."""
        return None

    def _word_embedding(self, network: nn.Module) -> nn.Embedding | None:  # noqa: ARG002
        """Return the embedding in which tokens are looked up, so that only rows that occur need to be trained.

        None is always right. An embedding is, where the default optimizer changes a row without a gradient in
        proportion to itself, if at all; see `smalltext_torch.vocabulary_in_use`.
        """
        return None

    def _begin_epoch(self, network: nn.Module, epoch: int) -> None:
        """Take note that an epoch, counted from 1, begins: for what is frozen in some epochs and not in others."""

    def _default_optimizer(self, network: nn.Module) -> Optimizer:
        """Return the optimizer for when `fit` is given none."""
        return optimization.adam(network, self.lr)

    def _default_scheduler(self, optimizer: Optimizer, total_steps: int) -> Scheduler | None:  # noqa: ARG002
        """Return the scheduler that goes with the default optimizer; None keeps the learning rate."""
        return None
