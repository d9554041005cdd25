"""Sentence transformers from untrusted folders: checking, loading and downloading.

Everything in a folder that determines what is imported, called or opened is compared with the allowlists of
`smalltext_torch.untrusted_json`. The allowed parts are written to a new folder, with the weights as safetensors,
and sentence-transformers loads only that folder.

sentence-transformers, transformers and huggingface_hub are imported lazily: packages that train other networks do
not need them.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch

from smalltext_core.errors import InvalidInputError, ModelFolderError
from smalltext_core.messages import shown
from smalltext_torch import model_loading, pretrained_files
from smalltext_torch.model_loading import PICKLED, PICKLED_INDEX, SAFE, SAFE_INDEX, Shapes
from smalltext_torch.pretrained_files import CONFIG, TOKENIZER_CONFIG, PretrainedFolderError, temporary_folder
from smalltext_torch.progress import silence
from smalltext_torch.untrusted_json import (
    IGNORED_SENTENCE_SETTINGS,
    LIBRARY_ARGUMENTS,
    MODULE_SETTINGS,
    MODULE_TYPES,
    POOLING_MODES,
    REMOVED_KEYS,
    SENTENCE_SETTINGS,
    TEXT_MODALITY,
    TOKENIZER_FILES,
    TRANSFORMER_ARGUMENTS,
    TRANSFORMER_SETTINGS,
    checked_object,
    is_suspicious,
    read_json,
    read_object,
    refuse,
)

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

MODULES, SETTINGS = "modules.json", "config_sentence_transformers.json"

TRANSFORMER_CONFIGS = tuple(
    f"sentence_{kind}_config.json"
    for kind in ("bert", "roberta", "distilbert", "camembert", "albert", "xlm-roberta", "xlnet")
)

ALLOWED = "the folder of a sentence transformer, or the name of one on the Hugging Face hub"
"""The accepted kinds of pretrained models, for error messages."""

_PATH = re.compile(r"([A-Za-z0-9][A-Za-z0-9_-]*)?")
_NAME = re.compile(r"[A-Za-z0-9_]+")
_MAX_PROMPT_LENGTH = 10_000


def quiet_libraries() -> AbstractContextManager[None]:
    """Suppress log messages and progress bars of transformers, sentence-transformers and setfit."""
    return silence("sentence_transformers", "setfit")


def load_pretrained(argument: str, source: str, find: Callable[[], Path], **options: Any) -> SentenceTransformer:
    """Load a pretrained sentence transformer on the CPU, in float32.

    Parameters
    ----------
    argument, source : str
        The name of the caller's argument for the model, and its value.
    find : callable
        Returns the folder of the model.
    **options
        Further arguments of ``SentenceTransformer``.

    Raises
    ------
    InvalidInputError
        If the model does not exist or does not begin with a transformer; its subclass PretrainedFolderError, if
        the folder is damaged or contains anything that is not allowed.
    """
    import transformers

    try:
        explained = model_loading.library_errors_explained(argument, source, ALLOWED)
        with explained, quiet_libraries(), temporary_folder() as checked:
            copy_checked(find(), checked, transformers, saved=False)
            body = _load(checked, **options).float()
            found, expected = body.encode(["a"], show_progress_bar=False).shape[-1], num_dimensions(body)
            if found != expected:
                raise ValueError(f"its vectors have {found} numbers, and its settings say {expected}")
    except ModelFolderError as error:
        reason = f"{type(error).__name__}: {error}"
        raise PretrainedFolderError(argument, shown(source), ALLOWED, reason) from error
    if getattr(body[0], "auto_model", None) is None:
        given = f"{shown(source)}, which begins with {type(body[0]).__name__}"
        raise InvalidInputError(argument, given, "a sentence transformer that begins with a transformer")
    _set_name(body, source)
    return body


def load_saved(folder: Path, **options: Any) -> SentenceTransformer:
    """Load the sentence transformer of a saved classifier on the CPU, in float32.

    Raises
    ------
    ModelFolderError
        If anything in the folder is not allowed, or does not match the weights.
    """
    import transformers

    with quiet_libraries(), temporary_folder() as checked:
        inside, shapes = copy_checked(folder, checked, transformers, saved=True)
        config = transformers.AutoConfig.from_pretrained(inside, trust_remote_code=False, local_files_only=True)
        with torch.device("meta"):
            network = cast("Any", transformers.AutoModel).from_config(config)
        model_loading.check_size(network, shapes, folder / CONFIG)
        body = _load(checked, **options).float()
    _set_name(body, "")
    model_loading.check_complete(cast("Any", body[0]).auto_model, shapes, folder / CONFIG)
    return body


def _load(checked: Path, **options: Any) -> SentenceTransformer:
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(
        str(checked),
        device="cpu",
        local_files_only=True,
        trust_remote_code=False,
        model_kwargs={"use_safetensors": True},
        **options,
    )


def _set_name(body: SentenceTransformer, source: str) -> None:
    """Set the displayed origin of a model, in place of the temporary folder."""
    transformer: Any = body[0]
    body.tokenizer.name_or_path = source
    transformer.auto_model.name_or_path = transformer.auto_model.config.name_or_path = source


def downloaded(source: str, **options: Any) -> Path:
    """Return the folder of a hub model, downloading it if necessary; OSError if there is none.

    Parameters
    ----------
    source : str
        The name of the model; without an organization, that of a model of sentence-transformers.
    **options
        Further arguments of ``snapshot_download``; by default models are stored in the cache that
        sentence-transformers uses.
    """
    if options.get("cache_dir") is None:
        options["cache_dir"] = os.environ.get("SENTENCE_TRANSFORMERS_HOME")
    if "/" not in source:
        with suppress(LookupError, OSError, RuntimeError, TypeError, ValueError):  # there is no such model
            return _download(f"sentence-transformers/{source}", **options)
    return _download(source, **options)


def _download(name: str, **options: Any) -> Path:
    from huggingface_hub import snapshot_download

    files = (*model_loading.TOKENIZER_PATTERNS, MODULES, SETTINGS, *TRANSFORMER_CONFIGS)
    inside = tuple(f"*/{file}" for file in files)
    return model_loading.fetched_weights(snapshot_download, name, (*files, *inside), deep=True, **options)


def num_dimensions(body: SentenceTransformer) -> int:
    """Return the number of dimensions of the embeddings."""
    # Since sentence-transformers 5.4 the method has another name, and the old one is deprecated.
    method = getattr(body, "get_embedding_dimension", None) or body.get_sentence_embedding_dimension
    dimensions = method()
    assert dimensions is not None
    return int(dimensions)


def prompt_length(body: SentenceTransformer, prompt: str) -> int | None:
    """Return the number of prompt tokens that pooling excludes; None if it excludes none."""
    pooled = all(getattr(module, "include_prompt", True) for module in body)
    if not prompt or pooled:
        return None
    ids = body.tokenizer(prompt)["input_ids"]
    return len(ids) - (1 if ids[-1] in (body.tokenizer.eos_token_id, body.tokenizer.sep_token_id) else 0)


def model_files(folder: Path) -> dict[str, bytes | Path]:
    """Return the files of a sentence transformer, by their paths inside its folder.

    Settings are returned as JSON, without the keys that are hidden from the libraries, such as the origin of the
    model; for other files the path is returned.

    Raises
    ------
    ModelFolderError
        If the modules or an index of weights contain anything that is not allowed, or a file cannot be read.
    """
    files: dict[str, bytes | Path] = {}
    modules: list[dict[str, Any]] = [{"path": "", "type": next(iter(MODULE_TYPES))}]
    if (folder / MODULES).is_file():
        modules = _checked_modules(folder / MODULES, saved=False)
        files[MODULES] = _as_json(modules)
    if (folder / SETTINGS).is_file():
        files[SETTINGS] = _as_json(_checked_settings(folder / SETTINGS, saved=False))
    for number, module in enumerate(modules):
        inside, names = folder / module["path"], [CONFIG]
        if number == 0:
            settings = [name for name in TRANSFORMER_CONFIGS if (inside / name).is_file()]
            names += [*sorted(TOKENIZER_FILES), *settings[:1]]
        if MODULE_TYPES[module["type"]] in ("Transformer", "Dense", "LayerNorm"):
            weights = [path.name for path in model_loading.weight_files(inside, saved=False)]
            index = SAFE_INDEX if weights[0].endswith(".safetensors") else PICKLED_INDEX
            names += weights if weights[0] in (SAFE, PICKLED) else [*weights, index]
        for path in (inside / name for name in names):
            if path.is_file():
                is_json = path.name in (CONFIG, TOKENIZER_CONFIG)
                content = read_object(path) if is_json else {}
                kept = {key: held for key, held in content.items() if key not in REMOVED_KEYS}
                files[path.relative_to(folder).as_posix()] = _as_json(kept) if is_json else path
    return files


def _as_json(content: object) -> bytes:
    return json.dumps(content, sort_keys=True).encode()


def copy_checked(folder: Path, target: Path, library: Any, *, saved: bool) -> tuple[Path, Shapes]:
    """Check a sentence transformer, and copy its allowed parts to another folder.

    Parameters
    ----------
    folder, target : Path
    library : module
        transformers, whose configuration classes define further keys.
    saved : bool
        Whether a classifier saved the folder. If so, every key has to be in the allowlists, and the weights must
        be safetensors. In pretrained models, unknown harmless keys are left out, and a folder without
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
        return target, _copy_transformer(folder, target, library, saved=saved)
    modules = _checked_modules(folder / MODULES, saved=saved)
    _write(target / MODULES, modules)
    if (folder / SETTINGS).is_file():
        _write(target / SETTINGS, _checked_settings(folder / SETTINGS, saved=saved))
    shapes: Shapes = {}
    for number, module in enumerate(modules):
        inside, place = folder / module["path"], target / module["path"]
        place.mkdir(exist_ok=True)
        if number == 0:
            shapes = _copy_transformer(inside, place, library, saved=saved)
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
    content = {key: held for key, held in read_object(path).items() if key not in IGNORED_SENTENCE_SETTINGS}
    if not saved:
        content = {key: held for key, held in content.items() if key in SENTENCE_SETTINGS or is_suspicious(key)}
    checked = checked_object(path, content, SENTENCE_SETTINGS)
    for key in ("__version__", "prompts"):
        for name, text in checked.get(key, {}).items():
            if not isinstance(text, str) or len(text) > _MAX_PROMPT_LENGTH:
                what = f"it holds {shown(text, 100)}"
                refuse(path, f"{key}.{name}", what, f"up to {_MAX_PROMPT_LENGTH} characters")
    default = checked.get("default_prompt_name")
    if default is not None and default not in checked.get("prompts", {}):
        refuse(path, "default_prompt_name", f"it holds {shown(default, 100)}", "the name of one of the prompts")
    checked.pop("__version__", None)
    return checked


