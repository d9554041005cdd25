"""Few-shot fine-tuning of sentence transformers as a text classifier: the backend named ``setfit``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from smalltext_core.lazy_import import lazy_attributes

__version__ = "0.1.0"

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

__getattr__, __dir__ = lazy_attributes(
    __name__,
    {
        "arguments": ("ModelLoadingStrategy", "SetFitModelArguments"),
        "classifier": ("SetFitClassification",),
        "factory": ("SetFitClassificationFactory", "build"),
    },
)
