"""Static encoders in the format of model2vec: the mean of the vectors of a text's tokens."""

from __future__ import annotations

import json
from base64 import b64decode
from functools import cached_property
from itertools import chain
from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray

from smalltext_core.saving import damage_explained
from smalltext_embeddings.encoders import Content, Encoder, Vectors, encodable, hash_of

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
        return int(self._tokens.model.embedding.shape[1])

    def files(self) -> Content:
        return self._content

    def encode(self, texts: list[str]) -> Vectors:
        vectors = np.empty((len(texts), self.dimensions), dtype=np.float32)
        for start in range(0, len(texts), _BATCH):
            batch = [encodable(text) for text in texts[start : start + _BATCH]]
            vectors[start : start + _BATCH] = _means(self._tokens.model, *self._tokens(batch))
        return vectors

    @cached_property
    def _tokens(self) -> Tokens:
        with damage_explained(self.name):
            model = _static_model(self._content)
            return Tokens(model, is_wordwise(json.loads(bytes(self._content["tokenizer.json"]))))

    def __getstate__(self) -> dict[str, Any]:
        return {"_content": {name: bytes(value) for name, value in self._content.items()}, "name": self.name}


def _static_model(content: Content) -> Any:
    """Return a model2vec model, which truncates texts at `max_length`; any error means that a file is damaged."""
    from model2vec import StaticModel
    from safetensors.numpy import load
    from tokenizers import Tokenizer

    config, tensors = json.loads(bytes(content["config.json"])), load(bytes(content["model.safetensors"]))
    tokenizer = json.loads(bytes(content["tokenizer.json"]))
    # The tokenizers library also accepts lists in place of objects, but writes objects only.
    bare = {"normalizer": tokenizer["normalizer"], "model": {"type": "WordLevel", "vocab": {}, "unk_token": ""}}
    _check_growth(json.loads(Tokenizer.from_str(json.dumps(bare)).to_str())["normalizer"])
    longest = config.get("max_length")
    longest = min(longest, _MAX_TOKENS) if type(longest) is int and longest > 0 else _MAX_TOKENS
    vectors = tensors["embeddings" if "embeddings" in tensors else "embedding.weight"].astype(np.float32)
    weights, mapping = tensors.get("weights"), tensors.get("mapping")
    read = Tokenizer.from_str(json.dumps(tokenizer))  # not the file itself, which may contain a key twice
    model = StaticModel(vectors, read, weights=weights, token_mapping=mapping, max_length=longest)
    ids = model.tokenizer.get_vocab().values()
    rows = len(vectors) if mapping is None else len(mapping)
    targets = np.arange(len(vectors)) if mapping is None else mapping
    sound = vectors.ndim == 2 and vectors.shape[1] > 0 and min(ids) == 0 and max(ids) < rows
    sound = sound and targets.ndim == 1 and 0 <= targets.min() <= targets.max() < len(vectors)
    sound = sound and (weights is None or weights.shape == (rows,))
    if not sound or not all(np.isfinite(each).all() for each in (vectors, *tensors.values())):
        raise ValueError("tensors do not fit the tokenizer, or hold NaN or infinity")
    return model


def _means(model: Any, ids: NDArray[np.int64], starts: NDArray[np.int64]) -> Vectors:
    """Return the mean token vector of each text; the tokens of text i are ``ids[starts[i] : starts[i + 1]]``."""
    factors = np.ones(len(ids), dtype=np.float32) if model.weights is None else model.weights[ids]
    rows = ids if model.token_mapping is None else model.token_mapping[ids]
    matrix = scipy.sparse.csr_matrix((factors, rows, starts), shape=(len(starts) - 1, len(model.embedding)))
    means: Vectors = matrix @ model.embedding / np.maximum(np.diff(starts), 1, dtype=np.float32)[:, None]
    return means


_PER_CHARACTER = frozenset({"BertNormalizer", "Lowercase", "NFC", "NFD", "NFKC", "NFKD", "StripAccents"})
_AT_SPACES = frozenset({"BertPreTokenizer", "Whitespace", "WhitespaceSplit"})
_MOST_WORDS = 200_000
"""The number of words whose tokens are cached."""


