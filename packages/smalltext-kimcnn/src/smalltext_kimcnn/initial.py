"""Where word vectors come from before training: a matrix of the caller's, a file, or chance."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from smalltext_core.atomic import as_path
from smalltext_core.errors import InvalidInputError
from smalltext_kimcnn.encoder import Encoder
from smalltext_kimcnn.vectors import RANDOM_RANGE, Vectors, draw, read_vectors
from smalltext_kimcnn.vocabulary import Vocabulary


@dataclass(frozen=True)
class InitialVectors:
    """The vectors that a training begins with.

    Parameters
    ----------
    matrix : Tensor or ndarray, shape (words, dimensions), or None
        One row for each word of the training set's vocabulary.
    source : path, Vectors or None
        Words with their vectors. Where there is neither, vectors are drawn.
    dimensions : int
        The length of vectors that are drawn.
    """

    matrix: Tensor | NDArray[np.floating[Any]] | None
    source: str | Path | Vectors | None
    dimensions: int

    def encoder(self, vocabulary: Vocabulary) -> Encoder:
        """Return what texts are encoded with, given the vocabulary of the training set."""
        if self.matrix is not None:
            if len(self.matrix) != len(vocabulary):
                raise InvalidInputError(
                    "embedding_matrix",
                    f"{len(self.matrix)} rows",
                    f"one for each word of the training set's vocabulary, {len(vocabulary)}",
                )
            return Encoder(vocabulary, len(vocabulary), int(self.matrix.shape[1]))
        vectors = self._pretrained()
        if vectors is None:
            return Encoder(vocabulary, len(vocabulary), self.dimensions)
        return Encoder(vectors.extend(vocabulary), len(vocabulary), vectors.dimensions)

    def matrices(self, encoder: Encoder, generator: np.random.Generator) -> tuple[Tensor, Tensor | None]:
        """Return the vectors of the words that are trained, and of those that are not, if there are any."""
        if self.matrix is not None:
            return torch.as_tensor(self.matrix), None
        words = encoder.vocabulary.words
        padding, unknown = encoder.vocabulary.padding_idx, encoder.vocabulary.unknown_idx
        vectors = self._pretrained()
        if vectors is None:
            return torch.from_numpy(draw(len(words), self.dimensions, RANDOM_RANGE, padding, generator)), None
        trained = Vocabulary(words[: encoder.trained_words], padding, unknown)
        further = vectors.of(words[encoder.trained_words :])
        drawn = torch.from_numpy(vectors.lay_out(trained, generator))
        return drawn, torch.from_numpy(further) if len(further) else None

    def _pretrained(self) -> Vectors | None:
        if self.source is None or isinstance(self.source, Vectors):
            return self.source
        path = as_path(self.source, "embeddings")
        return _read_once(path, path.stat().st_mtime_ns if path.is_file() else 0)


@lru_cache(maxsize=1)
def _read_once(path: Path, _changed: int) -> Vectors:
    """Read vectors, once for all the classifiers that a factory makes."""
    return read_vectors(path)
