"""Few-shot fine-tuning of sentence transformers as a text classifier: the backend named ``setfit``."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from smalltext_setfit._version import __version__

if TYPE_CHECKING:
    from smalltext_setfit.arguments import SetFitModelArguments
    from smalltext_setfit.classifier import SetFitClassification
    from smalltext_setfit.factory import SetFitClassificationFactory, build
    from smalltext_torch.model_loading import ModelLoadingStrategy

__all__ = [
    "ModelLoadingStrategy",
    "SetFitClassification",
    "SetFitClassificationFactory",
    "SetFitModelArguments",
    "__version__",
    "build",
]

_HOMES = {
    "ModelLoadingStrategy": "arguments",
    "SetFitClassification": "classifier",
    "SetFitClassificationFactory": "factory",
    "SetFitModelArguments": "arguments",
    "build": "factory",
}


def __getattr__(name: str) -> Any:
    """Import torch and setfit only once something of this package is used (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from smalltext_core.process import random_state_kept

    home = f"{__name__}.{_HOMES[name]}"
    with random_state_kept(home):
        return getattr(importlib.import_module(home), name)


def __dir__() -> list[str]:
    """Name what is public as well, imported yet or not."""
    return sorted({*globals(), *__all__})
