"""Saved adapters, from a folder that may come from anybody: what of their configuration peft is given."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from smalltext_core.errors import ModelFolderError
from smalltext_core.messages import shown
from smalltext_torch.model_loading import Shapes, place, shapes_of
from smalltext_torch.pretrained_files import temporary_folder
from smalltext_torch.untrusted_json import read_object, refuse, words

CONFIG, WEIGHTS, PICKLED_WEIGHTS = "adapter_config.json", "adapter_model.safetensors", "adapter_model.bin"

TYPES = words(
    """
    ADALORA BONE C3A DELORA FOURIERFT GRALORA HIRA HRA IA3 LN_TUNING LOHA LOKR LORA MISS OFT RANDLORA ROAD
    SHIRA TRAINABLE_TOKENS VBLORA VERA WAVEFT
    """
)
"""Adapters that are weights beside those of a layer, and need nothing else: no other model, no compiler."""

NOT_HANDED_ON = frozenset({"base_model_name_or_path", "peft_version", "revision", "runtime_config"})

_NAMES_OF_MODULES = frozenset({"exclude_modules", "feedforward_modules", "modules_to_save", "target_modules"})
_PATTERNS = frozenset({"alpha_pattern", "rank_pattern"})
_ONLY_EMPTY = re.compile(r".*_(config|dict|file|mapping|path|replication)")
"""Keys that name files and modules, or ask for further computation; what they hold by default is empty."""
_WORD = re.compile(r"[A-Za-z0-9_.-]{0,100}")
_FEW_REPETITIONS = re.compile(r"[\w.^$|\\()-]*([*+?][\w.^$|\\()-]*){0,4}")
_LARGEST = 4096
_ANY_NUMBER = words("deltaT n_frequency projection_prng_key random_loc_seed random_seed tfinal tinit total_step")
"""Keys that hold a seed, a step of training, or a count that takes no more memory than the layer has."""
_LONG_COUNT = re.compile(r"[0-9]{4}")


def checked_config(content: Mapping[str, Any], known: Iterable[str], path: Path) -> dict[str, Any]:
    """Return what of the configuration of an adapter may be handed to peft.

    Parameters
    ----------
    content : mapping
    known : iterable of str
        The names that a configuration of this type has.
    path : Path
        Of the file that it is from, for errors.

    Raises
    ------
    ModelFolderError
        If a key, or what it holds, is not allowed.
    """
    kind = content.get("peft_type")
    if not isinstance(kind, str) or kind not in TYPES:
        refuse(path, "peft_type", f"it holds {shown(kind, 100)}", ", ".join(sorted(TYPES)))
    names = set(known)
    checked: dict[str, Any] = {}
    for key, value in content.items():
        if key in NOT_HANDED_ON:
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
            # They are regular expressions; those that could take forever are not among the usual ones.
            nested = re.search(r"\)[*+?{]", entry)
            pattern = _FEW_REPETITIONS if key in _NAMES_OF_MODULES | _PATTERNS else _WORD
            # One says how long it takes: "pissa_niter_16".
            count = pattern is _WORD and _LONG_COUNT.search(entry)
            if nested or count or len(entry) > 1000 or not pattern.fullmatch(entry):
                _refuse_value(path, key, value)
        elif type(entry) is int:
            if abs(entry) > _LARGEST and key not in _ANY_NUMBER:
                _refuse_value(path, key, value)
        elif type(entry) not in (bool, float):
            _refuse_value(path, key, value)


def _refuse_value(path: Path, key: str, value: object) -> NoReturn:
    refuse(path, key, f"it holds {shown(value, 100)}, which is not on the list of what is allowed")


@contextmanager
def checked_adapter(folder: Path, fields_of: Mapping[str, Iterable[str]]) -> Iterator[tuple[Path, Shapes]]:
    """Check a saved adapter, and yield a folder that holds it alone, and the shapes of its weights.

    Parameters
    ----------
    folder : Path
    fields_of : mapping of str to iterable of str
        The names that the configuration of each type of adapters has.

    Raises
    ------
    ModelFolderError
        If its configuration is not allowed, or its weights are not safetensors.
    """
    path = folder / CONFIG
    if os.path.lexists(folder / PICKLED_WEIGHTS) or not (folder / WEIGHTS).is_file():
        raise ModelFolderError(f"{folder} is to hold its adapter as safetensors alone, in {WEIGHTS}.")
    content = read_object(path)
    config = checked_config(content, fields_of.get(str(content.get("peft_type")), ()), path)
    with temporary_folder() as checked:
        (checked / CONFIG).write_text(json.dumps(config), encoding="utf-8")
        place(folder / WEIGHTS, checked / WEIGHTS)
        yield checked, shapes_of([folder / WEIGHTS])