def _copy_transformer(folder: Path, target: Path, library: Any, *, saved: bool) -> Shapes:
    for name in TRANSFORMER_CONFIGS:
        if (folder / name).is_file():
            _write(target / TRANSFORMER_CONFIGS[0], _checked_transformer(folder / name, saved=saved))
            break
    pretrained_files.put_config(folder, target, library, saved=saved)
    pretrained_files.put_tokenizer(folder, target, library, saved=saved)
    return model_loading.put_weights(folder, target, saved=saved)


def _checked_transformer(path: Path, *, saved: bool) -> dict[str, Any]:
    checked = checked_object(path, read_object(path), TRANSFORMER_SETTINGS)
    if checked.get("modality_config", TEXT_MODALITY) != TEXT_MODALITY:
        held = shown(checked["modality_config"], 200)
        refuse(path, "modality_config", f"it holds {held}", f"{TEXT_MODALITY}")
    if checked.get("processing_kwargs") or checked.get("unpad_inputs"):
        refuse(path, "processing_kwargs or unpad_inputs", "it is set", "null")
    for key in LIBRARY_ARGUMENTS:
        given = checked.pop(key, None) or {}
        if saved and given:
            refuse(path, key, f"it holds {shown(given, 100)}", "nothing in a saved classifier")
        for name in given:
            if name not in TRANSFORMER_ARGUMENTS:
                refuse(path, f"{key}.{name}", "this key is not on the list of those that are allowed")
        arguments = checked_object(path, given, TRANSFORMER_ARGUMENTS)
        arguments.pop("trust_remote_code", None)
        if arguments:
            checked[key] = arguments
    return {key: held for key, held in checked.items() if held is not None}


def _copy_module(kind: str, folder: Path, target: Path, *, saved: bool) -> None:
    """Check a module that follows the transformer, and copy it into another folder."""
    path = folder / CONFIG
    settings: dict[str, Any] = {}
    if path.is_file():
        settings = checked_object(path, read_object(path), MODULE_SETTINGS[kind])
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
    if not listed or any(mode not in POOLING_MODES for mode in listed) or len(set(listed)) < len(listed):
        refuse(path, "pooling_mode", f"it holds {shown(modes, 100)}", ", ".join(POOLING_MODES))


def _expected_shapes(kind: str, settings: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    if kind == "LayerNorm":
        return {"norm.weight": (settings.get("dimension", 0),)}
    return {"linear.weight": (settings.get("out_features", 0), settings.get("in_features", 0))}
