"""The same few texts in either library, and a KimCNN over them that is trained in a moment."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from smalltext_core import TextDataset
from smalltext_kimcnn import KimCNNClassifier

TEXTS = [f"{word} {thing}" for word in ("good", "bad") for thing in ("film", "plot")] * 5
LABELS = [1, 1, 0, 0] * 5
_WORDS = ["<pad>", "<unk>", "good", "bad", "film", "plot"]


class Vocabulary:
    """What small-text asks of a vocabulary."""

    def __init__(self) -> None:
        self.itos = _WORDS
        self.stoi = {word: number for number, word in enumerate(_WORDS)}

    def __len__(self) -> int:
        return len(_WORDS)


def of_words(labels: list[Any] | None = None, multi_label: bool = False, num_classes: int = 2) -> Any:
    """Return the texts as small-text's KimCNN takes them."""
    import small_text

    vocabulary = Vocabulary()
    rows = [
        (torch.LongTensor([vocabulary.stoi[word] for word in text.split()]), label)
        for text, label in zip(TEXTS, LABELS if labels is None else labels, strict=True)
    ]
    return small_text.PytorchTextClassificationDataset(
        rows, vocabulary, multi_label=multi_label, target_labels=np.arange(num_classes)
    )


def kimcnn(num_classes: int = 2, **parameters: Any) -> Any:
    """Return an unfitted KimCNN of small-text."""
    import small_text

    matrix = torch.rand(len(_WORDS), 16, generator=torch.Generator().manual_seed(0))
    quick = {
        "embedding_matrix": matrix,
        "device": "cpu",
        "verbosity": small_text.VERBOSITY_QUIET,
        "num_epochs": 1,
        "max_seq_len": 10,
        "out_channels": 4,
    }
    return small_text.KimCNNClassifier(num_classes, **{**quick, **parameters})


def our_texts(y: Any = LABELS) -> TextDataset:
    return TextDataset(TEXTS, y)


def our_kimcnn(**parameters: Any) -> KimCNNClassifier:
    quick = {"num_epochs": 1, "embedding_dim": 16, "max_seq_len": 10, "out_channels": 4, "seed": 1}
    return KimCNNClassifier(2, **{**quick, **parameters})
