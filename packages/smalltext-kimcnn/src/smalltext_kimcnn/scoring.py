"""Pooled features of many texts, fast: a convolution over word vectors is a sum of rows of a table.

What a filter answers to a window is a sum over the window's positions, of a number that depends on the word at
that position alone. So for each kernel height these numbers are computed once for every word that occurs (a table
of words x positions x filters), and a window's answers are gathered and added up. Many texts have few words.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional

from smalltext_kimcnn.network import KimCNN
from smalltext_torch.batching import Ragged, prediction_batches

_TEXTS_AT_ONCE = 16_384
_TOKENS_AT_ONCE = 2_048
_NUMBERS_IN_TABLE = 2**22
"""How large a table may be: 16 MiB of float32. Filters are taken in groups that keep within it."""
_WORDS_AT_ONCE = 2_048


def pooled_features(network: KimCNN, texts: Ragged) -> Iterator[tuple[slice, Tensor]]:
    """Yield what `KimCNN.pool` gives for texts, up to rounding, for some thousands of them at a time.

    To be called in inference mode.

    Yields
    ------
    rows : slice
        Which of the texts these are.
    pooled : Tensor, shape (rows, channels)
    """
    for start in range(0, len(texts), _TEXTS_AT_ONCE):
        stop = min(start + _TEXTS_AT_ONCE, len(texts))
        yield slice(start, stop), _pool(network, texts.take(range(start, stop)))


def _pool(network: KimCNN, texts: Ragged) -> Tensor:
    device = network.embedding.weight.device
    pooled = torch.empty(len(texts), network.last.in_features, device=device)
    batches = _batches(network, texts)
    if device.type == "cpu":
        _pool_by_tables(network, batches, pooled)
    else:  # Matrix products are next to free here, and the table would be a detour.
        for rows, ids in batches:
            pooled[rows.to(device)] = network.pool(ids.to(device))
    return pooled


def _batches(network: KimCNN, texts: Ragged) -> list[tuple[Tensor, Tensor]]:
    """Return texts of like length together: which ones, and their token ids."""
    texts = texts.truncated(network.room)
    widths = texts.lengths + max(network.kernel_heights)
    return [
        (torch.from_numpy(rows), torch.from_numpy(texts.padded(rows, network.padding_idx)[0]))
        for rows in prediction_batches(widths, _TOKENS_AT_ONCE)
    ]


def _pool_by_tables(network: KimCNN, batches: list[tuple[Tensor, Tensor]], pooled: Tensor) -> None:
    words, batches = _renumbered([(rows, network.framed(ids)) for rows, ids in batches], network)
    channel = 0
    for height, filters in zip(network.kernel_heights, network.filters, strict=True):
        assert isinstance(filters, nn.Linear)
        group = max(_NUMBERS_IN_TABLE // (height * len(words)), 8)
        weights = filters.weight.view(filters.out_features, height, -1).permute(1, 2, 0)
        for start in range(0, filters.out_features, group):
            table = _table(network, words, weights[:, :, start : start + group].contiguous())
            bias = filters.bias[start : start + group]
            columns = slice(channel + start, channel + start + len(bias))
            positions = torch.arange(height, dtype=torch.int32) * len(words)
            for rows, ids in batches:
                windows = (ids.unfold(1, height, 1) + positions).reshape(-1, height)
                answers = functional.embedding_bag(windows, table, mode="sum").view(len(rows), -1, len(bias))
                pooled[rows, columns] = functional.relu(answers.amax(dim=1) + bias)
        channel += filters.out_features


def _renumbered(
    batches: list[tuple[Tensor, Tensor]], network: KimCNN
) -> tuple[Tensor, list[tuple[Tensor, Tensor]]]:
    """Return the words that occur, and the batches with these words numbered from 0."""
    occurs = torch.zeros(network.vocabulary_size, dtype=torch.bool)
    for _, ids in batches:
        occurs[ids] = True
    numbers = occurs.cumsum(0, dtype=torch.int32) - 1
    return occurs.nonzero().view(-1), [(rows, numbers[ids]) for rows, ids in batches]


def _table(network: KimCNN, words: Tensor, weights: Tensor) -> Tensor:
    """Multiply the words' vectors by the weights of each position.

    Parameters
    ----------
    network : KimCNN
    words : Tensor of int, shape (n,)
    weights : Tensor, shape (positions, dimensions, filters)

    Returns
    -------
    Tensor, shape (positions * n, filters)
        Word i at position j is row ``j * n + i``.
    """
    table = torch.empty(len(weights), len(words), weights.shape[2])
    for start in range(0, len(words), _WORDS_AT_ONCE):
        some = network.vectors(words[start : start + _WORDS_AT_ONCE])
        for position, weight in enumerate(weights):
            torch.mm(some, weight, out=table[position, start : start + len(some)])
    return table.flatten(0, 1)
