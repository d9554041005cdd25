"""The argument of a classifier that is an object: the pretrained sentence transformer."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smalltext_core.errors import InvalidInputError
from smalltext_core.messages import shown
from smalltext_torch.model_loading import ModelLoadingStrategy, abbreviated, expanded


@dataclass(frozen=True)
class SetFitModelArguments:
    """The pretrained sentence transformer to fine-tune, and where to look for it.

    Parameters
    ----------
    sentence_transformer_model : str or path
        The folder of a sentence transformer, which may begin with ``~``, or its name on the Hugging Face hub.
    model_loading_strategy : ModelLoadingStrategy or str, default=ModelLoadingStrategy.DEFAULT
        Whether the model may, or must, be downloaded: "default", "always-local" or "always-download".

    Raises
    ------
    InvalidInputError
        If an argument has another type, is empty, or is not one of the strategies.

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
        """Return arguments unchanged, and the default ones for the name or folder of a model.

        Parameters
        ----------
        model : SetFitModelArguments, str or path
            Arguments, or the name or folder of a sentence transformer.

        Returns
        -------
        SetFitModelArguments

        Raises
        ------
        InvalidInputError
            If `model` has another type or is empty.
        """
        return model if isinstance(model, SetFitModelArguments) else cls(model)

    def to_json(self) -> dict[str, Any]:
        """Return the arguments as JSON, from which the constructor restores them."""
        return {
            "sentence_transformer_model": abbreviated(self.sentence_transformer_model),
            "model_loading_strategy": self.model_loading_strategy.value,
        }
