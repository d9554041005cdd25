"""The backend for the tests of smalltext-torch, tests/plugins/smalltext-bag, with quick training; and texts."""

from __future__ import annotations

from typing import Any

import numpy as np
from smalltext_bag import classifier

from smalltext_core import TextDataset, list_to_csr


class BagOfEmbeddings(classifier.BagOfEmbeddings):
    """With a seed, and five epochs."""

    def __init__(self, num_classes: int, multi_label: bool = False, **parameters: Any) -> None:
        super().__init__(num_classes, multi_label, **{"num_epochs": 5, "seed": 1, **parameters})


def some_texts(count: int = 60, num_classes: int = 3, seed: int = 0) -> TextDataset:
    """Return texts of 1 to 12 words, half of which occur only in texts of the same class."""
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
