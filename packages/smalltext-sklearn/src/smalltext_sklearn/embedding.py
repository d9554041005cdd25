"""Features as vectors short enough to measure distances between texts."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, issparse
from sklearn.random_projection import SparseRandomProjection

DIMENSIONS = 512
"""The most numbers that a text's vector has."""


def dense_vectors(features: Any) -> NDArray[np.float32]:
    """Turn features into dense vectors of at most `DIMENSIONS` numbers.

    More features than that are projected onto random directions, which keeps the distances and angles between
    texts up to about 1 / sqrt(`DIMENSIONS`) of the product of their lengths (Li, Hastie and Church, 2006, "Very
    sparse random projections"). The directions follow from the number of features alone, so that the vectors of
    two calls can be compared.

    Parameters
    ----------
    features : ndarray or csr_matrix, shape (n, features)

    Returns
    -------
    ndarray of float32, shape (n, min(features, DIMENSIONS))
    """
    width = features.shape[1]
    if width > DIMENSIONS:
        projection = SparseRandomProjection(DIMENSIONS, random_state=0).fit(csr_matrix((1, width)))
        features = features @ projection.components_.T
    vectors: NDArray[np.float32] = np.asarray(
        features.toarray() if issparse(features) else features, dtype=np.float32
    )
    return vectors
