"""The convolutional network of Kim (2014), and the initial values of word vectors that are learned from scratch.

Yoon Kim, "Convolutional Neural Networks for Sentence Classification", EMNLP 2014,
https://aclanthology.org/D14-1181.

Word vectors are random, or mixed with those of a latent semantic analysis (Deerwester et al. 1990,
https://doi.org/10.1002/(SICI)1097-4571(199009)41:6%3C391::AID-ASI1%3E3.0.CO;2-9), which assigns similar vectors to
words that occur in the same training texts. The network then generalizes from a word to others of the same topic.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from torch import Tensor, nn
from torch.nn import functional

from smalltext_kimcnn.vocabulary import Vocabulary
from smalltext_torch.batching import Ragged

if TYPE_CHECKING:
    from typing_extensions import Self

EmbeddingInit: TypeAlias = Literal["random", "lsa"]

RANDOM_RANGE = 0.25
"""Without pretrained vectors, word vectors are drawn from [-0.25, 0.25], as in Kim (2014)."""

_MIN_TEXTS, _RANK = 2, 64
"""The minimum number of texts of a word for the analysis, and the number of singular vectors."""

_LSA_SHARE = 0.7
"""The weight of the vectors of latent semantic analysis in a mixture of the same variance as the random ones."""

_OVERSAMPLING, _POWER_ITERATIONS = 10, 4
"""The usual settings of a randomized singular value decomposition."""

_ROUNDING = 1e-5
"""An upper bound of the relative rounding error in the length of a scaled row."""


class KimCNN(nn.Module):
    """Word embeddings, a convolution per kernel height, max-over-time pooling, dropout and a linear layer.

    Parameters
    ----------
    embedding_matrix : Tensor or ndarray of float, shape (words, dimensions)
        The initial word vectors. They are copied.
    num_classes : int
        The number of outputs. At least 1.
    max_seq_len : int, default=60
        The maximum number of tokens per text, including filter padding; longer texts are truncated.
    out_channels : int, default=100
        The number of filters of each height.
    kernel_heights : sequence of int, default=(3, 4, 5)
        The heights of the convolution kernels, in tokens.
    filter_padding : int, default=0
        The number of padding tokens before and after each text, which count towards `max_seq_len`.
    padding_idx : int, default=0
        The token id of the padding, whose vector is not trained.
    dropout : float, default=0.5
        The dropout probability of the pooled features in training.
    static : bool, default=False
        Whether the word vectors are frozen.
    max_norm : float or None, default=3.0
        The maximum L2 norm of a row of the last layer in training; None for no maximum.
    further_vectors : Tensor, shape (further words, dimensions), optional
        Frozen vectors of words that occur in no training text. Their token ids follow those of
        `embedding_matrix`. By default there are none.

    Examples
    --------
    >>> network = KimCNN(torch.rand(10, 4), num_classes=2).eval()
    >>> logits = network(torch.tensor([[5, 2, 7, 0], [3, 0, 0, 0]]))
    >>> logits.shape
    torch.Size([2, 2])
    >>> bool(torch.allclose(logits[1:], network(torch.tensor([[3]])), atol=1e-6))
    True
    """

    def __init__(
        self,
        embedding_matrix: Tensor | NDArray[np.floating[Any]],
        num_classes: int,
        *,
        max_seq_len: int = 60,
        out_channels: int = 100,
        kernel_heights: Sequence[int] = (3, 4, 5),
        filter_padding: int = 0,
        padding_idx: int = 0,
        dropout: float = 0.5,
        static: bool = False,
        max_norm: float | None = 3.0,
        further_vectors: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.max_seq_len = max_seq_len
        self.kernel_heights = tuple(kernel_heights)
        self.filter_padding = filter_padding
        self.max_norm = max_norm
        words, dimensions = embedding_matrix.shape
        self.embedding = nn.Embedding(
            words, dimensions, padding_idx, _weight=as_float32(embedding_matrix).detach().clone(), _freeze=static
        )
        self.further = None if further_vectors is None else _frozen(further_vectors)
        self.filters = nn.ModuleList(
            nn.Linear(height * dimensions, out_channels) for height in self.kernel_heights
        )
        self.dropout = nn.Dropout(dropout)
        self.last = nn.Linear(out_channels * len(self.kernel_heights), num_classes)

    def forward(self, ids: Tensor) -> Tensor:
        """Compute the logits of texts.

        Parameters
        ----------
        ids : Tensor of int, shape (n, length)
            Token ids, padded on the right to a common length.

        Returns
        -------
        Tensor of float, shape (n, num_classes)
        """
        if self.training:
            self._constrain()
        logits: Tensor = self.last(self.dropout(self.pool(ids)))
        return logits

    def pool(self, ids: Tensor) -> Tensor:
        """Compute the features of texts: the maximum of each filter over all windows of the text.

        Parameters
        ----------
        ids : Tensor of int, shape (n, length)
            Token ids, padded on the right to a common length.

        Returns
        -------
        Tensor of float, shape (n, out_channels * len(kernel_heights))
        """
        words, places = torch.unique(self.framed(ids), return_inverse=True)
        vectors = self.vectors(words)
        pooled = []
        for height, filters in zip(self.kernel_heights, self.filters, strict=True):
            assert isinstance(filters, nn.Linear)
            largest: Tensor = _LargestSums.apply(  # type: ignore[no-untyped-call]
                vectors, filters.weight, places, height
            )
            # ReLU and maximum commute; ReLU after the maximum is faster.
            pooled.append(functional.relu(largest + filters.bias))
        return torch.cat(pooled, dim=1)

    def vectors(self, ids: Tensor) -> Tensor:
        """Look up the word vectors of token ids.

        Parameters
        ----------
        ids : Tensor of int, any shape
            Token ids, from 0 to below `vocabulary_size`.

        Returns
        -------
        Tensor of float, shape (*ids.shape, dimensions)
        """
        trained = self.embedding.num_embeddings
        if self.further is None:
            vectors: Tensor = self.embedding(ids)
            return vectors
        known = self.embedding(ids.clamp(max=trained - 1))
        return torch.where((ids < trained).unsqueeze(-1), known, self.further((ids - trained).clamp(min=0)))

    def framed(self, ids: Tensor) -> Tensor:
        """Truncate texts, and pad them with the minimum padding that does not change the outputs.

        The network is defined on texts padded to `max_seq_len`. Once a window covers only padding, more padding
        changes no maximum. The padding of the longest text is therefore limited to the height of the tallest
        kernel, and to `max_seq_len`.

        Parameters
        ----------
        ids : Tensor of int, shape (n, length)
            Token ids, padded on the right to a common length.

        Returns
        -------
        Tensor of int, shape (n, width)
            Token ids, with `filter_padding` padding tokens on the left.
        """
        tallest = max(self.kernel_heights)
        ids = ids[:, : self.max_tokens]
        length = ids.shape[1] + self.filter_padding
        width = max(min(length + self.filter_padding + tallest, self.max_seq_len), tallest)
        return functional.pad(ids, (self.filter_padding, width - length), value=self.padding_idx)

    @property
    def max_tokens(self) -> int:
        """The maximum number of tokens per text."""
        return self.max_seq_len - 2 * self.filter_padding

    @property
    def vocabulary_size(self) -> int:
        """The number of words that have a vector."""
        return self.embedding.num_embeddings + (0 if self.further is None else self.further.num_embeddings)

    @property
    def padding_idx(self) -> int:
        """The token id of the padding."""
        assert self.embedding.padding_idx is not None
        return self.embedding.padding_idx

    def train(self, mode: bool = True) -> Self:
        """Switch between training and evaluation mode; evaluation starts with the norm constraint applied.

        Parameters
        ----------
        mode : bool, default=True
            True for training mode, False for evaluation mode.

        Returns
        -------
        Self
        """
        if self.training and not mode:
            self._constrain()
        return super().train(mode)

    @torch.no_grad()
    def _constrain(self) -> None:
        """Scale down the rows of the last layer that are longer than `max_norm` (Kim 2014, section 2.1).

        Rows that were scaled before do not change, so that a loaded network equals the saved one bit for bit.
        """
        if self.max_norm is not None:
            lengths = torch.linalg.vector_norm(self.last.weight, dim=1, keepdim=True)
            too_long = lengths > self.max_norm * (1 + _ROUNDING)
            self.last.weight.mul_(torch.where(too_long, self.max_norm / lengths, 1.0))


def _frozen(vectors: Tensor) -> nn.Embedding:
    words, dimensions = vectors.shape
    return nn.Embedding(words, dimensions, _weight=vectors, _freeze=True)


class _LargestSums(torch.autograd.Function):
    """The maximum of each filter over the windows of a text, before bias and ReLU.

    The output of a filter for a window is a sum of terms, each of which depends on one word and its position in
    the window. One matrix product per position computes the terms of all distinct words; the backward pass needs
    only the terms of the maxima. This is several times as fast as conv2d with a kernel as wide as the vectors,
    especially on long texts.
    """

    @staticmethod
    def forward(ctx: Any, vectors: Tensor, weight: Tensor, places: Tensor, height: int) -> Tensor:
        """Return the maxima, shape (n, filters).

        The inputs are the word vectors (words, dimensions), the filter weights (filters, height * dimensions), and
        the number of the word at each position of each text, shape (n, length).
        """
        windows = places.shape[1] - height + 1
        at = weight.view(len(weight), height, -1)
        sums = functional.embedding(places[:, :windows], functional.linear(vectors, at[:, 0]))
        for position in range(1, height):
            terms = functional.linear(vectors, at[:, position])
            sums += functional.embedding(places[:, position : position + windows], terms)
        largest, where = sums.max(dim=1)
        ctx.save_for_backward(vectors, weight, places, where)
        ctx.height = height
        return largest

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor, None, None]:
        """Return the gradients with respect to the vectors, unless they are frozen, and the weights."""
        vectors, weight, places, where = ctx.saved_tensors
        gradient = gradient.to(vectors.dtype)
        at = weight.view(len(weight), ctx.height, -1)
        by_vectors = torch.zeros_like(vectors) if ctx.needs_input_grad[0] else None
        by_weight = torch.empty_like(at)
        for position in range(ctx.height):
            words = places.gather(1, where + position)
            if len(vectors) < gradient.numel():
                by_terms = gradient.new_zeros(len(vectors), len(weight)).scatter_add_(0, words, gradient)
                by_weight[:, position] = by_terms.T @ vectors
                if by_vectors is not None:
                    by_vectors.addmm_(by_terms, at[:, position])
            else:  # Most of the terms contribute to no maximum.
                by_weight[:, position] = torch.einsum("nf,nfd->fd", gradient, vectors[words])
                if by_vectors is not None:
                    of_words = gradient.unsqueeze(2) * at[:, position]
                    by_vectors.index_add_(0, words.flatten(), of_words.flatten(0, 1))
        return by_vectors, by_weight.view_as(weight), None, None


def as_float32(matrix: Tensor | NDArray[Any]) -> Tensor:
    """Return a matrix as a tensor of float32; torch reads neither reversed arrays nor all byte orders."""
    if isinstance(matrix, np.ndarray):
        with np.errstate(over="ignore"):  # a value beyond float32 becomes infinite
            return torch.as_tensor(np.ascontiguousarray(matrix, dtype=np.float32))
    return matrix.float()


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
