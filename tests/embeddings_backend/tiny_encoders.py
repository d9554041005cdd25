"""Encoders that are created within milliseconds: a static model with random vectors, and a custom object."""

from __future__ import annotations

import hashlib
import tempfile
from functools import cache
from pathlib import Path

import numpy as np

from smalltext_testing import training_texts, unseen_texts


def write_static_model(folder: Path, dimensions: int = 32, seed: int = 0) -> Path:
    """Write a model in the format of model2vec, with a random vector for each word of the sample texts."""
    from model2vec import StaticModel
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

    texts = [*training_texts(8, multi_label=False).x, *unseen_texts(4).x]
    words = sorted({word for text in texts for word in text.lower().split()})
    tokenizer = Tokenizer(
        models.WordLevel({"[UNK]": 0, **{word: number + 1 for number, word in enumerate(words)}}, "[UNK]")
    )
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    vectors = np.random.default_rng(seed).normal(size=(len(words) + 1, dimensions)).astype(np.float32)
    StaticModel(vectors, tokenizer, normalize=True).save_pretrained(folder)
    return folder


@cache
def _home() -> tempfile.TemporaryDirectory:
    return tempfile.TemporaryDirectory(prefix="tiny-static-model-")


@cache
def tiny_static_model() -> str:
    """Return the folder of a tiny static model, which exists until the tests end."""
    return str(write_static_model(Path(_home().name, "model"), dimensions=8))


class HashedWords:
    """An object with `encode`, which returns the sum of a random sign vector for each word."""

    fingerprint = "hashed words"

    def __init__(self, dimensions: int = 64) -> None:
        self.dimensions = dimensions
        self.calls: list[list[str]] = []

    def encode(self, texts: list[str]) -> np.ndarray:
        self.calls.append(list(texts))
        vectors = np.zeros((len(texts), self.dimensions))
        for row, text in enumerate(texts):
            for word in text.lower().split():
                digest = hashlib.sha512(word.encode("utf-8", "surrogatepass")).digest()
                vectors[row] += np.unpackbits(np.frombuffer(digest, dtype=np.uint8))[: self.dimensions] * 2.0 - 1.0
        return vectors
