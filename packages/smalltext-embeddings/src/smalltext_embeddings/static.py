"""Static encoders in the format of model2vec: the mean of the vectors of a text's tokens."""

from __future__ import annotations

import json
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy
from numpy.typing import NDArray

from smalltext_core.saving import damage_explained
from smalltext_embeddings.encoders import Content, Encoder, Vectors, hash_of

if TYPE_CHECKING:
    from smalltext_tokenizers import CachedWordTokenizer

_MAX_TOKENS, _BATCH = 512, 1024


class StaticEncoder(Encoder):
    """A model2vec model: the mean of the vectors of a text's first 512 tokens.

    No code is run: the files hold tensors and a tokenizer, and only ``max_length`` is read from the configuration.
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
        return int(self._loaded[0].embedding.shape[1])

    def files(self) -> Content:
        return self._content

    def encode(self, texts: list[str]) -> Vectors:
        model, tokens = self._loaded
        vectors = np.empty((len(texts), self.dimensions), dtype=np.float32)
        for start in range(0, len(texts), _BATCH):
            vectors[start : start + _BATCH] = _means(model, *tokens(texts[start : start + _BATCH]))
        return vectors

    @cached_property
    def _loaded(self) -> tuple[Any, CachedWordTokenizer]:
        """The model, and what tokenizes texts."""
        with damage_explained(self.name):
            return _read(self._content)

    def __getstate__(self) -> dict[str, Any]:
        return {"_content": {name: bytes(value) for name, value in self._content.items()}, "name": self.name}


def _read(content: Content) -> tuple[Any, CachedWordTokenizer]:
    """Return a model2vec model and what tokenizes texts; any error means that a file is damaged."""
    from model2vec import StaticModel
    from safetensors.numpy import load
    from tokenizers import Tokenizer

    from smalltext_tokenizers import CachedWordTokenizer, check_tokenizer, is_wordwise

    config, tensors = json.loads(bytes(content["config.json"])), load(bytes(content["model.safetensors"]))
    tokenizer = json.loads(bytes(content["tokenizer.json"]))
    check_tokenizer(tokenizer)
    longest = config.get("max_length")
    longest = min(longest, _MAX_TOKENS) if type(longest) is int and longest > 0 else _MAX_TOKENS
    vectors = tensors["embeddings" if "embeddings" in tensors else "embedding.weight"].astype(np.float32)
    weights, mapping = tensors.get("weights"), tensors.get("mapping")
    read = Tokenizer.from_str(json.dumps(tokenizer))  # not the file itself, which may contain a key twice
    model = StaticModel(vectors, read, weights=weights, token_mapping=mapping, max_length=longest)
    ids = model.tokenizer.get_vocab().values()
    rows = len(vectors) if mapping is None else len(mapping)
    targets = np.arange(len(vectors)) if mapping is None else mapping
    valid = vectors.ndim == 2 and vectors.shape[1] > 0 and min(ids) == 0 and max(ids) < rows
    valid = valid and targets.ndim == 1 and 0 <= targets.min() <= targets.max() < len(vectors)
    valid = valid and (weights is None or weights.shape == (rows,))
    if not valid or not all(np.isfinite(each).all() for each in (vectors, *tensors.values())):
        raise ValueError("tensors do not fit the tokenizer, or hold NaN or infinity")
    most = longest * model.median_token_length  # as model2vec cuts texts
    return model, CachedWordTokenizer(model.tokenize, longest, most, by_word=is_wordwise(tokenizer))


def _means(model: Any, ids: NDArray[np.int64], starts: NDArray[np.int64]) -> Vectors:
    """Return the mean token vector of each text; the tokens of text i are ``ids[starts[i] : starts[i + 1]]``."""
    factors = np.ones(len(ids), dtype=np.float32) if model.weights is None else model.weights[ids]
    rows = ids if model.token_mapping is None else model.token_mapping[ids]
    matrix = scipy.sparse.csr_matrix((factors, rows, starts), shape=(len(starts) - 1, len(model.embedding)))
    means: Vectors = matrix @ model.embedding / np.maximum(np.diff(starts), 1, dtype=np.float32)[:, None]
    return means
