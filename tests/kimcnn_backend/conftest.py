import numpy as np
import pytest

from smalltext_core import TextDataset, list_to_csr
from smalltext_kimcnn import KimCNNClassifier

FILM = ["a fine film", "fine acting and a fine plot", "so dull", "a dull film with dull acting , so dull"] * 6
LABELS = [1, 1, 0, 0] * 6
QUICK = {"num_epochs": 2, "embedding_dim": 8, "out_channels": 4, "seed": 1}
"""Parameters of a classifier that is trained quickly."""


@pytest.fixture
def films():
    return TextDataset(FILM, LABELS)


@pytest.fixture
def labelled_twice():
    return TextDataset(FILM, list_to_csr([[1], [0, 1], [], [0]] * 6, num_classes=2))


@pytest.fixture(scope="session")
def fitted():
    """A fitted classifier; no test may change it."""
    return KimCNNClassifier(2, **QUICK).fit(TextDataset(FILM, LABELS))


@pytest.fixture(scope="session")
def learned():
    """A fitted classifier of three classes with high accuracy; no test may change it."""
    words = ["red", "green", "blue"]
    rng = np.random.default_rng(0)
    y = rng.integers(3, size=120)
    texts = [f"the {words[label]} one of {rng.integers(9)}" for label in y]
    return KimCNNClassifier(3, embedding_dim=20, out_channels=10, lr=0.005, seed=1).fit(TextDataset(texts, y))
