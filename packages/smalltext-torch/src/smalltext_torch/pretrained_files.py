"""Safe copies of the configuration and the tokenizer of a pretrained model from an untrusted folder.

All keys of config.json and of the tokenizer files that decide what is imported, called or opened are checked
against the allow lists of `smalltext_torch.untrusted_json`. Allowed keys are written to a new folder, and other
libraries load only that folder.
"""

from __future__ import annotations

import inspect
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from smalltext_core.errors import InvalidInputError, ModelFolderError
from smalltext_core.messages import one_line, shown
from smalltext_tokenizers import TokenizerError, check_added_token, check_token_ids, check_tokenizer
from smalltext_torch.model_loading import place
from smalltext_torch.untrusted_json import (
    ATTENTION,
    BASE_CONFIG,
    BASE_TOKENIZER,
    DTYPES,
    FURTHER_CONFIG,
    MAX_INTEGER,
    REMOVED_KEYS,
    SPECIAL_TOKENS,
    TOKENIZER_FILES,
    UNUSED_CONFIG,
    is_suspicious,
    is_tokenizer,
    read_object,
    refuse,
    words,
)

CONFIG, TOKENIZER_CONFIG, SPECIAL_TOKENS_MAP = "config.json", "tokenizer_config.json", "special_tokens_map.json"
TOKENIZER, ADAPTER_CONFIG = "tokenizer.json", "adapter_config.json"

_MAX_LAYERS = 4096
_BY_OTHER_LIBRARIES = "timm"
"""The prefix of model types that another library creates from an arbitrary name, such as that of a file."""
_VOCABULARIES = frozenset({"added_tokens.json", "vocab.json"})
_COUNTS = ("layer", "block", "depth", "stage", "expert", "group")
_ATTENTION_KEYS = ("attn_implementation", "_attn_implementation", "_attn_implementation_internal")
_MECAB = frozenset({"ipadic", "unidic", "unidic_lite"})
_ASKS_FOR_CODE = re.compile(
    r"_.*|.*_(file|path|object)|auto_map|backbone.*|quantization.*|use_timm.*|self|args|kwargs|vocab|merges"
)
_TABLES_OF_TOKENS = frozenset({"added_tokens_decoder", "extra_special_tokens", "model_specific_special_tokens"})
"""Keys whose values may be objects that contain tokens."""
_SENTENCEPIECE = frozenset({"alpha", "enable_sampling", "nbest_size"})


