"""The smallest backend there can be: the mean of word vectors, dropout, a linear layer; and texts for it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from smalltext_core import Dataset, TextDataset, list_to_csr
from smalltext_core.errors import InvalidInputError
from smalltext_torch import Ragged, TorchClassifier

Vocabulary = dict[str, int]


class Bag(nn.Module):
    def __init__(self, words: int, num_classes: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(words, 16, padding_idx=0)
        self.dropout = nn.Dropout(0.2)
        self.linear = nn.Linear(16, num_classes)

    def forward(self, tokens: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        mean = self.embedding(tokens).sum(dim=1) / lengths.clamp(min=1)[:, None]
        logits: torch.Tensor = self.linear(self.dropout(mean))
        return logits


class BagOfEmbeddings(TorchClassifier[Vocabulary]):
    name = "bag"
    distribution = "smalltext-bag"
    version = "1.0"

    def __init__(self, num_classes: int, multi_label: bool = False, **parameters: Any) -> None:
        self.given = {"lr": 0.05, "num_epochs": 5, "mini_batch_size": 8, "seed": 1, **parameters}
        super().__init__(num_classes, multi_label, **self.given)

    def _make_encoder(self, train_set: Dataset[Any]) -> Vocabulary:
        words = sorted({word for text in train_set.x for word in text.split()})
        return {word: number for number, word in enumerate(words, start=2)}

    def _encode(self, encoder: Vocabulary, data_set: Dataset[Any]) -> Ragged:
        if not isinstance(data_set, TextDataset):
            raise InvalidInputError("data_set", type(data_set).__name__, "a TextDataset")
        return Ragged.from_sequences([[encoder.get(word, 1) for word in text.split()] for text in data_set.x])

    def _make_network(self, encoder: Vocabulary) -> nn.Module:
        return Bag(len(encoder) + 2, self.num_classes)

    def _save_encoder(self, encoder: Vocabulary, folder: Path) -> None:
        (folder / "vocabulary.json").write_text(json.dumps(encoder), encoding="utf-8")

    def _load_encoder(self, folder: Path) -> Vocabulary:
        vocabulary: Vocabulary = json.loads((folder / "vocabulary.json").read_text(encoding="utf-8"))
        return vocabulary

    def _saved_parameters(self) -> dict[str, Any]:
        return {"num_classes": self.num_classes, "multi_label": self.multi_label, **self.given}


class BagFactory:
    def __init__(self, num_classes: int, kwargs: Mapping[str, Any] | None = None) -> None:
        self.num_classes = num_classes
        self.kwargs = dict(kwargs or {})

    def new(self) -> BagOfEmbeddings:
        return BagOfEmbeddings(self.num_classes, **self.kwargs)


def some_texts(count: int = 60, num_classes: int = 3, seed: int = 0) -> TextDataset:
    """Return texts of 1 to 12 words, half of them words of the text's class alone."""
    random = np.random.default_rng(seed)
    y = np.arange(count) % num_classes
    return TextDataset([_text(random, label) for label in y], y)


def some_multi_label_texts(count: int = 60, num_classes: int = 3, seed: int = 0) -> TextDataset:
    single = some_texts(count, num_classes, seed)
    y = list_to_csr([[label] if label else [0, num_classes - 1] for label in single.y.tolist()], num_classes)
    return TextDataset(single.x, y)


def _text(random: np.random.Generator, label: int) -> str:
    words = random.integers(1, 13)
    return " ".join(random.choice([f"own{label}", f"word{random.integers(20)}"]) for _ in range(words))
