"""The initial values of word vectors that are learned from scratch: random, or with latent semantic analysis.

Latent semantic analysis (Deerwester et al. 1990, https://doi.org/10.1002/(SICI)1097-4571(199009)41:6%3C391::AID-ASI1%3E3.0.CO;2-9)
assigns similar vectors to words that occur in the same training texts. A network that starts with such vectors
generalizes from a word to other words of the same topic.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from smalltext_kimcnn.vocabulary import Vocabulary
from smalltext_torch.batching import Ragged

EmbeddingInit: TypeAlias = Literal["random", "lsa"]

RANDOM_RANGE = 0.25
"""Without pretrained vectors, word vectors are drawn from [-0.25, 0.25], as in Kim (2014)."""

_MIN_TEXTS, _RANK = 2, 64
"""The minimum number of texts of a word for the analysis, and the number of singular vectors."""

_LSA_SHARE = 0.7
"""The weight of the vectors of latent semantic analysis in a mixture of the same variance as the random ones."""

_OVERSAMPLING, _POWER_ITERATIONS = 10, 4
"""The usual settings of a randomized singular value decomposition."""


def random_vectors(
    vocabulary: Vocabulary, dimensions: int, a: float, generator: np.random.Generator
) -> NDArray[np.float32]:
    """Draw word vectors uniformly from [-a, a], shape (words, dimensions); the vector of the padding is zero."""
    matrix = generator.random((len(vocabulary), dimensions), dtype=np.float32)
    matrix *= 2 * a
    matrix -= a
    matrix[vocabulary.padding_idx] = 0
    return matrix


def mix_with_lsa(matrix: NDArray[np.float32], texts: Ragged, generator: np.random.Generator) -> None:
    """Mix vectors of latent semantic analysis into random ones, in place.

    Words of a single text keep their random vectors: all of them would get the same vector.

    Parameters
    ----------
    matrix : ndarray of float32, shape (words, dimensions)
        Random word vectors.
    texts : Ragged
        The token ids of the training texts.
    generator : Generator
        The source of the random projection to the dimensions of `matrix`.
    """
    ones, shape = np.ones(len(texts.tokens), dtype=np.float32), (len(texts), len(matrix))
    counts = csr_matrix((ones, texts.tokens, texts.offsets), shape=shape, copy=True)
    counts.sum_duplicates()  # in place
    texts_of_word = np.bincount(counts.indices, minlength=len(matrix))
    frequent = np.flatnonzero(texts_of_word >= _MIN_TEXTS)
    if len(frequent) == 0:
        return
    _weigh(counts, texts_of_word)
    semantics = _left_singular_vectors(csr_matrix(counts[:, frequent].T), generator)
    semantics = semantics @ generator.standard_normal((semantics.shape[1], matrix.shape[1]), dtype=np.float32)
    semantics *= _LSA_SHARE * RANDOM_RANGE / np.sqrt(3) / semantics.std()
    matrix[frequent] = np.sqrt(1 - _LSA_SHARE**2) * matrix[frequent] + semantics


def _weigh(counts: csr_matrix, texts_of_word: NDArray[np.intp]) -> None:
    """Convert counts to TF-IDF in place, with L2 normalization per text."""
    idf = (np.log((1 + counts.shape[0]) / (1 + texts_of_word)) + 1).astype(np.float32)
    counts.data = (np.log(counts.data) + 1) * idf[counts.indices]
    squares = np.asarray(counts.multiply(counts).sum(axis=1)).ravel()
    counts.data /= np.repeat(np.sqrt(squares), np.diff(counts.indptr))


def _left_singular_vectors(matrix: csr_matrix, generator: np.random.Generator) -> NDArray[np.float32]:
    """Return the rows of a matrix in the space of its leading singular vectors, scaled to unit length.

    The decomposition is randomized (Halko et al. 2011, https://arxiv.org/abs/0909.4061).
    """
    rank = min(_RANK, *matrix.shape)
    columns = min(rank + _OVERSAMPLING, *matrix.shape)
    basis = matrix @ generator.standard_normal((matrix.shape[1], columns), dtype=np.float32)
    for _ in range(_POWER_ITERATIONS):
        basis = matrix @ (matrix.T @ np.linalg.qr(basis)[0])
    basis = np.linalg.qr(basis)[0]
    left, values, _ = np.linalg.svd((matrix.T @ basis).T, full_matrices=False)
    scores = basis @ (left * values)[:, :rank]
    lengths = np.linalg.norm(scores, axis=1, keepdims=True)
    return np.asarray(scores / np.maximum(lengths, np.finfo(np.float32).tiny), dtype=np.float32)
