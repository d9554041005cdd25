"""Safe copies of the configuration and the tokenizer of a pretrained model from an untrusted folder.

All keys of config.json and of the tokenizer files that decide what is imported, called or opened are checked
against the allow lists of `smalltext_torch.untrusted_json`. Allowed keys are written to a new folder, and other
libraries load only that folder.
"""

from __future__ import annotations

import base64
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
from smalltext_torch.model_loading import place
from smalltext_torch.untrusted_json import (
    ATTENTION,
    BASE_CONFIG,
    BASE_TOKENIZER,
    DTYPES,
    LARGEST_INTEGER,
    NOT_HANDED_ON,
    SPECIAL_TOKENS,
    TOKENIZER_FILES,
    is_suspicious,
    is_tokenizer,
    read_object,
    refuse,
    words,
)

CONFIG, TOKENIZER_CONFIG, SPECIAL_TOKENS_MAP = "config.json", "tokenizer_config.json", "special_tokens_map.json"
TOKENIZER, ADAPTER_CONFIG = "tokenizer.json", "adapter_config.json"

_MOST_LAYERS = 4096
_MOST_TOKENS = 10_000_000
_MOST_GROWTH = 10_000
_BY_OTHER_LIBRARIES = "timm"
"""The prefix of model types that another library creates from an arbitrary name, such as that of a file."""
_VOCABULARIES = frozenset({"added_tokens.json", "vocab.json"})
_GROWTH = {"BertNormalizer": 3, "ByteLevel": 4, "Lowercase": 2, "NFC": 3, "NFD": 4, "NFKC": 18, "NFKD": 18}
"""The maximum growth factor of a text, in characters, by type of normalizer; other types do not lengthen texts."""
_COUNTS = ("layer", "block", "depth", "stage", "expert", "group")
_ATTENTION_KEYS = ("attn_implementation", "_attn_implementation", "_attn_implementation_internal")
_MECAB = frozenset({"ipadic", "unidic", "unidic_lite"})
_ASKS_FOR_CODE = re.compile(
    r"_.*|.*_(file|path|object)|auto_map|backbone.*|quantization.*|use_timm.*|self|args|kwargs|vocab|merges"
)
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
    known = BASE_CONFIG | _keys_of(library.CONFIG_MAPPING[kind])
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
        elif key not in NOT_HANDED_ON:
            check(path, key, value)
            if key in known or is_allowed(key):
                checked[key] = value
            elif saved or is_suspicious(key):
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
            most = _MOST_LAYERS if any(count in name for count in _COUNTS) else LARGEST_INTEGER
            if not -LARGEST_INTEGER <= inner <= most:
                refuse(path, place_of, f"it holds {shown(inner, 40)}", f"up to {most}")


def _check_nested(path: Path, place_of: str, key: str, value: Any) -> None:
    """Apply the checks of a configuration to a nested key."""
    if key in _ATTENTION_KEYS and value in ATTENTION:
        return
    if key in ("dtype", "torch_dtype") and isinstance(value, str) and value in DTYPES:
        return
    if key in ("dtype", "torch_dtype") or (key not in BASE_CONFIG | NOT_HANDED_ON and is_suspicious(key)):
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
            if name == TOKENIZER:
                _check_tokenizer(folder / name)
            elif name in _VOCABULARIES:
                _check_ids(folder / name, read_object(folder / name, unique=True).values())
            place(folder / name, target / name)


def _check_tokenizer(path: Path) -> None:
    """Reject token ids, and replacements in texts, that would exhaust memory."""
    content = read_object(path, unique=True)
    model, added = content.get("model"), content.get("added_tokens")
    vocabulary = model.get("vocab") if isinstance(model, dict) else None
    ids: list[Any] = [*vocabulary.values()] if isinstance(vocabulary, dict) else []
    ids += [token.get("id") for token in added or () if isinstance(token, dict)] if isinstance(added, list) else []
    _check_ids(path, ids)
    normalizer, processor = _as_read(path, content)
    _check_growth(path, normalizer)
    _check_templates(path, processor)


