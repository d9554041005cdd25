"""Adapters such as LoRA, by way of peft: a few weights are trained beside those of a pretrained model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn

from smalltext_core.errors import InvalidInputError, ModelFolderError, UnsupportedError
from smalltext_core.messages import shown
from smalltext_core.saving import MANIFEST
from smalltext_transformers import adapter_files
from smalltext_transformers.fitting import head
from smalltext_transformers.pretrained import ADAPTED, tidy

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
        raise InvalidInputError("peft_config", shown(config), "a configuration of peft, such as peft.LoraConfig()")
    if config.task_type not in (None, TASK):
        raise InvalidInputError(
            "peft_config", f"task_type={shown(config.task_type)}", f"task_type={TASK!r}, or none"
        )
    if config.is_prompt_learning:
        allowed = "an adapter that changes the model's layers, such as peft.LoraConfig()"
        raise InvalidInputError("peft_config", f"{type(config).__name__}, which learns a prompt", allowed)
    return config_from_json(config_to_json(config))


def config_to_json(config: PeftConfig) -> dict[str, Any]:
    """Return a configuration as a manifest can hold it."""
    content = {
        name: sorted(value) if isinstance(value, set) else value for name, value in config.to_dict().items()
    }
    return {**content, "peft_type": getattr(config.peft_type, "value", config.peft_type)}


def config_from_json(content: Mapping[str, Any]) -> PeftConfig:
    """Return what `config_to_json` was given."""
    config: PeftConfig = _peft().get_peft_config({**content, "task_type": TASK})
    return config


def saved_config(content: Mapping[str, Any]) -> PeftConfig:
    """Return what `config_to_json` was given, from a manifest that may come from anybody.

    Raises
    ------
    ModelFolderError
        If it asks for something that is not allowed.
    """
    known = _fields_of().get(str(content.get("peft_type")), ())
    return config_from_json(adapter_files.checked_config(content, known, Path(MANIFEST)))


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
        given = f"{type(config).__name__} with target_modules={shown(getattr(config, 'target_modules', None))}"
        raise InvalidInputError(
            "peft_config", given, f"one that fits a {type(network).__name__}", str(error).partition("\n")[0]
        ) from error
    return adapted


def _outermost(modules: Iterable[str]) -> set[str]:
    """Return the names of modules without those that are in another one of them."""
    found = set(modules)
    return {name for name in found if not name.startswith(tuple(f"{outer}." for outer in found))}


def save_adapter(network: Any, folder: Path) -> None:
    """Write an adapter, what was trained with it, and the configuration of its model into a folder."""
    # Left to itself, peft asks the hub whether the pretrained vocabulary is another one.
    network.save_pretrained(folder, save_embedding_layers=False)
    (folder / "README.md").unlink(missing_ok=True)
    network.config.save_pretrained(folder / ADAPTED)
    tidy(folder / ADAPTED)


def with_saved_adapter(network: PreTrainedModel, folder: Path) -> nn.Module:
    """Return a network with the adapter and the head that its ``save_pretrained`` wrote.

    Raises
    ------
    ModelFolderError
        If the configuration of the adapter asks for something that is not allowed, or does not fit its weights.
    """
    peft = _peft()
    with adapter_files.checked_adapter(folder, _fields_of()) as (checked, shapes):
        adapted: nn.Module = peft.PeftModel.from_pretrained(network, str(checked))
    there = peft.get_peft_model_state_dict(adapted, save_embedding_layers=False)
    if {name: tuple(tensor.shape) for name, tensor in there.items()} != shapes:
        what = f"{folder / adapter_files.CONFIG} does not fit the weights of the adapter"
        raise ModelFolderError(f"{what}. Save the model again.")
    return adapted


def _fields_of() -> dict[str, list[str]]:
    """Return the names that the configuration of each type of adapters has."""
    types: dict[Any, Any] = _peft().PEFT_TYPE_TO_CONFIG_MAPPING
    return {str(getattr(kind, "value", kind)): [field.name for field in fields(of)] for kind, of in types.items()}


def _peft() -> Any:
    try:
        import peft
    except ImportError as error:
        raise UnsupportedError("Adapters need peft: pip install peft") from error
    return peft