def is_wordwise(tokenizer: Any) -> bool:
    """Return whether an ASCII text can be tokenized word by word with the same result.

    Parameters
    ----------
    tokenizer : dict
        The content of a tokenizer.json.
    """
    normalizers = _steps(tokenizer.get("normalizer"), "normalizers")
    pretokenizers = _steps(tokenizer.get("pre_tokenizer"), "pretokenizers")
    added = tokenizer.get("added_tokens") or []
    return (
        all(step["type"] in _PER_CHARACTER for step in normalizers)
        and bool(pretokenizers)
        and pretokenizers[0]["type"] in _AT_SPACES
        and all(step["type"] in _AT_SPACES | {"Digits", "Punctuation"} for step in pretokenizers)
        and not any(" " in each["content"] or each["lstrip"] or each["rstrip"] for each in added)
    )


class Tokens:
    """The tokens of texts, joined from the tokens of their words, each of which is tokenized once.

    Texts share most of their words, so looking them up is several times as fast as tokenizing the texts.

    Parameters
    ----------
    model : StaticModel
        The model whose tokenizer is used.
    by_word : bool
        Whether its tokenizer `is_wordwise`; otherwise each text is tokenized as a whole.
    """

    def __init__(self, model: Any, by_word: bool) -> None:
        self.model, self.by_word = model, by_word
        self.known: dict[str, list[int]] = {}

    def __call__(self, texts: list[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the tokens of all texts, and the start of each text in them, followed by their number."""
        longest = self.model.max_length if self.by_word else -1  # in characters, so that no text is truncated
        plain = [len(text) <= longest and text.isascii() and text.isprintable() for text in texts]
        parts = [text.split() if simple else [text] for text, simple in zip(texts, plain, strict=True)]
        known = self.known
        fresh = [part for part in dict.fromkeys(chain.from_iterable(parts)) if part not in known]
        most = self.model.max_length * self.model.median_token_length
        found = dict(zip(fresh, self.model.tokenize([part[:most] for part in fresh]), strict=True))
        whole = {text for text, simple in zip(texts, plain, strict=True) if not simple}
        known.update((part, ids) for part, ids in found.items() if part not in whole)
        tokens = [
            list(chain.from_iterable(map(known.__getitem__, words))) if simple else found[words[0]]
            for words, simple in zip(parts, plain, strict=True)
        ]
        if len(known) > _MOST_WORDS:
            self.known = {}  # replaced rather than cleared, since other threads may use it
        starts = np.append(0, np.cumsum(list(map(len, tokens)), dtype=np.int64))
        return np.fromiter(chain.from_iterable(tokens), dtype=np.int64, count=starts[-1]), starts


_GROWTH = {"BertNormalizer": 3, "ByteLevel": 4, "Lowercase": 2, "NFC": 3, "NFD": 4, "NFKC": 18, "NFKD": 18}
"""The factor by which normalizer steps can lengthen a text at most, in characters; other steps do not lengthen
it.
"""


def _steps(step: Any, inside: str) -> list[Any]:
    """Return the steps of a normalizer or pre-tokenizer in order, with nested sequences flattened."""
    if step is None or step["type"] != "Sequence":
        return [step] if step else []
    return [one for inner in step[inside] for one in _steps(inner, inside)]


def _check_growth(normalizer: Any) -> None:
    """Raise ValueError for a normalizer that can make texts more than a thousand times as long.

    From the last step to the first, the length that a character can reach in the remaining steps is computed.
    """
    of_character: dict[str, int] = {}
    of_others = 1
    for step in reversed(_steps(normalizer, "normalizers")):
        inserted = sum(of_character.get(one, of_others) for one in step.get("content", step.get("prepend", "")))
        if literal := step.get("pattern", {}).get("String"):
            of_character |= {one: max(inserted, of_character.get(one, of_others)) for one in literal}
        else:  # a regular expression can match between any two characters
            factor, charsmap = _GROWTH.get(step["type"], 1), b64decode(step.get("precompiled_charsmap") or "")
            if charsmap:  # the size of a trie, the trie, and zero-terminated replacements
                factor = max(map(len, charsmap[4 + int.from_bytes(charsmap[:4], "little") :].split(b"\0")))
            of_others = inserted + factor * max(of_others, *of_character.values(), 0)
            of_character = {}
        if max(inserted, of_others) > 1000:
            raise ValueError("its normalizer makes texts a thousand times as long")
