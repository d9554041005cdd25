"""What a classifier is made of: which pretrained model, and how its layers are fine-tuned."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smalltext_core.errors import InvalidInputError
from smalltext_core.messages import shown
from smalltext_core.validation import check_positive
from smalltext_core.values import is_number, is_whole
from smalltext_torch.model_loading import ModelLoadingStrategy, abbreviated, expanded


@dataclass(frozen=True)
class TransformerModelArguments:
    """Which pretrained model to fine-tune, and where to look for it.

    Parameters
    ----------
    model : str or path
        The folder of a model, which may begin with ``~``, or the name of one on the Hugging Face hub.
    tokenizer : str or path, optional
        Where the tokenizer is; by default where the model is.
    config : str or path, optional
        Where the configuration is; by default where the model is.
    model_loading_strategy : ModelLoadingStrategy or str, default=ModelLoadingStrategy.DEFAULT
        Whether anything may, or must, be downloaded. It holds for the model, the tokenizer and the configuration.

    Raises
    ------
    InvalidInputError
        If an argument is not what is described here.

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
        source = _as_source("model", model)
        object.__setattr__(self, "model", source)
        object.__setattr__(self, "tokenizer", source if tokenizer is None else _as_source("tokenizer", tokenizer))
        object.__setattr__(self, "config", source if config is None else _as_source("config", config))
        object.__setattr__(self, "model_loading_strategy", ModelLoadingStrategy.of(model_loading_strategy))

    @classmethod
    def of(cls, model: TransformerModelArguments | str | Path) -> TransformerModelArguments:
        """Return arguments as they are, and those that go with the name or folder of a model."""
        return model if isinstance(model, TransformerModelArguments) else cls(model)

    def to_json(self) -> dict[str, Any]:
        """Return what a manifest can hold, and the constructor takes."""
        return {
            "model": abbreviated(self.model),
            "tokenizer": abbreviated(self.tokenizer),
            "config": abbreviated(self.config),
            "model_loading_strategy": self.model_loading_strategy.value,
        }


@dataclass(frozen=True)
class FineTuningArguments:
    """Layers that are trained at rates, or from epochs, of their own: ULMFiT (Howard and Ruder, 2018).

    Parameters
    ----------
    base_lr : float
        The learning rate of the uppermost layer; it takes the place of the classifier's `lr`.
    layerwise_gradient_decay : float or None
        A layer's rate is ``base_lr * layerwise_gradient_decay ** (layers above it)``. None or -1: the same for
        all.
    gradual_unfreezing : int, default=-1
        In the first epoch so many of the uppermost layers are trained, the classification head being the first of
        them, and in every further epoch one more. None or -1: all of them from the beginning.
    cut_fraction : float, default=0.1
        In this share of the steps the rates rise to what is said here; after that they fall to 0, both linearly.

    Raises
    ------
    InvalidInputError
        If an argument is not what is described here.

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

    base_lr: float
    layerwise_gradient_decay: float | None
    gradual_unfreezing: int | None = -1
    cut_fraction: float = 0.1

    def __post_init__(self) -> None:
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
        """What the learning rate is multiplied with from a layer to the one below it."""
        return 1.0 if self.layerwise_gradient_decay in (None, -1) else float(self.layerwise_gradient_decay)

    def unfrozen_layers(self, epoch: int) -> int | None:
        """Return how many of the uppermost layers are trained in an epoch, counted from 1; None: all."""
        if self.gradual_unfreezing in (None, -1):
            return None
        return int(self.gradual_unfreezing) + epoch - 1


def _as_source(argument: str, source: object) -> str:
    if not isinstance(source, (str, Path)) or not str(source).strip():
        allowed = "a folder, or a name on the Hugging Face hub"
        raise InvalidInputError(argument, shown(source), allowed)
    return expanded(str(source), argument)
