"""Any scikit-learn estimator as a text classifier: the backend ``sklearn``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from smalltext_core.lazy_import import lazy_attributes

if TYPE_CHECKING:
    from smalltext_sklearn.classifier import SklearnClassifier
    from smalltext_sklearn.dataset import SklearnDataset
    from smalltext_sklearn.factory import SklearnClassifierFactory, build
    from smalltext_sklearn.text_classifier import EXPECTED_FAILED_CHECKS, TextClassifier

__version__ = "0.1.0"

__all__ = [
    "EXPECTED_FAILED_CHECKS",
    "SklearnClassifier",
    "SklearnClassifierFactory",
    "SklearnDataset",
    "TextClassifier",
    "__version__",
    "build",
]

__getattr__, __dir__ = lazy_attributes(
    __name__,
    {
        "classifier": ("SklearnClassifier",),
        "dataset": ("SklearnDataset",),
        "factory": ("SklearnClassifierFactory", "build"),
        "text_classifier": ("EXPECTED_FAILED_CHECKS", "TextClassifier"),
    },
)
