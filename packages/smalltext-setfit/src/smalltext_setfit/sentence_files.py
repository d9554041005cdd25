"""The files of a sentence transformer, from a folder that may come from anybody: what of them is handed on.

Which modules there are, and everything that they are set to, is checked against the lists here; what passes is
written into a new folder, with the weights as safetensors. Libraries are given that folder alone.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import transformers

from smalltext_core.errors import ModelFolderError
from smalltext_core.messages import shown
from smalltext_torch import model_loading, pretrained_files
from smalltext_torch.model_loading import Shapes
from smalltext_torch.untrusted_json import (
    ATTENTION,
    DTYPES,
    checked_object,
    is_suspicious,
    read_json,
    read_object,
    refuse,
    words,
)

MODULES, SETTINGS = "modules.json", "config_sentence_transformers.json"

TRANSFORMER_CONFIGS = tuple(
    f"sentence_{kind}_config.json"
    for kind in ("bert", "roberta", "distilbert", "camembert", "albert", "xlm-roberta", "xlnet")
)

TYPES = {
    **{f"sentence_transformers.models.{kind}": kind for kind in ("Transformer", "Pooling", "Dense", "Normalize")},
    **{f"sentence_transformers.models.{kind}": kind for kind in ("LayerNorm", "Dropout")},
    "sentence_transformers.models.Transformer.Transformer": "Transformer",
    "sentence_transformers.models.Pooling.Pooling": "Pooling",
    "sentence_transformers.models.Dense.Dense": "Dense",
    "sentence_transformers.models.Normalize.Normalize": "Normalize",
    "sentence_transformers.models.LayerNorm.LayerNorm": "LayerNorm",
    "sentence_transformers.models.Dropout.Dropout": "Dropout",
    "sentence_transformers.base.modules.transformer.Transformer": "Transformer",
    "sentence_transformers.base.modules.dense.Dense": "Dense",
    "sentence_transformers.base.modules.normalize.Normalize": "Normalize",
    "sentence_transformers.sentence_transformer.modules.pooling.Pooling": "Pooling",
    "sentence_transformers.sentence_transformer.modules.layer_norm.LayerNorm": "LayerNorm",
    "sentence_transformers.sentence_transformer.modules.dropout.Dropout": "Dropout",
}
"""The classes of modules, by every name under which sentence-transformers has saved them."""

_ACTIVATIONS = frozenset(
    (
        *(
            f"torch.nn.modules.activation.{name}"
            for name in ("GELU", "LeakyReLU", "ReLU", "SiLU", "Sigmoid", "Tanh")
        ),
        "torch.nn.modules.linear.Identity",
    )
)
_SENTENCE = frozenset({"sentence_embedding"})
_POOLING = ("cls", "lasttoken", "max", "mean", "mean_sqrt_len_tokens", "weightedmean")
_SETTINGS_OF: Mapping[str, Mapping[str, Any]] = {
    "Pooling": {
        "embedding_dimension": int,
        "word_embedding_dimension": int,
        "include_prompt": bool,
        "pooling_mode": (str, list),
        **{f"pooling_mode_{kind}_token": bool for kind in ("cls",)},
        **{f"pooling_mode_{kind}_tokens": bool for kind in ("mean", "max", "mean_sqrt_len", "weightedmean")},
        "pooling_mode_lasttoken": bool,
    },
    "Dense": {
        "in_features": int,
        "out_features": int,
        "bias": bool,
        "activation_function": _ACTIVATIONS,
        "module_input_name": _SENTENCE,
        "module_output_name": _SENTENCE,
        "use_residual": bool,
    },
    "Normalize": {"module_input_name": _SENTENCE, "module_output_name": _SENTENCE},
    "LayerNorm": {"dimension": int},
    "Dropout": {"dropout": float},
}
_TRANSFORMER: Mapping[str, Any] = {
    "max_seq_length": (int, None),
    "do_lower_case": bool,
    "transformer_task": frozenset({"feature-extraction"}),
    "modality_config": dict,
    "module_output_name": frozenset({"token_embeddings"}),
    "processing_kwargs": (dict, None),
    "unpad_inputs": (bool, None),
    **dict.fromkeys(("query_length", "document_length", "query_expansion"), (None,)),
    **dict.fromkeys(("model_args", "model_kwargs", "tokenizer_args", "processor_kwargs"), (dict, None)),
    **dict.fromkeys(("config_args", "config_kwargs"), (dict, None)),
}
_TEXT = {"method": "forward", "method_output_name": "last_hidden_state"}
_ARGUMENTS: Mapping[str, Any] = {
    "add_pooling_layer": bool,
    "attn_implementation": ATTENTION,
    "do_lower_case": bool,
    "dtype": DTYPES,
    "max_length": int,
    "model_max_length": int,
    "padding_side": frozenset({"left", "right"}),
    "torch_dtype": DTYPES,
    "trust_remote_code": frozenset({False}),
    "truncation_side": frozenset({"left", "right"}),
}
_SIMILARITIES = frozenset({"cosine", "dot", "euclidean", "manhattan"})
_PATH = re.compile(r"([A-Za-z0-9][A-Za-z0-9_-]*)?")
_NAME = re.compile(r"[A-Za-z0-9_]+")
_LONGEST_PROMPT = 10_000
_IGNORED = words("requirements truncate_dim")


def put_sentence_transformer(folder: Path, target: Path, *, saved: bool) -> tuple[Path, Shapes]:
    """Check a sentence transformer, and put what is allowed of it into another folder.

    Parameters
    ----------
    folder, target : Path
    saved : bool
        Whether the folder is one that a classifier saved: every key has to be on the list then, and the weights
        are safetensors. In others, keys by which nothing is decided are left out, and a model without modules.json
        is a plain transformer.

    Returns
    -------
    Path
        Where the transformer, the first of the modules, is in that folder.
    dict of str to tuple of int
        The shapes of its weights.

    Raises
    ------
    ModelFolderError
        If anything in it is not allowed.
    """
    if not saved and not (folder / MODULES).is_file():
        return target, _put_transformer(folder, target, saved=saved)
    modules = _checked_modules(folder / MODULES, saved=saved)
    (target / MODULES).write_text(json.dumps(modules), encoding="utf-8")
    if (folder / SETTINGS).is_file():
        settings = _checked_settings(folder / SETTINGS, saved=saved)
        (target / SETTINGS).write_text(json.dumps(settings), encoding="utf-8")
    shapes: Shapes = {}
    for number, module in enumerate(modules):
        inside, place = folder / module["path"], target / module["path"]
        place.mkdir(exist_ok=True)
        if number == 0:
            shapes = _put_transformer(inside, place, saved=saved)
        else:
            _put_module(TYPES[module["type"]], inside, place, saved=saved)
    return target / modules[0]["path"], shapes


def _checked_modules(path: Path, *, saved: bool) -> list[dict[str, Any]]:
    content = read_json(path)
    if not isinstance(content, list) or not content:
        refuse(path, "", "it holds no list of modules")
    seen: set[str] = set()
    modules = []
    for number, module in enumerate(content):
        if not isinstance(module, dict):
            refuse(path, str(number), "it is no object")
        types = {"idx": int, "name": str, "path": str, "type": str, "kwargs": list}
        checked = checked_object(path, module, types)
        if {"name", "path", "type"} - checked.keys():
            refuse(path, str(number), "name, path or type is missing")
        if checked["type"] not in TYPES:
            what = f"asks for {shown(checked['type'], 100)}, which is not on the list of modules that are allowed"
            refuse(path, f"{number}.type", what)
        if (TYPES[checked["type"]] == "Transformer") != (number == 0):
            refuse(path, f"{number}.type", "the first module, and no other, is to be a Transformer")
        if not _PATH.fullmatch(checked["path"]) or (number and not checked["path"]):
            refuse(
                path, f"{number}.path", f"it holds {shown(checked['path'], 100)}", "the name of a folder inside"
            )
        if not _NAME.fullmatch(checked["name"]) or {checked["name"], f"path {checked['path']}"} & seen:
            refuse(path, f"{number}.name", f"it holds {shown(checked['name'], 100)}", "a name that no other has")
        if saved and checked.pop("kwargs", []):
            refuse(path, f"{number}.kwargs", "no module of a saved classifier takes any")
        checked.pop("kwargs", None)
        seen |= {checked["name"], f"path {checked['path']}"}
        modules.append({**checked, "idx": number})
    return modules


def _checked_settings(path: Path, *, saved: bool) -> dict[str, Any]:
    content = read_object(path)
    types = {
        "__version__": dict,
        "default_prompt_name": (str, None),
        "model_type": frozenset({"SentenceTransformer"}),
        "prompts": dict,
        "similarity_fn_name": _SIMILARITIES,
    }
    if not saved:
        content = {key: held for key, held in content.items() if key in types or is_suspicious(key)}
    checked = checked_object(path, {key: held for key, held in content.items() if key not in _IGNORED}, types)
    for key in ("__version__", "prompts"):
        for name, text in checked.get(key, {}).items():
            if not isinstance(text, str) or len(text) > _LONGEST_PROMPT:
                refuse(
                    path, f"{key}.{name}", f"it holds {shown(text, 100)}", f"up to {_LONGEST_PROMPT} characters"
                )
    default = checked.get("default_prompt_name")
    if default is not None and default not in checked.get("prompts", {}):
        refuse(path, "default_prompt_name", f"it holds {shown(default, 100)}", "the name of one of the prompts")
    checked.pop("__version__", None)
    return checked


def _put_transformer(folder: Path, target: Path, *, saved: bool) -> Shapes:
    for name in TRANSFORMER_CONFIGS:
        if (folder / name).is_file():
            settings = _checked_transformer(folder / name, saved=saved)
            (target / TRANSFORMER_CONFIGS[0]).write_text(json.dumps(settings), encoding="utf-8")
            break
    pretrained_files.put_config(folder, target, transformers, saved=saved)
    pretrained_files.put_tokenizer(folder, target, transformers, saved=saved)
    return model_loading.put_weights(folder, target, saved=saved)


def _checked_transformer(path: Path, *, saved: bool) -> dict[str, Any]:
    content = read_object(path)
    checked = checked_object(path, content, _TRANSFORMER)
    if checked.get("modality_config", {"text": _TEXT}) != {"text": _TEXT}:
        held = shown(checked["modality_config"], 200)
        refuse(path, "modality_config", f"it holds {held}", f"{{'text': {_TEXT}}}")
    if checked.get("processing_kwargs") or checked.get("unpad_inputs"):
        refuse(path, "processing_kwargs or unpad_inputs", "it is set", "null")
    for key in (
        "model_args",
        "model_kwargs",
        "tokenizer_args",
        "processor_kwargs",
        "config_args",
        "config_kwargs",
    ):
        given = checked.pop(key, None) or {}
        if saved and given:
            refuse(path, key, f"it holds {shown(given, 100)}", "nothing in a saved classifier")
        arguments = _checked_arguments(path, key, given)
        if arguments:
            checked[key] = arguments
    return {key: held for key, held in checked.items() if held is not None}


def _checked_arguments(path: Path, key: str, given: Mapping[str, Any]) -> dict[str, Any]:
    for name in given:
        if name not in _ARGUMENTS:
            refuse(path, f"{key}.{name}", "this key is not on the list of those that are allowed")
    checked = checked_object(path, given, _ARGUMENTS)
    checked.pop("trust_remote_code", None)
    return checked


def _put_module(kind: str, folder: Path, target: Path, *, saved: bool) -> None:
    """Check a module behind the transformer, and put it into another folder."""
    path = folder / pretrained_files.CONFIG
    settings: dict[str, Any] = {}
    if path.is_file():
        settings = checked_object(path, read_object(path), _SETTINGS_OF[kind])
    elif kind != "Normalize":
        refuse(path, "", "it is missing")
    if kind == "Pooling":
        _check_pooling(path, settings)
    if kind == "Dropout" and not 0 <= settings.get("dropout", 0.0) <= 1:
        refuse(path, "dropout", f"it holds {shown(settings['dropout'])}", "0 to 1")
    if settings or kind != "Normalize":
        (target / pretrained_files.CONFIG).write_text(json.dumps(settings), encoding="utf-8")
    if kind in ("Dense", "LayerNorm"):
        shapes = model_loading.put_weights(folder, target, saved=saved)
        wanted = _shape_of(kind, settings)
        if {name: shapes.get(name) for name in wanted} != wanted:
            raise ModelFolderError(f"{path} does not fit the weights beside it. Copy the folder again.")


def _check_pooling(path: Path, settings: Mapping[str, Any]) -> None:
    modes = settings.get("pooling_mode", "mean")
    listed = modes if isinstance(modes, list) else [modes]
    if not listed or any(mode not in _POOLING for mode in listed) or len(set(listed)) < len(listed):
        refuse(path, "pooling_mode", f"it holds {shown(modes, 100)}", ", ".join(_POOLING))


def _shape_of(kind: str, settings: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    if kind == "LayerNorm":
        return {"norm.weight": (settings.get("dimension", 0),)}
    return {"linear.weight": (settings.get("out_features", 0), settings.get("in_features", 0))}
