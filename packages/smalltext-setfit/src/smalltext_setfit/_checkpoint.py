"""Loading of sentence transformers from a folder, the cache or the hub.

A folder may come from anybody. Its modules, and everything that they are configured with, are checked against the
lists here; what passes is written into a new folder, with the weights as safetensors. sentence-transformers and
transformers are given that folder alone, so that no code from the folder is run.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, cast

import torch
import transformers
from huggingface_hub import snapshot_download
from safetensors import SafetensorError
from sentence_transformers import SentenceTransformer
from transformers import AutoConfig, AutoModel

from smalltext_core.atomic import expanded
from smalltext_core.errors import InvalidInputError, ModelFolderError
from smalltext_core.messages import one_line, shown
from smalltext_setfit._model import ModelCard, num_dimensions, quiet_libraries
from smalltext_setfit.arguments import ModelKwargs, SetFitModelArguments
from smalltext_torch import model_loading, pretrained_files
from smalltext_torch.model_loading import Shapes
from smalltext_torch.pretrained_files import CONFIG, PretrainedFolderError, temporary_folder
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

UNREADABLE = (
    *(AttributeError, EOFError, ImportError, LookupError, OSError, RuntimeError, SafetensorError, TypeError),
    *(UnpicklingError, ValueError),
)
"""The exceptions that the libraries raise for damaged folders and those of another kind."""

_KINDS = ("Transformer", "Pooling", "Dense", "Normalize", "LayerNorm", "Dropout")
_BASE, _MODULES = "sentence_transformers.base.modules", "sentence_transformers.sentence_transformer.modules"
MODULE_TYPES = {
    **{f"sentence_transformers.models.{kind}": kind for kind in _KINDS},
    **{f"sentence_transformers.models.{kind}.{kind}": kind for kind in _KINDS},
    **{f"{_BASE}.{kind.lower()}.{kind}": kind for kind in ("Transformer", "Dense", "Normalize")},
    **{f"{_MODULES}.{kind.lower()}.{kind}": kind for kind in ("Pooling", "Dropout")},
    f"{_MODULES}.layer_norm.LayerNorm": "LayerNorm",
}
"""The allowed classes of modules, under every name that a version of sentence-transformers has saved."""

_ACTIVATIONS = frozenset(
    f"torch.nn.modules.{kind}"
    for kind in (
        *("activation.GELU", "activation.LeakyReLU", "activation.ReLU", "activation.SiLU"),
        *("activation.Sigmoid", "activation.Tanh", "linear.Identity"),
    )
)
_SENTENCE = frozenset({"sentence_embedding"})
_POOLING = ("cls", "lasttoken", "max", "mean", "mean_sqrt_len_tokens", "weightedmean")
_MODULE_SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "Pooling": {
        **dict.fromkeys(("embedding_dimension", "word_embedding_dimension"), int),
        "include_prompt": bool,
        "pooling_mode": (str, list),
        **dict.fromkeys(("pooling_mode_cls_token", "pooling_mode_lasttoken"), bool),
        **{f"pooling_mode_{kind}_tokens": bool for kind in ("mean", "max", "mean_sqrt_len", "weightedmean")},
    },
    "Dense": {
        **dict.fromkeys(("in_features", "out_features"), int),
        **dict.fromkeys(("bias", "use_residual"), bool),
        "activation_function": _ACTIVATIONS,
        **dict.fromkeys(("module_input_name", "module_output_name"), _SENTENCE),
    },
    "Normalize": dict.fromkeys(("module_input_name", "module_output_name"), _SENTENCE),
    "LayerNorm": {"dimension": int},
    "Dropout": {"dropout": float},
}
_LIBRARY_ARGUMENTS = (
    *("model_args", "model_kwargs", "tokenizer_args", "processor_kwargs", "config_args", "config_kwargs"),
)
_TRANSFORMER_SETTINGS: Mapping[str, Any] = {
    "max_seq_length": (int, None),
    "do_lower_case": bool,
    "transformer_task": frozenset({"feature-extraction"}),
    "modality_config": dict,
    "module_output_name": frozenset({"token_embeddings"}),
    "processing_kwargs": (dict, None),
    "unpad_inputs": (bool, None),
    **dict.fromkeys(("query_length", "document_length", "query_expansion"), (None,)),
    **dict.fromkeys(_LIBRARY_ARGUMENTS, (dict, None)),
}
_TEXT_MODALITY = {"text": {"method": "forward", "method_output_name": "last_hidden_state"}}
_ALLOWED_ARGUMENTS: Mapping[str, Any] = {
    **dict.fromkeys(("add_pooling_layer", "do_lower_case"), bool),
    "attn_implementation": ATTENTION,
    **dict.fromkeys(("dtype", "torch_dtype"), DTYPES),
    **dict.fromkeys(("max_length", "model_max_length"), int),
    **dict.fromkeys(("padding_side", "truncation_side"), frozenset({"left", "right"})),
    "trust_remote_code": frozenset({False}),
}
_SETTINGS: Mapping[str, Any] = {
    "__version__": dict,
    "default_prompt_name": (str, None),
    "model_type": frozenset({"SentenceTransformer"}),
    "prompts": dict,
    "similarity_fn_name": frozenset({"cosine", "dot", "euclidean", "manhattan"}),
}
_IGNORED_SETTINGS = words("requirements truncate_dim")
_PATH = re.compile(r"([A-Za-z0-9][A-Za-z0-9_-]*)?")
_NAME = re.compile(r"[A-Za-z0-9_]+")
_LONGEST_PROMPT = 10_000


def load_pretrained_body(arguments: SetFitModelArguments, kwargs: ModelKwargs) -> SentenceTransformer:
    """Load a pretrained sentence transformer on the CPU, in float32.

    Raises
    ------
    InvalidInputError
        If there is no such model, or it cannot be fine-tuned.
    """
    source = arguments.sentence_transformer_model
    allowed = "the folder of a sentence transformer, or the name of one on the Hugging Face hub"
    # What is no folder is taken for a name on the hub, whose errors are about the letters of the name.
    if (Path(source).is_absolute() or source.startswith((".", "~"))) and not Path(source).is_dir():
        given = f"{shown(source)}, where there is no folder"
        raise InvalidInputError("sentence_transformer_model", given, allowed)
    try:
        with quiet_libraries(), temporary_folder() as checked:
            copy_checked(_pretrained_folder(arguments, kwargs), checked, saved=False)
            body = _load(checked)
    except ModelFolderError as error:
        reason = f"{type(error).__name__}: {error}"
        raise PretrainedFolderError("sentence_transformer_model", shown(source), allowed, reason) from error
    except UNREADABLE as error:
        message = one_line(str(error).strip().partition("\n")[0])
        reason = f"{type(error).__name__}: {message}"
        raise InvalidInputError("sentence_transformer_model", shown(source), allowed, reason) from error
    if getattr(body[0], "auto_model", None) is None:
        given = f"{shown(source)}, which begins with {type(body[0]).__name__}"
        allowed = "a sentence transformer that begins with a transformer"
        raise InvalidInputError("sentence_transformer_model", given, allowed)
    _set_name(body, source)
    return body.float()


def load_saved_body(folder: Path, dimensions: int) -> SentenceTransformer:
    """Load the sentence transformer of a saved classifier, whose head takes `dimensions` features, on the CPU.

    Raises
    ------
    ModelFolderError
        If anything in the folder is not allowed, or does not fit the weights and the head.
    """
    with quiet_libraries(), temporary_folder() as checked:
        inside, shapes = copy_checked(folder, checked, saved=True)
        config = AutoConfig.from_pretrained(inside, trust_remote_code=False, local_files_only=True)
        with torch.device("meta"):
            model_loading.check_size(cast("Any", AutoModel).from_config(config), shapes, folder / CONFIG)
        body = _load(checked).float()
    _set_name(body, "")
    model_loading.check_complete(cast("Any", body[0]).auto_model, shapes, folder / CONFIG)
    if num_dimensions(body) != dimensions:
        what = f"{folder}: the sentence transformer has {num_dimensions(body)} dimensions, its head {dimensions}"
        raise ModelFolderError(f"{what}. Save the model again.")
    return body


def _load(checked: Path) -> SentenceTransformer:
    return SentenceTransformer(
        str(checked),
        device="cpu",
        local_files_only=True,
        trust_remote_code=False,
        model_card_data=ModelCard(local_files_only=True),
        model_kwargs={"use_safetensors": True},
    )


def _set_name(body: SentenceTransformer, source: str) -> None:
    """Set where a model is from, which libraries show, instead of the temporary folder."""
    transformer: Any = body[0]
    body.tokenizer.name_or_path = source
    transformer.auto_model.name_or_path = transformer.auto_model.config.name_or_path = source


def _pretrained_folder(arguments: SetFitModelArguments, kwargs: ModelKwargs) -> Path:
    """Return the folder of a pretrained model, downloading it if need be; OSError if there is none."""
    source = arguments.sentence_transformer_model
    if Path(source).is_dir():
        return Path(source)
    options: dict[str, Any] = {
        "cache_dir": expanded(kwargs.cache_dir) or os.environ.get("SENTENCE_TRANSFORMERS_HOME"),
        "revision": kwargs.revision,
        "token": kwargs.token,
        **arguments.model_loading_strategy.arguments(),
    }
    if "/" not in source:
        # Names without an organization are short for those of the authors of sentence-transformers.
        with suppress(*UNREADABLE):
            return _download(f"sentence-transformers/{source}", **options)
    return _download(source, **options)


def _download(name: str, **options: Any) -> Path:
    files = (*model_loading.TOKENIZER_PATTERNS, MODULES, SETTINGS, *TRANSFORMER_CONFIGS)
    inside = tuple(f"*/{file}" for file in files)
    return model_loading.fetched_weights(snapshot_download, name, (*files, *inside), deep=True, **options)


def copy_checked(folder: Path, target: Path, *, saved: bool) -> tuple[Path, Shapes]:
    """Check a sentence transformer, and copy its allowed parts to another folder.

    Parameters
    ----------
    folder, target : Path
    saved : bool
        Whether a classifier saved the folder. Then every key has to be on the lists, and the weights are
        safetensors; in pretrained models unknown keys that decide nothing are left out, and one without
        modules.json is a plain transformer.

    Returns
    -------
    path : Path
        The folder of the transformer, the first of the modules, inside `target`.
    shapes : dict of str to tuple of int
        The shapes of its weights.

    Raises
    ------
    ModelFolderError
        If anything in it is not allowed.
    """
    if not saved and not (folder / MODULES).is_file():
        return target, _copy_transformer(folder, target, saved=saved)
    modules = _checked_modules(folder / MODULES, saved=saved)
    _write(target / MODULES, modules)
    if (folder / SETTINGS).is_file():
        _write(target / SETTINGS, _checked_settings(folder / SETTINGS, saved=saved))
    shapes: Shapes = {}
    for number, module in enumerate(modules):
        inside, place = folder / module["path"], target / module["path"]
        place.mkdir(exist_ok=True)
        if number == 0:
            shapes = _copy_transformer(inside, place, saved=saved)
        else:
            _copy_module(MODULE_TYPES[module["type"]], inside, place, saved=saved)
    return target / modules[0]["path"], shapes


def _write(path: Path, content: object) -> None:
    path.write_text(json.dumps(content), encoding="utf-8")


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
        if checked["type"] not in MODULE_TYPES:
            what = f"asks for {shown(checked['type'], 100)}, which is not on the list of modules that are allowed"
            refuse(path, f"{number}.type", what)
        if (MODULE_TYPES[checked["type"]] == "Transformer") != (number == 0):
            refuse(path, f"{number}.type", "the first module, and no other, is to be a Transformer")
        if not _PATH.fullmatch(checked["path"]) or (number and not checked["path"]):
            what = f"it holds {shown(checked['path'], 100)}"
            refuse(path, f"{number}.path", what, "the name of a folder inside")
        if not _NAME.fullmatch(checked["name"]) or {checked["name"], f"path {checked['path']}"} & seen:
            refuse(path, f"{number}.name", f"it holds {shown(checked['name'], 100)}", "a name that no other has")
        if checked.pop("kwargs", []) and saved:
            refuse(path, f"{number}.kwargs", "no module of a saved classifier takes any")
        seen |= {checked["name"], f"path {checked['path']}"}
        modules.append({**checked, "idx": number})
    return modules


def _checked_settings(path: Path, *, saved: bool) -> dict[str, Any]:
    content = {key: held for key, held in read_object(path).items() if key not in _IGNORED_SETTINGS}
    if not saved:
        content = {key: held for key, held in content.items() if key in _SETTINGS or is_suspicious(key)}
    checked = checked_object(path, content, _SETTINGS)
    for key in ("__version__", "prompts"):
        for name, text in checked.get(key, {}).items():
            if not isinstance(text, str) or len(text) > _LONGEST_PROMPT:
                what = f"it holds {shown(text, 100)}"
                refuse(path, f"{key}.{name}", what, f"up to {_LONGEST_PROMPT} characters")
    default = checked.get("default_prompt_name")
    if default is not None and default not in checked.get("prompts", {}):
        refuse(path, "default_prompt_name", f"it holds {shown(default, 100)}", "the name of one of the prompts")
    checked.pop("__version__", None)
    return checked


def _copy_transformer(folder: Path, target: Path, *, saved: bool) -> Shapes:
    for name in TRANSFORMER_CONFIGS:
        if (folder / name).is_file():
            _write(target / TRANSFORMER_CONFIGS[0], _checked_transformer(folder / name, saved=saved))
            break
    pretrained_files.put_config(folder, target, transformers, saved=saved)
    pretrained_files.put_tokenizer(folder, target, transformers, saved=saved)
    return model_loading.put_weights(folder, target, saved=saved)


def _checked_transformer(path: Path, *, saved: bool) -> dict[str, Any]:
    checked = checked_object(path, read_object(path), _TRANSFORMER_SETTINGS)
    if checked.get("modality_config", _TEXT_MODALITY) != _TEXT_MODALITY:
        held = shown(checked["modality_config"], 200)
        refuse(path, "modality_config", f"it holds {held}", f"{_TEXT_MODALITY}")
    if checked.get("processing_kwargs") or checked.get("unpad_inputs"):
        refuse(path, "processing_kwargs or unpad_inputs", "it is set", "null")
    for key in _LIBRARY_ARGUMENTS:
        given = checked.pop(key, None) or {}
        if saved and given:
            refuse(path, key, f"it holds {shown(given, 100)}", "nothing in a saved classifier")
        for name in given:
            if name not in _ALLOWED_ARGUMENTS:
                refuse(path, f"{key}.{name}", "this key is not on the list of those that are allowed")
        arguments = checked_object(path, given, _ALLOWED_ARGUMENTS)
        arguments.pop("trust_remote_code", None)
        if arguments:
            checked[key] = arguments
    return {key: held for key, held in checked.items() if held is not None}


def _copy_module(kind: str, folder: Path, target: Path, *, saved: bool) -> None:
    """Check a module behind the transformer, and copy it into another folder."""
    path = folder / CONFIG
    settings: dict[str, Any] = {}
    if path.is_file():
        settings = checked_object(path, read_object(path), _MODULE_SETTINGS[kind])
    elif kind != "Normalize":
        refuse(path, "", "it is missing")
    if kind == "Pooling":
        _check_pooling(path, settings.get("pooling_mode", "mean"))
    if kind == "Dropout" and not 0 <= settings.get("dropout", 0.0) <= 1:
        refuse(path, "dropout", f"it holds {shown(settings['dropout'])}", "0 to 1")
    if settings or kind != "Normalize":
        _write(target / CONFIG, settings)
    if kind in ("Dense", "LayerNorm"):
        shapes = model_loading.put_weights(folder, target, saved=saved)
        expected = _expected_shapes(kind, settings)
        if {name: shapes.get(name) for name in expected} != expected:
            raise ModelFolderError(f"{path} does not fit the weights beside it. Copy the folder again.")


def _check_pooling(path: Path, modes: str | list[Any]) -> None:
    listed = modes if isinstance(modes, list) else [modes]
    if not listed or any(mode not in _POOLING for mode in listed) or len(set(listed)) < len(listed):
        refuse(path, "pooling_mode", f"it holds {shown(modes, 100)}", ", ".join(_POOLING))


def _expected_shapes(kind: str, settings: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    if kind == "LayerNorm":
        return {"norm.weight": (settings.get("dimension", 0),)}
    return {"linear.weight": (settings.get("out_features", 0), settings.get("in_features", 0))}
