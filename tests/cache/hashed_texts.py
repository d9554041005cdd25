"""A fast encoder that records the texts that it encodes."""

from __future__ import annotations

import hashlib

import numpy as np


class HashedTexts:
    """The bytes of a hash of each text."""

    def __init__(self, name: str, dimensions: int = 8) -> None:
        self.fingerprint = hashlib.sha256(name.encode()).hexdigest()
        self.dimensions = dimensions
        self.texts: list[str] = []

    def embed(self, texts: list[str]) -> np.ndarray:
        self.texts += texts
        hashes = b"".join(hashlib.sha256(text.encode()).digest() for text in texts)
        vectors = np.frombuffer(hashes, dtype=np.uint8).reshape(len(texts), -1)
        return vectors[:, : self.dimensions].astype(np.float32)
