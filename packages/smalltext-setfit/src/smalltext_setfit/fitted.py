"""What training makes, and the embeddings that are kept of it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from smalltext_core.label_names import LabelNames
from smalltext_setfit.keywords import HeadTraining
from smalltext_setfit.sentence_encoder import SentenceClassifier
from smalltext_setfit.text_encoder import TextEncoder
from smalltext_torch.losses import Loss


@dataclass(frozen=True)
class KnownEmbeddings:
    """Embeddings of texts that a head was fitted with, to fit another one with.

    Parameters
    ----------
    rows : dict of str to int
        Where the embedding of each text is.
    embeddings : ndarray of float32, shape (n, dimensions)
    """

    rows: dict[str, int]
    embeddings: NDArray[np.float32]

    @classmethod
    def of(cls, texts: list[str], embeddings: NDArray[np.float32]) -> KnownEmbeddings:
        """Return the embeddings of different texts."""
        return cls({text: row for row, text in enumerate(texts)}, embeddings)

    def missing(self, texts: list[str]) -> NDArray[np.intp]:
        """Return which texts have no embedding here."""
        return np.array([number for number, text in enumerate(texts) if text not in self.rows], dtype=np.intp)

    def extended(self, texts: list[str], embeddings: NDArray[np.float32]) -> KnownEmbeddings:
        """Return these and those of further texts."""
        rows = {**self.rows, **{text: len(self.rows) + number for number, text in enumerate(texts)}}
        return KnownEmbeddings(rows, np.concatenate([self.embeddings, embeddings]))

    def take(self, texts: list[str]) -> NDArray[np.float32]:
        """Return the embeddings of texts."""
        found: NDArray[np.float32] = self.embeddings[[self.rows[text] for text in texts]]
        return found


@dataclass(frozen=True)
class Fitted:
    """What training makes.

    Parameters
    ----------
    encoder : TextEncoder
    network : SentenceClassifier
        Predictions are made in evaluation mode, whatever mode it is in.
    loss : Loss
    label_names : LabelNames or None
    known : KnownEmbeddings
    head_training : HeadTraining
        How the head was trained, and further ones are.
    """

    encoder: TextEncoder
    network: SentenceClassifier
    loss: Loss
    label_names: LabelNames | None
    known: KnownEmbeddings = field(repr=False)
    head_training: HeadTraining

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return next(iter(self.network.parameters())).device
