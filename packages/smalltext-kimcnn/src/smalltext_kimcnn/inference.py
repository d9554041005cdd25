"""Inference with KimCNN: a convolution over word vectors as a sum of rows of a table.

The output of a filter for a window is a sum over the positions of the window, and each term depends only on the
word at that position. Therefore the terms of each kernel height are computed once for every distinct word (a table
of words x positions x filters) and summed for each window. Even many texts have few distinct words.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from smalltext_core.probabilities import Probabilities
from smalltext_kimcnn.network import KimCNN
from smalltext_torch.batching import Ragged, prediction_batches
from smalltext_torch.device import Precision, TorchRandomness, inference
from smalltext_torch.inference import Loss
from smalltext_torch.progress import progress_bar

EmbeddingMethod = Literal["pooled", "gradient"]

_NUMBERS_AT_ONCE = 1 << 20
"""The maximum number of features or gradients that are computed at once."""

_TEXTS_AT_ONCE = 16_384
_TOKENS_AT_ONCE = 512
_NUMBERS_IN_TABLE = 2**20
"""The maximum size of a table, 4 MiB of float32, or the size of the results if that is larger. Filters are
processed in groups within this limit."""
_WORDS_AT_ONCE = 1_024


@dataclass(frozen=True)
class TableInference:
    """The inference strategy of `KimCNNClassifier`: pooled features are computed with tables.

    Dropout is applied after pooling, so the features are computed once for all dropout samples.
    """

    network: KimCNN
    loss: Loss
    texts: Ragged
    description: str | None = "predict"

    def probabilities(self) -> Probabilities:
        """Return the probability of each class for each text, float32, shape (n, num_classes)."""
        network = self.network
        proba = np.empty((len(self.texts), network.last.out_features), dtype=np.float32)
        with inference(network, self._precision):
            for rows, pooled in self._pooled(network.last.in_features):
                proba[rows] = self.loss.probabilities(network.last(pooled)).cpu().numpy()
        return proba

    def sampled_probabilities(self, samples: int, randomness: TorchRandomness) -> NDArray[np.float32]:
        """Return samples of the probabilities under dropout, float32, shape (n, samples, num_classes)."""
        network, last = self.network, self.network.last
        proba = np.empty((len(self.texts), samples, last.out_features), dtype=np.float32)
        with inference(network, self._precision):
            for rows, pooled in self._pooled(samples * last.in_features):
                with randomness.as_global():
                    repeated = pooled.repeat_interleave(samples, 0)
                    dropped = functional.dropout(repeated, network.dropout.p, inplace=True)
                drawn = self.loss.probabilities(last(dropped)).cpu().numpy()
                proba[rows] = drawn.reshape(-1, samples, last.out_features)
        return proba

    def embeddings(self, method: EmbeddingMethod) -> tuple[NDArray[np.float32], Probabilities]:
        """Return the embeddings of the texts, shape (n, width), and their probabilities."""
        network = self.network
        width = network.last.in_features * (network.last.out_features**2 if method == "gradient" else 1)
        embeddings = np.empty((len(self.texts), width), dtype=np.float32)
        proba = np.empty((len(self.texts), network.last.out_features), dtype=np.float32)
        with inference(network, self._precision):
            for rows, pooled in self._pooled(width):
                logits = network.last(pooled)
                proba[rows] = self.loss.probabilities(logits).cpu().numpy()
                if method == "gradient":
                    pooled = last_layer_gradients(pooled, logits, multi_label=self.loss.multi_label)
                embeddings[rows] = pooled.cpu().numpy()
        return embeddings, proba

    @property
    def _precision(self) -> Precision:
        return Precision(self.network.embedding.weight.device)

    def _pooled(self, width: int) -> Iterator[tuple[slice, Tensor]]:
        """Yield the pooled features of chunks of texts; the caller computes `width` numbers for each text."""
        at_once = max(_NUMBERS_AT_ONCE // width, 1)
        with progress_bar(len(self.texts), self.description, "text") as bar:
            for rows, pooled in pooled_features(self.network, self.texts):
                for start in range(rows.start, rows.stop, at_once):
                    some = slice(start, min(start + at_once, rows.stop))
                    yield some, pooled[some.start - rows.start : some.stop - rows.start]
                bar.update(rows.stop - rows.start)


def pooled_features(network: KimCNN, texts: Ragged) -> Iterator[tuple[slice, Tensor]]:
    """Yield the features of `KimCNN.pool`, up to rounding, for some thousands of texts at a time.

    Call it in inference mode.

    Yields
    ------
    rows : slice
        The rows of the texts.
    pooled : Tensor, shape (rows, channels)
    """
    for start in range(0, len(texts), _TEXTS_AT_ONCE):
        stop = min(start + _TEXTS_AT_ONCE, len(texts))
        yield slice(start, stop), _pool(network, texts.take(range(start, stop)))


def _pool(network: KimCNN, texts: Ragged) -> Tensor:
    device = network.embedding.weight.device
    pooled = torch.empty(len(texts), network.last.in_features, dtype=torch.float32, device=device)
    batches = _batches(network, texts)
    if device.type == "cpu":
        _pool_by_tables(network, batches, pooled)
    else:  # Matrix products are fast here, so a table saves no time.
        for rows, ids in batches:
            pooled[rows.to(device)] = network.pool(ids.to(device))
    return pooled


def _batches(network: KimCNN, texts: Ragged) -> list[tuple[Tensor, Tensor]]:
    """Return batches of texts of similar length: their rows and their token ids."""
    texts = texts.truncated(network.max_tokens)
    widths = texts.lengths + max(network.kernel_heights)
    return [
        (torch.from_numpy(rows), torch.from_numpy(texts.padded(rows, network.padding_idx)[0]))
        for rows in prediction_batches(widths, _TOKENS_AT_ONCE)
    ]


def _pool_by_tables(network: KimCNN, batches: list[tuple[Tensor, Tensor]], pooled: Tensor) -> None:
    words, batches = _renumbered([(rows, network.framed(ids)) for rows, ids in batches], network)
    channels = pooled.chunk(len(network.kernel_heights), dim=1)
    for height, filters, columns in zip(network.kernel_heights, network.filters, channels, strict=True):
        assert isinstance(filters, nn.Linear)
        weights = filters.weight.view(filters.out_features, height, -1).permute(1, 2, 0)
        group = max(max(_NUMBERS_IN_TABLE, pooled.numel()) // (height * len(words)), 8)
        for start in range(0, filters.out_features, group):
            some = slice(start, start + group)
            table = _Table.of(network, words, weights[:, :, some].contiguous())
            table.write_maxima(batches, filters.bias[some], columns[:, some])
            del table  # Two would take too much memory.


def _renumbered(
    batches: list[tuple[Tensor, Tensor]], network: KimCNN
) -> tuple[Tensor, list[tuple[Tensor, Tensor]]]:
    """Return the words that occur in batches, and the batches with these words renumbered from 0."""
    occurs = torch.zeros(network.vocabulary_size, dtype=torch.bool)
    for _, ids in batches:
        occurs[ids] = True
    numbers = occurs.cumsum(0, dtype=torch.int32) - 1
    return occurs.nonzero().view(-1), [(rows, numbers[ids]) for rows, ids in batches]


@dataclass(frozen=True)
class _Table:
    """The output of filters for each word at each position of a window.

    Word i at position j is row ``first_rows[j] + i`` of `numbers`, shape (positions * words, filters).
    """

    numbers: Tensor
    first_rows: Tensor

    @classmethod
    def of(cls, network: KimCNN, words: Tensor, weights: Tensor) -> _Table:
        """Multiply the vectors of words by weights of shape (positions, dimensions, filters)."""
        numbers = torch.empty(len(weights), len(words), weights.shape[2], dtype=torch.float32)
        for start in range(0, len(words), _WORDS_AT_ONCE):
            vectors = network.vectors(words[start : start + _WORDS_AT_ONCE])
            for position, weight in enumerate(weights):
                torch.mm(vectors, weight, out=numbers[position, start : start + len(vectors)])
        return cls(numbers.flatten(0, 1), torch.arange(len(weights), dtype=torch.int32) * len(words))

    def write_maxima(self, batches: list[tuple[Tensor, Tensor]], bias: Tensor, out: Tensor) -> None:
        """Write the maximum of each filter over all windows to the rows of `out` that belong to a batch."""
        height = len(self.first_rows)
        for rows, ids in batches:
            windows = (ids.unfold(1, height, 1) + self.first_rows).reshape(-1, height)
            outputs = functional.embedding_bag(windows, self.numbers, mode="sum").view(len(rows), -1, len(bias))
            out[rows] = functional.relu(outputs.amax(dim=1) + bias)


def last_layer_gradients(pooled: Tensor, logits: Tensor, *, multi_label: bool) -> Tensor:
    """Return the gradients of the loss with respect to the weights of the last layer, for each class as the label.

    The loss is cross-entropy or, if multi-label, the mean binary cross-entropy with one class as the only label.
    Its gradient with respect to the logits is the predicted minus the assumed probability; the gradient with
    respect to the weights is the outer product of that and the layer's input.

    Parameters
    ----------
    pooled : Tensor, shape (n, features)
        The input of the last layer.
    logits : Tensor, shape (n, num_classes)
        The output of the last layer.
    multi_label : bool

    Returns
    -------
    Tensor, shape (n, num_classes * num_classes * features)
        For each class as the label, the gradient with respect to the weight matrix, row by row.

    Examples
    --------
    >>> last_layer_gradients(torch.tensor([[2.0]]), torch.zeros(1, 2), multi_label=False).tolist()
    [[-1.0, 1.0, 1.0, -1.0]]
    """
    classes = logits.shape[1]
    predicted = logits.sigmoid() / classes if multi_label else functional.softmax(logits, dim=1)
    supposed = torch.eye(classes, device=logits.device) / (classes if multi_label else 1)
    by_logits = predicted.unsqueeze(1) - supposed
    return torch.einsum("nkc,nf->nkcf", by_logits, pooled).flatten(1)
