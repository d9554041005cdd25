"""Frozen encoders of texts with a linear head: the backend ``embeddings``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from smalltext_core.lazy_import import lazy_attributes

if TYPE_CHECKING:
    from smalltext_cache import CacheInfo
    from smalltext_embeddings.classifier import EmbeddingClassifier
    from smalltext_embeddings.dataset import EmbeddingDataset
    from smalltext_embeddings.encoder_choice import as_encoder
    from smalltext_embeddings.encoders import Encoder
    from smalltext_embeddings.factory import EmbeddingClassifierFactory, build

__version__ = "0.1.0"

__all__ = [
    "CacheInfo",
    "EmbeddingClassifier",
    "EmbeddingClassifierFactory",
    "EmbeddingDataset",
    "Encoder",
    "__version__",
    "as_encoder",
    "build",
]

__getattr__, __dir__ = lazy_attributes(
    __name__,
    {
        "classifier": ("CacheInfo", "EmbeddingClassifier"),
        "dataset": ("EmbeddingDataset",),
        "encoder_choice": ("as_encoder",),
        "encoders": ("Encoder",),
        "factory": ("EmbeddingClassifierFactory", "build"),
    },
)
