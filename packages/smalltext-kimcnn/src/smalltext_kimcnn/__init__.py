"""The convolutional network of Kim (2014) as a text classifier: the backend named ``kimcnn``."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from smalltext_kimcnn._version import __version__

if TYPE_CHECKING:
    from smalltext_kimcnn.classifier import KimCNNClassifier
    from smalltext_kimcnn.dataset import PytorchTextClassificationDataset
    from smalltext_kimcnn.factory import KimCNNFactory
    from smalltext_kimcnn.network import KimCNN
    from smalltext_kimcnn.vectors import Vectors, read_vectors
    from smalltext_kimcnn.vocabulary import Vocabulary

__all__ = [
    "KimCNN",
    "KimCNNClassifier",
    "KimCNNFactory",
    "PytorchTextClassificationDataset",
    "Vectors",
    "Vocabulary",
    "__version__",
    "read_vectors",
]

_HOMES = {
    "KimCNN": "network",
    "KimCNNClassifier": "classifier",
    "KimCNNFactory": "factory",
    "PytorchTextClassificationDataset": "dataset",
    "Vectors": "vectors",
    "Vocabulary": "vocabulary",
    "read_vectors": "vectors",
}


def __getattr__(name: str) -> Any:
    """Import torch and tokenizers only once something of this package is used (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from smalltext_core.process import random_state_kept

    home = f"{__name__}.{_HOMES[name]}"
    with random_state_kept(home):
        return getattr(importlib.import_module(home), name)


def __dir__() -> list[str]:
    """Name what is public as well, imported yet or not."""
    return sorted({*globals(), *__all__})
