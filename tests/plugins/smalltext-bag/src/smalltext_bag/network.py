"""The network: the mean of the word vectors of a text, dropout, and one linear layer."""

import torch
from torch import nn


class Bag(nn.Module):
    """A bag of embeddings.

    Parameters
    ----------
    words : int
        The number of words, including padding and the unknown word.
    num_classes : int
    dimensions : int
        The length of a word vector.
    dropout : float
        The dropout probability in training.
    """

    def __init__(
        self, words: int, num_classes: int, dimensions: int = 16, dropout: float = 0.2
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(words, dimensions, padding_idx=0)
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(dimensions, num_classes)

    def forward(self, tokens: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Return the logits, shape (texts, num_classes), of word numbers, shape (texts, longest)."""
        mean = self.embedding(tokens).sum(dim=1) / lengths.clamp(min=1)[:, None]
        logits: torch.Tensor = self.linear(self.dropout(mean))
        return logits
