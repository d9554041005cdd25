"""Adapters such as LoRA, by way of peft: a few weights are trained beside those of a pretrained model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn

from smalltext_core.errors import InvalidInputError, UnsupportedError
from smalltext_transformers.fitting import head

if TYPE_CHECKING:
    from peft import PeftConfig
    from transformers import PreTrainedModel

TASK = "SEQ_CLS"
"""What peft calls sequence classification; the head is then trained along, and saved with the adapter."""


def check_peft_config(config: Any) -> PeftConfig | None:
    """Return a configuration of peft, for sequence classification, or None; refuse anything else."""
    if config is None:
        return None
    if not hasattr(config, "peft_type") or not hasattr(config, "to_dict"):
        raise InvalidInputError("peft_config", repr(config), "a configuration of peft, such as peft.LoraConfig()")
    if config.task_type not in (None, TASK):
        raise InvalidInputError("peft_config", f"task_type={config.task_type!r}", f"task_type={TASK!r}, or none")
    if config.is_prompt_learning:
        allowed = "an adapter that changes the model's layers, such as peft.LoraConfig()"
        raise InvalidInputError("peft_config", f"{type(config).__name__}, which learns a prompt", allowed)
    return config_from_json(config_to_json(config))


def config_to_json(config: PeftConfig) -> dict[str, Any]:
    """Return a configuration as a manifest can hold it."""
    return {name: sorted(value) if isinstance(value, set) else value for name, value in config.to_dict().items()}


def config_from_json(content: Mapping[str, Any]) -> PeftConfig:
    """Return what `config_to_json` was given."""
    config: PeftConfig = _peft().get_peft_config({**content, "task_type": TASK})
    return config


def with_adapter(network: PreTrainedModel, config: PeftConfig, drawn: Iterable[str] = ()) -> nn.Module:
    """Return a network with a new adapter, beside which the head alone is trained, and what was drawn at random.

    Parameters
    ----------
    network : PreTrainedModel
    config : PeftConfig
    drawn : iterable of str, default=()
        The names of the parameters that the pretrained model does not have; without them among what is saved, they
        would be others each time.

    Raises
    ------
    InvalidInputError
        If the model has no such parts as the configuration names.
    """
    # The configuration is filled in on the way; the caller's stays as it is.
    filled = config_from_json(config_to_json(config))
    if hasattr(filled, "modules_to_save"):
        new = {*head(network), *(name.rpartition(".")[0] for name in drawn)}
        filled.modules_to_save = sorted({*(filled.modules_to_save or ()), *_outermost(new)})
    try:
        adapted: nn.Module = _peft().get_peft_model(network, filled)
    except ValueError as error:
        given = f"{type(config).__name__} with target_modules={getattr(config, 'target_modules', None)!r}"
        raise InvalidInputError(
            "peft_config", given, f"one that fits a {type(network).__name__}", str(error).partition("\n")[0]
        ) from error
    return adapted


def _outermost(modules: Iterable[str]) -> set[str]:
    """Return the names of modules without those that are in another one of them."""
    found = set(modules)
    return {name for name in found if not name.startswith(tuple(f"{outer}." for outer in found))}


def with_saved_adapter(network: PreTrainedModel, folder: Path) -> nn.Module:
    """Return a network with the adapter and the head that its ``save_pretrained`` wrote."""
    adapted: nn.Module = _peft().PeftModel.from_pretrained(network, str(folder))
    return adapted


def _peft() -> Any:
    try:
        import peft
    except ImportError as error:
        raise UnsupportedError("Adapters need peft: pip install 'smalltext-transformers[peft]'") from error
    return peft
