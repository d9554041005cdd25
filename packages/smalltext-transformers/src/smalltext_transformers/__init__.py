"""Fine-tuning of transformers as a text classifier: the backend named ``transformers``."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from smalltext_transformers._version import __version__

if TYPE_CHECKING:
    from smalltext_torch.model_loading import ModelLoadingStrategy
    from smalltext_transformers.arguments import FineTuningArguments, TransformerModelArguments
    from smalltext_transformers.classifier import TransformerBasedClassification
    from smalltext_transformers.dataset import TransformersDataset
    from smalltext_transformers.factory import TransformerBasedClassificationFactory, build

__all__ = [
    "FineTuningArguments",
    "ModelLoadingStrategy",
    "TransformerBasedClassification",
    "TransformerBasedClassificationFactory",
    "TransformerModelArguments",
    "TransformersDataset",
    "__version__",
    "build",
]

_HOMES = {
    "FineTuningArguments": "arguments",
    "ModelLoadingStrategy": "arguments",
    "TransformerBasedClassification": "classifier",
    "TransformerBasedClassificationFactory": "factory",
    "TransformerModelArguments": "arguments",
    "TransformersDataset": "dataset",
    "build": "factory",
}


def __getattr__(name: str) -> Any:
    """Import torch and transformers only once something of this package is used (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from smalltext_core.process import random_state_kept

    home = f"{__name__}.{_HOMES[name]}"
    with random_state_kept(home):
        return getattr(importlib.import_module(home), name)


def __dir__() -> list[str]:
    """Name what is public as well, imported yet or not."""
    return sorted({*globals(), *__all__})
