"""Encoders that model2vec stores: the mean of the vectors of a text's tokens."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cached_property
from itertools import chain
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

    class WordwiseModel(StaticModel):
        def tokenize(self, sentences: Any) -> Any:
            ids, whole = tokens_by_word(self.tokenizer, known, sentences, self.unk_token_id, cut)
            for row, tokens in zip(whole, super().tokenize([sentences[row] for row in whole]), strict=True):
                ids[row] = tokens
            return ids

    known: dict[str, list[int]] = {}
    config, tensors = json.loads(bytes(content["config.json"])), _tensors(content["model.safetensors"])
    tokenizer = bytes(content["tokenizer.json"]).decode()
    described = json.loads(tokenizer)
    _check_growth(described["normalizer"])
    longest = config.get("max_length")
    cut = min(longest, _MOST_TOKENS) if type(longest) is int and longest > 0 else _MOST_TOKENS
    vectors = tensors["embeddings" if "embeddings" in tensors else "embedding.weight"]
    weights, mapping = tensors.get("weights"), tensors.get("mapping")
    model = (WordwiseModel if is_wordwise(described) else StaticModel)(
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
    return model, cut


_PER_CHARACTER = frozenset({"BertNormalizer", "Lowercase", "NFC", "NFD", "NFKC", "NFKD", "StripAccents"})
_AT_SPACES = frozenset({"BertPreTokenizer", "Whitespace", "WhitespaceSplit"})
_MOST_WORDS = 200_000
"""How many words are remembered."""


def is_wordwise(tokenizer: Any) -> bool:
    """Return whether the tokens of a text, in ASCII, are those of its words one by one.

    Parameters
    ----------
    tokenizer : dict
        The content of a tokenizer.json.
    """

    def steps(name: str, inside: str) -> list[Any]:
        step = tokenizer.get(name)
        return [] if step is None else step[inside] if step["type"] == "Sequence" else [step]

    normalizers, pretokenizers = steps("normalizer", "normalizers"), steps("pre_tokenizer", "pretokenizers")
    added = tokenizer.get("added_tokens") or []
    return (
        all(step["type"] in _PER_CHARACTER for step in normalizers)
        and bool(pretokenizers)
        and pretokenizers[0]["type"] in _AT_SPACES
        and all(step["type"] in _AT_SPACES | {"Digits", "Punctuation"} for step in pretokenizers)
        and not any(" " in each["content"] or each["lstrip"] or each["rstrip"] for each in added)
    )


def tokens_by_word(
    tokenizer: Any, known: dict[str, list[int]], texts: Sequence[str], unknown: int | None, cut: int
) -> tuple[list[list[int]], list[int]]:
    """Return the tokens of texts, from those of their words, and the rows that have to be tokenized as a whole.

    A text has the words of others, so that looking words up is several times as fast as tokenizing texts.

    Parameters
    ----------
    tokenizer : tokenizers.Tokenizer
        One that `is_wordwise`.
    known : dict of str to list of int
        The tokens of words, to which those of further words are added.
    texts : sequence of str
        Texts.
    unknown : int or None
        The token that is left out.
    cut : int
        The number of tokens at which texts are cut; texts of fewer characters are not.
    """
    plain = [len(text) <= cut and text.isascii() and text.isprintable() for text in texts]
    words = [text.split() if simple else [] for text, simple in zip(texts, plain, strict=True)]
    distinct = set(chain.from_iterable(words))
    if len(known) > _MOST_WORDS:  # not emptied, since other threads may be here
        known = {word: known[word] for word in distinct & known.keys()}
    fresh = list(distinct - known.keys())
    for word, found in zip(fresh, tokenizer.encode_batch_fast(fresh, add_special_tokens=False), strict=True):
        known[word] = [token for token in found.ids if token != unknown]
    ids = [list(chain.from_iterable(map(known.__getitem__, each))) for each in words]
    return ids, [row for row, simple in enumerate(plain) if not simple]


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
