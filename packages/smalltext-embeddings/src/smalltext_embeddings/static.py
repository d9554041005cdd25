"""Encoders that model2vec stores: the mean of the vectors of a text's tokens."""

from __future__ import annotations

import json
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalltext_core.errors import ModelFolderError
from smalltext_core.messages import one_line
from smalltext_embeddings.encoders import Content, Encoder, Vectors, encodable, hash_of

_MOST_TOKENS = 512
_DTYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I8": "<i1", "I32": "<i4", "I64": "<i8"}


class StaticEncoder(Encoder):
    """The mean of the vectors of a text's first 512 tokens, from a model that model2vec wrote.

    No file is executed: the tensors are read from the bytes, and of the configuration only ``max_length`` is used.
    """

    kind = "static"
    FILES = ("model.safetensors", "tokenizer.json", "config.json")

    def __init__(self, content: Content, name: str) -> None:
        self._content = content
        self.name = name

    @cached_property
    def fingerprint(self) -> str:
        return hash_of(self.kind, *(self._content[name] for name in self.FILES))

    @cached_property
    def dimensions(self) -> int:
        return int(self._model[0].embedding.shape[1])

    def files(self) -> Content:
        return self._content

    def encode(self, texts: list[str]) -> Vectors:
        model, longest = self._model
        sound = [encodable(text) for text in texts]
        vectors = model.encode(sound, max_length=longest, use_multiprocessing=False)
        return np.asarray(vectors, dtype=np.float32)

    @cached_property
    def _model(self) -> tuple[Any, int]:
        try:
            return _static_model(self._content)
        except MemoryError:
            raise
        except BaseException as error:  # tokenizers panics with an exception that is not an Exception
            if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
                raise
            what = (
                f"{self.name} is not a static model of model2vec ({type(error).__name__}: {one_line(str(error))})"
            )
            raise ModelFolderError(f"{what}. Download it, or save it, again.") from error

    def __getstate__(self) -> dict[str, Any]:
        return {"_content": {name: bytes(value) for name, value in self._content.items()}, "name": self.name}


def _static_model(content: Content) -> tuple[Any, int]:
    """Return a model of model2vec, and where it cuts texts; any error means that a file is damaged."""
    from model2vec import StaticModel
    from tokenizers import Tokenizer

    config, tensors = json.loads(bytes(content["config.json"])), _tensors(content["model.safetensors"])
    tokenizer = bytes(content["tokenizer.json"]).decode()
    _check_growth(json.loads(tokenizer)["normalizer"])
    longest = config.get("max_length")
    vectors = tensors["embeddings" if "embeddings" in tensors else "embedding.weight"]
    weights, mapping = tensors.get("weights"), tensors.get("mapping")
    model = StaticModel(
        vectors=vectors,
        tokenizer=Tokenizer.from_str(tokenizer),
        weights=weights,
        token_mapping=mapping,
        normalize=False,  # vectors are divided by their length in any case
    )
    ids = model.tokenizer.get_vocab().values()
    rows = len(vectors) if mapping is None else len(mapping)
    sound = vectors.ndim == 2 and vectors.shape[1] > 0 and min(ids) == 0 and max(ids) < rows
    sound = sound and (
        mapping is None or (mapping.ndim == 1 and 0 <= mapping.min() <= mapping.max() < len(vectors))
    )
    sound = sound and (weights is None or weights.shape == (rows,))
    if not sound or not all(np.isfinite(each).all() for each in tensors.values()):
        raise ValueError("tensors do not fit the tokenizer, or hold NaN or infinity")
    return model, min(longest, _MOST_TOKENS) if type(longest) is int and longest > 0 else _MOST_TOKENS


def _tensors(content: Any) -> dict[str, NDArray[Any]]:
    """Return the arrays of a safetensors file without copying them."""
    data = np.frombuffer(content, dtype=np.uint8)
    start = 8 + int.from_bytes(data[:8].tobytes(), "little")
    if not 8 < start <= min(len(data), 2**24):
        raise ValueError("model.safetensors has no header")
    tensors: dict[str, NDArray[Any]] = {}
    for name, entry in json.loads(data[8:start].tobytes()).items():
        if name != "__metadata__":
            first, last = entry["data_offsets"]
            part = data[start + first : start + last] if 0 <= first <= last <= len(data) - start else data[:0]
            tensors[name] = part.view(_DTYPES[entry["dtype"]]).reshape([int(size) for size in entry["shape"]])
    return tensors


def _check_growth(normalizer: Any) -> None:
    """Raise ValueError for a normalizer that makes texts a thousand times as long."""
    growth, waiting = 1, [normalizer]
    while waiting:
        step = waiting.pop()
        if isinstance(step, (list, dict)):
            waiting.extend(step if isinstance(step, list) else step.values())
        if isinstance(step, dict):
            growth *= max(1, *(len(text) for text in (step.get("content"), step.get("prepend")) if text), 0)
    if growth > 1000:
        raise ValueError("its normalizer makes texts a thousand times as long")
