"""The argument objects of a classifier: the pretrained model, and the fine-tuning of its layers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from smalltext_core.conversion import is_number, is_whole
from smalltext_core.errors import InvalidInputError
from smalltext_core.messages import shown
from smalltext_core.validation import check_count, check_positive
from smalltext_torch.model_loading import ModelLoadingStrategy, abbreviated, as_source
from smalltext_torch.training_set import is_auto

DEFAULT_LR = 2e-5
"""The documented learning rate, which is suitable for encoders of the size of BERT."""


@dataclass(frozen=True)
class TransformerModelArguments:
    """The pretrained model to fine-tune, and where to look for it.

    Parameters
    ----------
    model : str or path
        The folder of a pretrained model, which may begin with ``~``, or its name on the Hugging Face hub.
    tokenizer : str or path, optional
        The folder or name of the tokenizer; by default that of the model.
    config : str or path, optional
        The folder or name of the configuration; by default that of the model.
    model_loading_strategy : ModelLoadingStrategy or str, default=ModelLoadingStrategy.DEFAULT
        Whether the model, the tokenizer and the configuration may, or must, be downloaded: "default",
        "always-local" or "always-download".

    Raises
    ------
    InvalidInputError
        If an argument has the wrong type, is empty, or is not one of the strategies.

    Examples
    --------
    >>> TransformerModelArguments("bert-base-uncased", model_loading_strategy="always-local").tokenizer
    'bert-base-uncased'
    """

    model: str
    tokenizer: str
    config: str
    model_loading_strategy: ModelLoadingStrategy

    def __init__(
        self,
        model: str | Path,
        tokenizer: str | Path | None = None,
        config: str | Path | None = None,
        model_loading_strategy: ModelLoadingStrategy | str = ModelLoadingStrategy.DEFAULT,
    ) -> None:
        source = as_source("model", model)
        object.__setattr__(self, "model", source)
        object.__setattr__(self, "tokenizer", source if tokenizer is None else as_source("tokenizer", tokenizer))
        object.__setattr__(self, "config", source if config is None else as_source("config", config))
        object.__setattr__(self, "model_loading_strategy", ModelLoadingStrategy.of(model_loading_strategy))

    @classmethod
    def of(cls, model: TransformerModelArguments | str | Path) -> TransformerModelArguments:
        """Return arguments unchanged, and the default ones for the name or folder of a model.

        Parameters
        ----------
        model : TransformerModelArguments, str or path
            Arguments, or the name or folder of a pretrained model.

        Returns
        -------
        TransformerModelArguments

        Raises
        ------
        InvalidInputError
            If `model` has the wrong type or is empty.
        """
        return model if isinstance(model, TransformerModelArguments) else cls(model)

    def to_json(self) -> dict[str, Any]:
        """Return the arguments as JSON, from which the constructor restores them."""
        return {
            "model": abbreviated(self.model),
            "tokenizer": abbreviated(self.tokenizer),
            "config": abbreviated(self.config),
            "model_loading_strategy": self.model_loading_strategy.value,
        }


@dataclass(frozen=True)
class FineTuningArguments:
    """Layer-wise learning rates and gradual unfreezing, as in ULMFiT (Howard and Ruder, 2018).

    Parameters
    ----------
    base_lr : float or "auto"
        The learning rate of the top layer, instead of the classifier's `lr`. Above 0; "auto" for `lr`.
    layerwise_gradient_decay : float or None
        The factor by which the learning rate decreases from each layer to the one below it: the rate of a layer is
        ``base_lr * layerwise_gradient_decay ** (layers above it)``. Above 0, up to 1; None or -1 for the same rate
        in all layers.
    gradual_unfreezing : int or None, default=-1
        The number of top layers, including the classification head, to train in the first epoch, with one more in
        each further epoch. At least 1; None or -1 for all layers from the beginning.
    cut_fraction : float, default=0.1
        The share of steps with linear warmup of the learning rates; afterwards they decay linearly to 0. From 0 to
        below 1.

    Raises
    ------
    InvalidInputError
        If an argument has the wrong type or is out of range.

    References
    ----------
    https://aclanthology.org/P18-1031

    Examples
    --------
    >>> FineTuningArguments(2e-5, 0.95).decay
    0.95
    >>> FineTuningArguments(2e-5, -1).decay
    1.0
    """

    base_lr: float | Literal["auto"]
    layerwise_gradient_decay: float | None
    gradual_unfreezing: int | None = -1
    cut_fraction: float = 0.1

    def __post_init__(self) -> None:
        if not is_auto(self.base_lr):
            object.__setattr__(self, "base_lr", check_positive("base_lr", self.base_lr))
        decay, unfrozen, cut = self.layerwise_gradient_decay, self.gradual_unfreezing, self.cut_fraction
        if not (decay is None or (is_number(decay) and (decay == -1 or 0 < decay <= 1))):
            allowed = "a number above 0, up to 1; None or -1 switches it off"
            raise InvalidInputError("layerwise_gradient_decay", shown(decay), allowed)
        if not (unfrozen is None or (is_whole(unfrozen) and (unfrozen == -1 or unfrozen >= 1))):
            allowed = "a whole number, 1 or above; None or -1 switches it off"
            raise InvalidInputError("gradual_unfreezing", shown(unfrozen), allowed)
        if not (is_number(cut) and 0 <= cut < 1):
            raise InvalidInputError("cut_fraction", shown(cut), "a number from 0 and below 1")

    @property
    def decay(self) -> float:
        """The factor by which the learning rate decreases from each layer to the one below it."""
        return 1.0 if self.layerwise_gradient_decay in (None, -1) else float(self.layerwise_gradient_decay)

    def unfrozen_layers(self, epoch: int) -> int | None:
        """Return the number of top layers to train in an epoch.

        Parameters
        ----------
        epoch : int
            The number of the epoch, from 1.

        Returns
        -------
        int or None
            None for all layers.
        """
        if self.gradual_unfreezing in (None, -1):
            return None
        return int(self.gradual_unfreezing) + epoch - 1


def check_fine_tuning(arguments: FineTuningArguments | None) -> FineTuningArguments | None:
    """Return fine-tuning arguments or None, or raise InvalidInputError."""
    if not isinstance(arguments, (FineTuningArguments, type(None))):
        raise InvalidInputError("fine_tuning_arguments", shown(arguments), "a FineTuningArguments, or None")
    return arguments


def check_no_fine_tuning(arguments: FineTuningArguments | None, argument: str) -> None:
    """Reject an optimizer or a scheduler passed to the `fit` of a classifier with fine-tuning arguments."""
    if arguments is not None:
        raise InvalidInputError(
            argument,
            "one of the caller's, for a classifier with fine_tuning_arguments",
            "either fine_tuning_arguments, or an optimizer and a scheduler",
            "fine_tuning_arguments say how fast each layer learns, and so does an optimizer.",
        )


def check_max_seq_len(length: object) -> int | Literal["auto"] | None:
    """Return a maximum length, 1 or above, "auto" or None, or raise InvalidInputError."""
    if is_auto(length):
        return "auto"
    return None if length is None else check_count("max_seq_len", length)


def check_memory_fix(epochs: object) -> int:
    """Return a number of epochs, 0 or above, or raise InvalidInputError."""
    if not is_whole(epochs) or epochs < 0:
        raise InvalidInputError("memory_fix", shown(epochs), "a whole number; 0 switches it off")
    return int(epochs)


def check_model_selection(selects: object) -> bool:
    """Return whether a model is selected; reject values for `fit`, such as 'none', which would count as True."""
    if not isinstance(selects, (bool, np.bool_)):
        hint = 'Pass the model selection to fit: fit(model_selection="none"), or a ModelSelection.'
        raise InvalidInputError("model_selection", shown(selects), "True or False", hint)
    return bool(selects)


def check_cache_dir(folder: object) -> None:
    """Raise InvalidInputError unless the argument is a path or None. The folder need not exist."""
    if folder is not None and not (isinstance(folder, (str, Path)) and str(folder).strip()):
        raise InvalidInputError("cache_dir", shown(folder), "the path of a folder, or None")
