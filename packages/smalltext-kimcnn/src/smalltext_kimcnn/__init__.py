"""The convolutional network of Kim (2014) as a text classifier: the backend named ``kimcnn``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from smalltext_core.lazy_import import lazy_attributes

if TYPE_CHECKING:
    from smalltext_kimcnn.classifier import KimCNNClassifier
    from smalltext_kimcnn.dataset import PytorchTextClassificationDataset
    from smalltext_kimcnn.factory import KimCNNFactory, build
    from smalltext_kimcnn.network import KimCNN
    from smalltext_kimcnn.vectors import Vectors, read_vectors
    from smalltext_kimcnn.vocabulary import Vocabulary

__version__ = "0.1.0"

__all__ = [
    "KimCNN",
    "KimCNNClassifier",
    "KimCNNFactory",
    "PytorchTextClassificationDataset",
    "Vectors",
    "Vocabulary",
    "__version__",
    "build",
    "read_vectors",
]

__getattr__, __dir__ = lazy_attributes(
    __name__,
    {
        "classifier": ("KimCNNClassifier",),
        "dataset": ("PytorchTextClassificationDataset",),
        "factory": ("KimCNNFactory", "build"),
        "network": ("KimCNN",),
        "vectors": ("Vectors", "read_vectors"),
        "vocabulary": ("Vocabulary",),
    },
)