def _as_read(path: Path, content: Mapping[str, Any]) -> tuple[Any, Any]:
    """Return the normalizer and the post-processor of a tokenizer as the tokenizers library writes them.

    It reads other forms too, such as lists in place of objects.
    """
    from tokenizers import Tokenizer

    parts = {name: content.get(name) for name in ("normalizer", "post_processor")}
    model = {"type": "WordLevel", "vocab": {}, "unk_token": ""}
    try:
        read = json.loads(Tokenizer.from_str(json.dumps({**parts, "model": model})).to_str())
    except Exception as error:  # the library raises nothing more specific
        refuse(path, "", f"the tokenizers library cannot read it ({one_line(str(error))})")
    return read["normalizer"], read["post_processor"]


def _check_ids(path: Path, ids: Iterable[Any]) -> None:
    """Reject token ids that are so large that tables of them would exhaust memory."""
    for number in ids:
        if type(number) is not int or not 0 <= number <= _MOST_TOKENS:
            refuse(path, "", f"a token has the id {shown(number, 40)}", f"whole numbers up to {_MOST_TOKENS}")


def _check_growth(path: Path, normalizer: Any) -> None:
    """Reject a normalizer that makes texts thousands of times as long.

    From the last step to the first, it is computed how long a character can become in the steps from there on.
    """
    of_character: dict[str, int] = {}
    of_others = 1
    for step in reversed(_steps(normalizer)):
        inserted = sum(of_character.get(one, of_others) for one in step.get("content", step.get("prepend", "")))
        literal = step.get("pattern", {}).get("String")
        if literal:
            of_character |= {one: max(inserted, of_character.get(one, of_others)) for one in literal}
        else:  # a regular expression can match between any two characters
            of_others = inserted + _factor(step) * max(of_others, *of_character.values(), 0)
            of_character = {}
        if max(inserted, of_others) > _MOST_GROWTH:
            refuse(path, "normalizer", f"it makes texts more than {_MOST_GROWTH} times as long")


def _steps(step: Any) -> list[dict[str, Any]]:
    """Return the steps of a normalizer in order."""
    if not isinstance(step, dict):
        return []
    if step["type"] != "Sequence":
        return [step]
    return [inner for one in step["normalizers"] for inner in _steps(one)]


def _factor(step: Mapping[str, Any]) -> int:
    """Return the maximum growth factor of a step of a normalizer, apart from the text it inserts."""
    charsmap = base64.b64decode(step.get("precompiled_charsmap") or "")
    if not charsmap:
        return _GROWTH.get(step["type"], 1)
    # The size of a trie, the trie, and then replacements of characters, each of which ends in a zero.
    replacements = charsmap[4 + int.from_bytes(charsmap[:4], "little") :]
    return max(map(len, replacements.split(b"\0")))


def _check_templates(path: Path, processor: Any) -> None:
    """Reject more special tokens around a text than any model can process."""
    waiting = [processor]
    while waiting:
        step = waiting.pop()
        if isinstance(step, list):
            waiting.extend(step)
        elif isinstance(step, dict):
            waiting.append(step.get("processors"))
            pieces, special = step.get("single"), step.get("special_tokens")
            tokens = special.values() if isinstance(special, dict) else ()
            ids = [token.get("ids") for token in tokens if isinstance(token, dict)]
            count = sum(len(each) for each in ids if isinstance(each, list))
            if isinstance(pieces, list) and len(pieces) * max(count, 1) > _MOST_GROWTH:
                refuse(path, "post_processor", f"it puts more than {_MOST_GROWTH} tokens around a text")


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
    if key == "added_tokens_decoder":
        sound = isinstance(value, dict) and all(number.isdecimal() and len(number) < 10 for number in value)
        ids: list[Any] = [int(number) for number in value] if sound else [value]
        _check_ids(path, ids)
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


def _checked_special_tokens(path: Path) -> dict[str, Any]:
    content = read_object(path)
    for key in content:
        if key not in SPECIAL_TOKENS and not key.endswith("_token"):
            refuse(path, key, "this key is not on the list of those that are allowed", "the names of tokens")
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
"""The endings of files that are code, pickles, or archives of such."""


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
        if path.suffix.lower() in EXECUTABLE and path.relative_to(folder).as_posix() not in set(expected):
            what = f"{path} is of a kind that can hold code, and no classifier saves such a file"
            raise ModelFolderError(
                f"{what}. Nothing in the folder is read; remove the file if you trust the rest."
            )


def _write(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")
