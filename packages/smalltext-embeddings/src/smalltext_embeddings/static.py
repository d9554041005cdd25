"""Encoders that model2vec stores: the mean of the vectors of a text's tokens."""

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

_MOST_TOKENS, _BATCH = 512, 1024


class StaticEncoder(Encoder):
    """The mean of the vectors of a text's first 512 tokens, from a model that model2vec wrote.

    No file is executed: they hold tensors and a tokenizer, and of the configuration only ``max_length`` is used.
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
    """Return a model of model2vec, which cuts texts at `max_length`; any error means that a file is damaged."""
    from model2vec import StaticModel
    from safetensors.numpy import load
    from tokenizers import Tokenizer

    config, tensors = json.loads(bytes(content["config.json"])), load(bytes(content["model.safetensors"]))
    tokenizer = json.loads(bytes(content["tokenizer.json"]))
    # The library takes lists in place of objects, too; what it writes is in one form.
    bare = {"normalizer": tokenizer["normalizer"], "model": {"type": "WordLevel", "vocab": {}, "unk_token": ""}}
    _check_growth(json.loads(Tokenizer.from_str(json.dumps(bare)).to_str())["normalizer"])
    longest = config.get("max_length")
    longest = min(longest, _MOST_TOKENS) if type(longest) is int and longest > 0 else _MOST_TOKENS
    vectors = tensors["embeddings" if "embeddings" in tensors else "embedding.weight"].astype(np.float32)
    weights, mapping = tensors.get("weights"), tensors.get("mapping")
    read = Tokenizer.from_str(json.dumps(tokenizer))  # not the file, in which a key may be there twice
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
    """Return the means of the vectors of tokens, of which those of a text begin at one of `starts`."""
    factors = np.ones(len(ids), dtype=np.float32) if model.weights is None else model.weights[ids]
    rows = ids if model.token_mapping is None else model.token_mapping[ids]
    matrix = scipy.sparse.csr_matrix((factors, rows, starts), shape=(len(starts) - 1, len(model.embedding)))
    means: Vectors = matrix @ model.embedding / np.maximum(np.diff(starts), 1, dtype=np.float32)[:, None]
    return means


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
    """The tokens of texts, from those of their words, which are tokenized once.

    A text has the words of others, so that looking words up is several times as fast as tokenizing texts.

    Parameters
    ----------
    model : StaticModel
        What tokenizes.
    by_word : bool
        Whether its tokenizer `is_wordwise`; otherwise each text is tokenized as a whole.
    """

    def __init__(self, model: Any, by_word: bool) -> None:
        self.model, self.by_word = model, by_word
        self.known: dict[str, list[int]] = {}

    def __call__(self, texts: list[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the tokens of all texts, and where those of each one begin, and the last ones end."""
        longest = self.model.max_length if self.by_word else -1  # in characters, so that no text is cut
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
            self.known = {}  # not emptied, since other threads may be here
        starts = np.append(0, np.cumsum(list(map(len, tokens)), dtype=np.int64))
        return np.fromiter(chain.from_iterable(tokens), dtype=np.int64, count=starts[-1]), starts


_GROWTH = {"BertNormalizer": 3, "ByteLevel": 4, "Lowercase": 2, "NFC": 3, "NFD": 4, "NFKC": 18, "NFKD": 18}
"""By how many times the steps of normalizers make a text longer at most, in characters; others do not."""


def _steps(step: Any, inside: str) -> list[Any]:
    """Return the steps of a part of a tokenizer, in their order."""
    if step is None or step["type"] != "Sequence":
        return [step] if step else []
    return [one for inner in step[inside] for one in _steps(inner, inside)]


def _check_growth(normalizer: Any) -> None:
    """Raise ValueError for a normalizer that makes texts a thousand times as long.

    From the last step to the first, it is computed how long a character can become in the steps from there on.
    """
    of_character: dict[str, int] = {}
    of_others = 1
    for step in reversed(_steps(normalizer, "normalizers")):
        inserted = sum(of_character.get(one, of_others) for one in step.get("content", step.get("prepend", "")))
        if literal := step.get("pattern", {}).get("String"):
            of_character |= {one: max(inserted, of_character.get(one, of_others)) for one in literal}
        else:  # a regular expression can match between any two characters
            factor, charsmap = _GROWTH.get(step["type"], 1), b64decode(step.get("precompiled_charsmap") or "")
            if charsmap:  # the size of a trie, the trie, and replacements, each of which ends in a zero
                factor = max(map(len, charsmap[4 + int.from_bytes(charsmap[:4], "little") :].split(b"\0")))
            of_others = inserted + factor * max(of_others, *of_character.values(), 0)
            of_character = {}
        if max(inserted, of_others) > 1000:
            raise ValueError("its normalizer makes texts a thousand times as long")
