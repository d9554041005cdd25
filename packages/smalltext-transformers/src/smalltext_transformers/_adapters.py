"""Adapters such as LoRA, with peft, and the checks of untrusted saved adapters before peft loads them."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from torch import nn
from transformers.utils import CONFIG_NAME

from smalltext_core.errors import InvalidInputError, ModelFolderError, UnsupportedError
from smalltext_core.label_names import LabelNames
from smalltext_core.messages import shown
from smalltext_core.saving import MANIFEST
from smalltext_torch.model_loading import Shapes, place, shapes_of
from smalltext_torch.pretrained_files import temporary_folder
from smalltext_torch.progress import silence
from smalltext_torch.untrusted_json import read_object, refuse, words
from smalltext_transformers._pretrained import ADAPTED, head, tidy
from smalltext_transformers.arguments import FineTuningArguments

if TYPE_CHECKING:
    from peft import PeftConfig
    from transformers.configuration_utils import PretrainedConfig
    from transformers.modeling_utils import PreTrainedModel

TASK = "SEQ_CLS"
"""The task type of peft for sequence classification: the head is also trained, and saved with the adapter."""

CONFIG, WEIGHTS, PICKLED_WEIGHTS = "adapter_config.json", "adapter_model.safetensors", "adapter_model.bin"

TYPES = words(
    """
    ADALORA BONE C3A DELORA FOURIERFT GRALORA HIRA HRA IA3 LN_TUNING LOHA LOKR LORA MISS OFT RANDLORA ROAD
    SHIRA TRAINABLE_TOKENS VBLORA VERA WAVEFT
    """
)
"""The types of adapters that only add weights to layers, and need neither another model nor a compiler."""

REMOVED_KEYS = frozenset({"base_model_name_or_path", "peft_version", "revision", "runtime_config"})

_NAMES_OF_MODULES = frozenset({"exclude_modules", "feedforward_modules", "modules_to_save", "target_modules"})
_PATTERNS = frozenset({"alpha_pattern", "rank_pattern"})
_ONLY_EMPTY = re.compile(r".*_(config|dict|file|mapping|path|replication)")
"""Keys that name files and modules or enable further computation, which are empty by default."""
_WORD = re.compile(r"[A-Za-z0-9_.-]{0,100}")
_FEW_REPETITIONS = re.compile(r"[\w.^$|\\()-]*([*+?][\w.^$|\\()-]*){0,4}")
_MAX_INTEGER = 4096
_ANY_NUMBER = words("deltaT n_frequency projection_prng_key random_loc_seed random_seed tfinal tinit total_step")
"""Keys for a seed, a training step, or a count that needs no more memory than the layer."""
_LONG_COUNT = re.compile(r"[0-9]{4}")


def check_peft_config(config: Any, fine_tuning: FineTuningArguments | None) -> PeftConfig | None:
    """Return a peft configuration for sequence classification, or None; raise InvalidInputError otherwise.

    A configuration together with fine-tuning arguments is also an error.
    """
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
    if fine_tuning is not None:
        given = "an adapter beside fine_tuning_arguments"
        raise InvalidInputError("peft_config", given, "one of the two", "An adapter has no layers.")
    return config_from_json(config_to_json(config))


def config_to_json(config: PeftConfig) -> dict[str, Any]:
    """Return a configuration as JSON values for a manifest."""
    content = {
        name: sorted(value) if isinstance(value, set) else value for name, value in config.to_dict().items()
    }
    return {**content, "peft_type": getattr(config.peft_type, "value", config.peft_type)}


def config_from_json(content: Mapping[str, Any]) -> PeftConfig:
    """Restore a configuration from the return value of `config_to_json`."""
    config: PeftConfig = _peft().get_peft_config({**content, "task_type": TASK})
    return config


def saved_config(content: Mapping[str, Any]) -> PeftConfig:
    """Restore the configuration that `config_to_json` wrote, from an untrusted manifest.

    Raises
    ------
    ModelFolderError
        If it contains anything that is not allowed.
    """
    known = _fields_of().get(str(content.get("peft_type")), ())
    return config_from_json(checked_config(content, known, Path(MANIFEST)))


def with_adapter(network: PreTrainedModel, config: PeftConfig, new_weights: Iterable[str]) -> nn.Module:
    """Return a network with a new adapter; the head and the other `new_weights` are trained too.

    Otherwise the latter, which are randomly initialized, would not be saved, and would differ after loading.

    Raises
    ------
    InvalidInputError
        If the model lacks the modules that the configuration names.
    """
    # peft completes the configuration; that of the caller is not changed.
    filled = config_from_json(config_to_json(config))
    if hasattr(filled, "modules_to_save"):
        new = {*head(network), *(name.rpartition(".")[0] for name in new_weights)}
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
    """Return the names of modules that are not contained in another one of them."""
    found = set(modules)
    return {name for name in found if not name.startswith(tuple(f"{outer}." for outer in found))}


def save_network(network: Any, folder: Path, label_names: LabelNames | None, *, adapter: bool) -> None:
    """Write a network into a folder, with the names of the classes in its configuration; or its adapter alone."""
    if label_names is not None:
        unnamed = range(len(label_names), network.config.num_labels)  # which transformers calls so, too
        names = [*label_names.names, *(f"LABEL_{number}" for number in unnamed)]
        network.config.id2label = dict(enumerate(names))
        network.config.label2id = {name: number for number, name in enumerate(names)}
    with silence():
        if adapter:
            _save_adapter(network, folder)
        else:
            network.save_pretrained(folder)
    _write_class_names(network.config, folder / ADAPTED if adapter else folder)


def _write_class_names(config: PretrainedConfig, folder: Path) -> None:
    """Add the names of classes to a saved configuration.

    transformers leaves out LABEL_0 and LABEL_1, but BART has three classes if there are no names.
    """
    names = {"id2label": config.id2label, "label2id": config.label2id}
    content = json.dumps(read_object(folder / CONFIG_NAME) | names, indent=2, sort_keys=True)
    (folder / CONFIG_NAME).write_text(f"{content}\n", encoding="utf-8")


def _save_adapter(network: Any, folder: Path) -> None:
    """Write an adapter, the weights trained with it, and the configuration of its model into a folder."""
    # By default, peft asks the hub whether the pretrained vocabulary differs.
    network.save_pretrained(folder, save_embedding_layers=False)
    (folder / "README.md").unlink(missing_ok=True)
    network.config.save_pretrained(folder / ADAPTED)
    tidy(folder / ADAPTED)


def with_saved_adapter(network: PreTrainedModel, folder: Path) -> nn.Module:
    """Return a network with the adapter and the head that its ``save_pretrained`` wrote.

    Raises
    ------
    ModelFolderError
        If the configuration of the adapter contains anything that is not allowed, or does not match its weights.
    """
    peft = _peft()
    with checked_adapter(folder, _fields_of()) as (checked, shapes):
        adapted: nn.Module = peft.PeftModel.from_pretrained(network, str(checked), is_trainable=True)
    there = peft.get_peft_model_state_dict(adapted, save_embedding_layers=False)
    if {name: tuple(tensor.shape) for name, tensor in there.items()} != shapes:
        what = f"{folder / CONFIG} does not fit the weights of the adapter"
        raise ModelFolderError(f"{what}. Save the model again.")
    return adapted


def _fields_of() -> dict[str, list[str]]:
    """Return the names of the fields of the configuration of each type of adapters."""
    types: dict[Any, Any] = _peft().PEFT_TYPE_TO_CONFIG_MAPPING
    return {str(getattr(kind, "value", kind)): [field.name for field in fields(of)] for kind, of in types.items()}


def _peft() -> Any:
    try:
        import peft
    except ImportError as error:
        raise UnsupportedError("Adapters need peft: pip install peft") from error
    return peft


def checked_config(content: Mapping[str, Any], known: Iterable[str], path: Path) -> dict[str, Any]:
    """Return the keys of the configuration of an adapter that may be passed to peft.

    Raises
    ------
    ModelFolderError
        If a key or its value is not allowed.
    """
    kind = content.get("peft_type")
    if not isinstance(kind, str) or kind not in TYPES:
        refuse(path, "peft_type", f"it holds {shown(kind, 100)}", ", ".join(sorted(TYPES)))
    names = set(known)
    checked: dict[str, Any] = {}
    for key, value in content.items():
        if key in REMOVED_KEYS:
            continue
        if value is None or value in ({}, []):
            if key in names:
                checked[key] = value
            continue
        if key not in names or _ONLY_EMPTY.fullmatch(key):
            refuse(path, key, "this key is not on the list of those that are allowed")
        _check(path, key, value)
        checked[key] = value
    return checked


def _check(path: Path, key: str, value: Any) -> None:
    if key == "megatron_core" and value != "megatron.core":
        _refuse_value(path, key, value)
    entries = [*value, *value.values()] if isinstance(value, dict) and key in _PATTERNS else value
    for entry in entries if isinstance(entries, list) else [entries]:
        if isinstance(entry, str):
            # Regular expressions; the allowed ones exclude those that may take exponential time.
            nested = re.search(r"\)[*+?{]", entry)
            pattern = _FEW_REPETITIONS if key in _NAMES_OF_MODULES | _PATTERNS else _WORD
            # One value contains a number of iterations: "pissa_niter_16".
            count = pattern is _WORD and _LONG_COUNT.search(entry)
            if nested or count or len(entry) > 1000 or not pattern.fullmatch(entry):
                _refuse_value(path, key, value)
        elif type(entry) is int:
            if abs(entry) > _MAX_INTEGER and key not in _ANY_NUMBER:
                _refuse_value(path, key, value)
        elif type(entry) not in (bool, float):
            _refuse_value(path, key, value)


def _refuse_value(path: Path, key: str, value: object) -> NoReturn:
    refuse(path, key, f"it holds {shown(value, 100)}, which is not on the list of what is allowed")


@contextmanager
def checked_adapter(folder: Path, fields_of: Mapping[str, Iterable[str]]) -> Iterator[tuple[Path, Shapes]]:
    """Check a saved adapter, and yield a folder that contains only the adapter, and the shapes of its weights.

    Raises
    ------
    ModelFolderError
        If its configuration is not allowed, or its weights are not safetensors.
    """
    path = folder / CONFIG
    if os.path.lexists(folder / PICKLED_WEIGHTS) or not (folder / WEIGHTS).is_file():
        raise ModelFolderError(f"{folder} must contain its adapter only as safetensors, in {WEIGHTS}.")
    content = read_object(path)
    config = checked_config(content, fields_of.get(str(content.get("peft_type")), ()), path)
    with temporary_folder() as checked:
        (checked / CONFIG).write_text(json.dumps(config), encoding="utf-8")
        place(folder / WEIGHTS, checked / WEIGHTS)
        yield checked, shapes_of([folder / WEIGHTS])
