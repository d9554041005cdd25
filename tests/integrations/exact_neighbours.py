"""Nearest neighbours by brute force, behind the part of hnswlib's interface that small-text calls.

hnswlib has no wheels for some Pythons; where it is missing, this takes its place in `sys.modules`, and the
strategies of small-text work the same, with exact neighbours.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


class Index:
    """An index over vectors, each under a number of the caller's."""

    def __init__(self, space: str, dim: int) -> None:
        if space not in ("l2", "ip", "cosine"):
            raise ValueError(f"unknown space {space!r}")
        self._space, self._dim = space, dim
        self._vectors = np.empty((0, dim), dtype=np.float32)
        self._numbers = np.empty(0, dtype=np.uint64)
        self._deleted: set[int] = set()

    def init_index(self, max_elements: int, ef_construction: int = 200, M: int = 16) -> None:  # noqa: N803
        self._capacity = max_elements

    def set_ef(self, ef: int) -> None:
        pass

    def add_items(self, data: ArrayLike, ids: ArrayLike) -> None:
        vectors = np.asarray(data, dtype=np.float32)
        if vectors.shape[1:] != (self._dim,) or len(self._numbers) + len(vectors) > self._capacity:
            raise RuntimeError("the vectors do not fit into the index")
        self._vectors = np.concatenate([self._vectors, vectors])
        self._numbers = np.concatenate([self._numbers, np.asarray(ids).astype(np.uint64)])

    def mark_deleted(self, number: int) -> None:
        if number not in self._numbers or number in self._deleted:
            raise RuntimeError(f"the index has no element {number}")
        self._deleted.add(int(number))

    def knn_query(self, data: ArrayLike, k: int = 1) -> tuple[NDArray[np.uint64], NDArray[np.float32]]:
        """Return the numbers and the distances of the `k` nearest vectors, each of shape (n, k)."""
        distances = self._distances(np.asarray(data, dtype=np.float32))
        distances[:, np.isin(self._numbers, sorted(self._deleted))] = np.inf
        if len(self._numbers) - len(self._deleted) < k:
            raise RuntimeError("the index has fewer elements than neighbours are wanted")
        nearest = np.argsort(distances, axis=1, kind="stable")[:, :k]
        return self._numbers[nearest], np.take_along_axis(distances, nearest, axis=1)

    def _distances(self, queries: NDArray[np.float32]) -> NDArray[np.float32]:
        if self._space == "l2":
            return ((queries[:, None, :] - self._vectors[None]) ** 2).sum(axis=-1)
        if self._space == "ip":
            return 1 - queries @ self._vectors.T
        lengths = np.linalg.norm(queries, axis=1)[:, None] * np.linalg.norm(self._vectors, axis=1)
        return 1 - queries @ self._vectors.T / np.maximum(lengths, 1e-30)
