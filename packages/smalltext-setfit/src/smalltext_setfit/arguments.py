"""What a classifier is made of: which pretrained sentence transformer, and where to look for it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smalltext_core.errors import InvalidInputError
from smalltext_core.messages import shown
from smalltext_torch.model_loading import ModelLoadingStrategy, abbreviated, expanded


@dataclass(frozen=True)
class SetFitModelArguments:
    """Which pretrained sentence transformer to fine-tune, and where to look for it.

    Parameters
    ----------
    sentence_transformer_model : str or path
        The folder of a sentence transformer, or the name of one on the Hugging Face hub. ``~`` is the home folder.
    model_loading_strategy : ModelLoadingStrategy or str, default=ModelLoadingStrategy.DEFAULT
        Whether anything may, or must, be downloaded.

    Raises
    ------
    InvalidInputError
        If an argument is not what is described here.

    Examples
    --------
    >>> SetFitModelArguments("sentence-transformers/all-MiniLM-L6-v2").model_loading_strategy
    <ModelLoadingStrategy.DEFAULT: 'default'>
    """

    sentence_transformer_model: str
    model_loading_strategy: ModelLoadingStrategy

    def __init__(
        self,
        sentence_transformer_model: str | Path,
        model_loading_strategy: ModelLoadingStrategy | str = ModelLoadingStrategy.DEFAULT,
    ) -> None:
        given = sentence_transformer_model
        if not isinstance(given, (str, Path)) or not str(given).strip():
            allowed = "a folder, or a name on the Hugging Face hub"
            raise InvalidInputError("sentence_transformer_model", shown(given), allowed)
        object.__setattr__(self, "sentence_transformer_model", expanded(str(given), "sentence_transformer_model"))
        object.__setattr__(self, "model_loading_strategy", ModelLoadingStrategy.of(model_loading_strategy))

    @classmethod
    def of(cls, model: SetFitModelArguments | str | Path) -> SetFitModelArguments:
        """Return arguments as they are, and those that go with the name or folder of a model."""
        return model if isinstance(model, SetFitModelArguments) else cls(model)

    def to_json(self) -> dict[str, Any]:
        """Return what a manifest can hold, and the constructor takes."""
        return {
            "sentence_transformer_model": abbreviated(self.sentence_transformer_model),
            "model_loading_strategy": self.model_loading_strategy.value,
        }
