"""A cache of text embeddings by encoder and text, in memory and in a folder."""

from __future__ import annotations

from smalltext_cache.cache import CACHE_SIZE, CacheInfo, Embedder, EmbeddingCache, Vectors

__version__ = "0.1.0"

__all__ = ["CACHE_SIZE", "CacheInfo", "Embedder", "EmbeddingCache", "Vectors", "__version__"]