class PretrainedFolderError(InvalidInputError, ModelFolderError):
    """A pretrained model passed as an argument is damaged, or would run code if a library loaded it."""


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """Yield a temporary folder for checked files; errors on removing it are ignored."""
    with TemporaryDirectory(prefix="smalltext-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def put_config(folder: Path, target: Path, library: Any, *, saved: bool) -> dict[str, Any]:
    """Check the configuration of a model, and write its allowed keys to another folder.

    In the folder of a `saved` classifier every key has to be on the list; in others, harmless keys are left out.
    `library` is transformers, whose configuration classes define further keys.

    Raises
    ------
    ModelFolderError
        If a key or its value is not allowed.
    """
    path = folder / CONFIG
    if os.path.lexists(folder / ADAPTER_CONFIG):
        advice = "Merge the adapter into its model (merge_and_unload of peft), and save that"
        refuse(folder / ADAPTER_CONFIG, "", f"the folder of an adapter is not read as that of a model. {advice}")
    content = read_object(path)
    config = _checked_config(path, content, library, saved=saved)
    _write(target / CONFIG, config)
    return config


def _checked_config(path: Path, content: Mapping[str, Any], library: Any, *, saved: bool) -> dict[str, Any]:
    kind = content.get("model_type")
    known_type = isinstance(kind, str) and kind in library.CONFIG_MAPPING
    if not known_type or str(kind).startswith(_BY_OTHER_LIBRARIES):
        refuse(path, "model_type", f"it holds {shown(kind, 100)}", "a type of models that transformers knows")
    known = BASE_CONFIG | FURTHER_CONFIG | _keys_of(library.CONFIG_MAPPING[kind])
    return _filtered(path, content, known, _ATTENTION_KEYS.__contains__, _check_config_value, saved=saved)


def _filtered(
    path: Path,
    content: Mapping[str, Any],
    known: frozenset[str],
    is_allowed: Callable[[str], bool],
    check: Callable[[Path, str, Any], None],
    *,
    saved: bool,
) -> dict[str, Any]:
    """Return the keys that are known or otherwise allowed, after checking their values.

    Other keys are an error in the folder of a saved classifier, and if their names suggest that they run code.
    """
    checked: dict[str, Any] = {}
    for key, value in content.items():
        if value is None:
            if key in known:
                checked[key] = None
        elif key not in REMOVED_KEYS:
            check(path, key, value)
            if key in known or is_allowed(key):
                checked[key] = value
            elif saved or (is_suspicious(key) and key not in UNUSED_CONFIG):
                refuse(path, key, "this key is not on the list of those that are allowed")
    return checked


def _check_config_value(path: Path, key: str, value: Any) -> None:
    """Reject values that decide what is imported or called, and numbers that would exhaust memory."""
    if key in ("dtype", "torch_dtype") and not (isinstance(value, str) and value in DTYPES):
        refuse(path, key, f"it holds {shown(value, 100)}", ", ".join(sorted(DTYPES)))
    if key in _ATTENTION_KEYS and not (isinstance(value, str) and value in ATTENTION):
        refuse(path, key, f"it holds {shown(value, 100)}", ", ".join(sorted(ATTENTION)))
    if key == "tokenizer_class" and not is_tokenizer(value):
        refuse(path, key, f"it holds {shown(value, 100)}", "a class of tokenizers of texts of transformers")
    _check_numbers(path, key, value)


def _check_numbers(path: Path, key: str, value: Any) -> None:
    """Reject numbers out of range, and nested keys that decide what is imported or called."""
    waiting = [(key, value)]
    while waiting:
        place_of, inner = waiting.pop()
        name = place_of.rpartition(".")[2]
        if isinstance(inner, dict):
            for further, held in inner.items():
                if held is not None and place_of not in ("id2label", "label2id", "task_specific_params"):
                    _check_nested(path, f"{place_of}.{further}", further, held)
                waiting.append((f"{place_of}.{further}", held))
        elif isinstance(inner, list):
            waiting.extend((place_of, held) for held in inner)
        elif type(inner) is int:
            is_count = "size" not in name and any(count in name for count in _COUNTS)
            most = _MAX_LAYERS if is_count else MAX_INTEGER
            if not -MAX_INTEGER <= inner <= most:
                refuse(path, place_of, f"it holds {shown(inner, 40)}", f"up to {most}")


def _check_nested(path: Path, place_of: str, key: str, value: Any) -> None:
    """Apply the checks of a configuration to a nested key."""
    if key in _ATTENTION_KEYS and value in ATTENTION:
        return
    if key in ("dtype", "torch_dtype") and isinstance(value, str) and value in DTYPES:
        return
    if key in ("dtype", "torch_dtype") or (key not in BASE_CONFIG | REMOVED_KEYS and is_suspicious(key)):
        refuse(path, place_of, f"it holds {shown(value, 100)}, which is not on the list of what is allowed")
    if key == "model_type" and str(value).startswith(_BY_OTHER_LIBRARIES):
        refuse(path, place_of, f"it holds {shown(value, 100)}", "models that transformers itself computes")
    if key == "tokenizer_class" and not is_tokenizer(value):
        refuse(path, place_of, f"it holds {shown(value, 100)}", "a class of tokenizers of texts of transformers")


def _keys_of(kind: Any) -> frozenset[str]:
    """Return the keys of the configurations of a class: its parameters and the attributes that it adds."""
    names = set(parameters_of(kind))
    with suppress(Exception):  # some need arguments
        names.update(name for name in kind().to_dict() if not _ASKS_FOR_CODE.fullmatch(name))
    return frozenset(names)


def parameters_of(kind: Any) -> frozenset[str]:
    """Return the names of the parameters of a class and its base classes.

    Names of parameters that request code, quantized weights or files are left out.
    """
    names: set[str] = set(getattr(kind, "attribute_map", {}))
    for base in kind.__mro__:
        if "__init__" in vars(base):
            names.update(inspect.signature(base.__init__).parameters)
    return frozenset(name for name in names if not _ASKS_FOR_CODE.fullmatch(name))


def put_tokenizer(folder: Path, target: Path, library: Any, *, saved: bool) -> None:
    """Check the files of a tokenizer, and put them into another folder; see `put_config`.

    Raises
    ------
    ModelFolderError
        If a key or its value is not allowed.
    """
    for name in sorted(TOKENIZER_FILES):
        if not (folder / name).is_file():
            continue
        if name == TOKENIZER_CONFIG:
            _write(target / name, _checked_tokenizer_config(folder / name, library, saved=saved))
        elif name == SPECIAL_TOKENS_MAP:
            _write(target / name, _checked_special_tokens(folder / name))
        else:
            with _tokenizer_errors_named(folder / name):
                if name == TOKENIZER:
                    check_tokenizer(read_object(folder / name, unique=True))
                elif name in _VOCABULARIES:
                    check_token_ids(read_object(folder / name, unique=True).values())
            place(folder / name, target / name)


@contextmanager
def _tokenizer_errors_named(path: Path) -> Iterator[None]:
    """Turn errors about a tokenizer into ModelFolderError with the name of the file."""
    try:
        yield
    except TokenizerError as error:
        refuse(path, "", one_line(str(error)))


def _checked_tokenizer_config(path: Path, library: Any, *, saved: bool) -> dict[str, Any]:
    content = read_object(path)
    kind = content.get("tokenizer_class")
    if kind is not None and not is_tokenizer(kind):
        refuse(path, "tokenizer_class", f"it holds {shown(kind, 100)}", "a class of tokenizers of texts")
    class_of = None if kind is None else getattr(library, kind, None)
    known = BASE_TOKENIZER | (parameters_of(class_of) if isinstance(class_of, type) else frozenset())
    # Unknown keys that end in "_kwargs" are rejected by the check of values.
    return _filtered(path, content, known, lambda key: key.endswith("_token"), _check_tokenizer_value, saved=saved)


def _check_tokenizer_value(path: Path, key: str, value: Any) -> None:
    _check_tokens(path, key, value)
    if key == "added_tokens_decoder":
        valid = isinstance(value, dict) and all(number.isdecimal() and len(number) < 10 for number in value)
        ids: list[Any] = [int(number) for number in value] if valid else [value]
        with _tokenizer_errors_named(path):
            check_token_ids(ids)
    if key == "backend" and value not in ("tokenizers", "sentencepiece"):
        refuse(path, key, f"it holds {shown(value, 100)}", "tokenizers, sentencepiece")
    if key == "sp_model_kwargs" and not (isinstance(value, dict) and value.keys() <= _SENTENCEPIECE):
        refuse(path, key, f"it holds {shown(value, 100)}", f"an object with {', '.join(sorted(_SENTENCEPIECE))}")
    if key.endswith("_kwargs") and key not in ("mecab_kwargs", "sp_model_kwargs"):
        refuse(path, key, f"it holds {shown(value, 100)}", "null; such arguments name files of dictionaries")
    if key == "mecab_kwargs" and not (
        isinstance(value, dict) and value.keys() <= {"mecab_dic"} and set(map(str, value.values())) <= _MECAB
    ):
        refuse(
            path, key, f"it holds {shown(value, 100)}", f"an object with mecab_dic: {', '.join(sorted(_MECAB))}"
        )


def _check_tokens(path: Path, key: str, value: Any) -> None:
    """Check the tokens in a value: all objects at the keys for tokens, and those of this type at others."""
    are_tokens = key in _TABLES_OF_TOKENS | SPECIAL_TOKENS or key.endswith("_token")
    waiting = list(value.values()) if key in _TABLES_OF_TOKENS and isinstance(value, dict) else [value]
    while waiting:
        inner = waiting.pop()
        if isinstance(inner, dict) and (are_tokens or "__type" in inner):
            with _tokenizer_errors_named(path):
                check_added_token(inner)
        elif isinstance(inner, (dict, list)):
            waiting.extend(inner.values() if isinstance(inner, dict) else inner)


def _checked_special_tokens(path: Path) -> dict[str, Any]:
    content = read_object(path)
    for key, value in content.items():
        if key not in SPECIAL_TOKENS and not key.endswith("_token"):
            refuse(path, key, "this key is not on the list of those that are allowed", "the names of tokens")
        _check_tokens(path, key, value)
    return content


def tidy(folder: Path, library: Any) -> None:
    """Remove unused files and all local paths from a folder that transformers wrote."""
    for name in ("generation_config.json", "README.md"):
        (folder / name).unlink(missing_ok=True)
    if (folder / CONFIG).is_file():
        _write(
            folder / CONFIG, _checked_config(folder / CONFIG, read_object(folder / CONFIG), library, saved=False)
        )
    if (folder / TOKENIZER_CONFIG).is_file():
        content = _checked_tokenizer_config(folder / TOKENIZER_CONFIG, library, saved=False)
        _write(folder / TOKENIZER_CONFIG, content)


EXECUTABLE = words(
    """
    .a .bat .bin .ckpt .cmd .com .dll .dylib .exe .h5 .ipynb .jar .jl .joblib .js .keras .lua .msi .npy .npz
    .o .onnx .ot .pickle .pkl .pl .ps1 .pt .pth .py .pyc .pyd .pyi .pyo .pyw .r .rb .sh .so .tar .th .whl
    .zip
    """
)
"""The extensions of files that are code, pickles, or archives of such."""


def check_files(folder: Path, expected: Iterable[str] = ()) -> None:
    """Reject a saved classifier whose folder contains code, pickles (but `expected` ones) or a link out of it."""
    home = folder.resolve()
    for path in sorted(folder.rglob("*")):
        try:
            inside = path.resolve().is_relative_to(home)
        except (OSError, RuntimeError):
            inside = False
        if not inside:
            raise ModelFolderError(f"{path} is a link that leads out of the folder; it is not read.")
        if path.exists() and not path.is_file() and not path.is_dir():
            raise ModelFolderError(f"{path} is a pipe or a device, which may never end; it is not read.")
    for name in executable_files(folder, expected):
        what = f"{folder / name} is of a kind that can hold code, and no classifier saves such a file"
        raise ModelFolderError(f"{what}. Nothing in the folder is read; remove the file if you trust the rest.")


def executable_files(folder: Path, expected: Iterable[str] = ()) -> list[str]:
    """Return the files in a folder, except for `expected` ones, whose names are those of code or pickles."""
    found = (
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.suffix.lower() in EXECUTABLE
    )
    return sorted(set(found) - set(expected))


def _write(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")
