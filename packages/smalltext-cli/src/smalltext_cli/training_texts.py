"""Hashes of the training texts in a model folder, to recognise scores on texts that the model was trained on.

The file holds a line that names its format, 16 bytes of salt, and the first 8 bytes of the SHA-256 of the salt and
each normalised text, in ascending order. The salt depends on all texts, so that the file is deterministic.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from smalltext_cli.console import InputFileError
from smalltext_core.saving import Manifest

TRAINING_TEXTS = "training-texts.sha256"
"""The name of the hash file in a model folder."""

_MAGIC = b"smalltext training texts 1\n"
_SALT_BYTES = 16
_HASH_BYTES = 8


def normalised(text: str) -> str:
    """Return a text in composed Unicode form and lower case, with runs of whitespace replaced by one space.

    Examples
    --------
    >>> normalised(" Buy  NOW ")
    'buy now'
    """
    return " ".join(unicodedata.normalize("NFC", text).casefold().split())


@dataclass(frozen=True)
class TrainingTexts:
    """A set of hashes of texts.

    Parameters
    ----------
    salt : bytes
    hashes : ndarray of uint64
        Distinct hashes, in ascending order.

    Examples
    --------
    >>> known = TrainingTexts.of(["Buy now", "Lunch at one?"])
    >>> known.contain(["buy  now", "Lunch at two?"]).tolist()
    [True, False]
    """

    salt: bytes
    hashes: NDArray[np.uint64]

    @classmethod
    def of(cls, texts: Iterable[str]) -> TrainingTexts:
        """Hash texts."""
        different = sorted({normalised(text) for text in texts})
        salt = hashlib.sha256("\n".join(different).encode("utf-8", "surrogatepass")).digest()[:_SALT_BYTES]
        return cls(salt, np.unique(_hashes(different, salt)))

    @classmethod
    def from_model(cls, folder: str, manifest: Manifest) -> TrainingTexts | None:
        """Read the hashes in a model folder; None if there are none, as in models saved from Python.

        Raises
        ------
        InputFileError
            If the file does not contain hashes.
        """
        if TRAINING_TEXTS not in manifest.files:
            return None
        path = Path(folder, TRAINING_TEXTS)
        content = path.read_bytes()
        begin = len(_MAGIC) + _SALT_BYTES
        hashes = np.frombuffer(content[begin : begin + (len(content) - begin) // _HASH_BYTES * _HASH_BYTES], ">u8")
        is_whole = len(content) == begin + hashes.nbytes and content.startswith(_MAGIC)
        if not is_whole or not (hashes[1:] > hashes[:-1]).all():
            raise InputFileError(
                str(path), "this does not hold hashes of texts", "Train the model again to rewrite it."
            )
        return cls(content[len(_MAGIC) : begin], hashes.astype(np.uint64))

    def to_bytes(self) -> bytes:
        """Return the content of the file."""
        return _MAGIC + self.salt + self.hashes.astype(">u8").tobytes()

    def contain(self, texts: Sequence[str]) -> NDArray[np.bool_]:
        """Return which of the given texts are in the set."""
        return np.isin(_hashes([normalised(text) for text in texts], self.salt), self.hashes)


def _hashes(texts: Sequence[str], salt: bytes) -> NDArray[np.uint64]:
    """Return the first bytes of the hash of each text; texts from JSON may contain lone surrogates."""
    salted = hashlib.sha256(salt)
    found = bytearray()
    for text in texts:
        one = salted.copy()
        one.update(text.encode("utf-8", "surrogatepass"))
        found += one.digest()[:_HASH_BYTES]
    return np.frombuffer(bytes(found), ">u8").astype(np.uint64)
