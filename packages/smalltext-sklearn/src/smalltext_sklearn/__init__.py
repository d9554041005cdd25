"""Any scikit-learn estimator as a text classifier: the backend ``sklearn``."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

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

_HOMES = {
    "EXPECTED_FAILED_CHECKS": "text_classifier",
    "SklearnClassifier": "classifier",
    "SklearnClassifierFactory": "factory",
    "SklearnDataset": "dataset",
    "TextClassifier": "text_classifier",
    "build": "factory",
}


def __getattr__(name: str) -> Any:
    """Import scikit-learn on first use of a public name (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from smalltext_core.process import random_state_kept

    home = f"{__name__}.{_HOMES[name]}"
    with random_state_kept(home):
        return getattr(importlib.import_module(home), name)


def __dir__() -> list[str]:
    """List the public names, imported or not."""
    return sorted({*globals(), *__all__})
