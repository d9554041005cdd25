"""Fine-tuning of transformers as a text classifier: the backend named ``transformers``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from smalltext_core.lazy_import import lazy_attributes

if TYPE_CHECKING:
    from smalltext_torch.model_loading import ModelLoadingStrategy
    from smalltext_transformers.arguments import FineTuningArguments, TransformerModelArguments
    from smalltext_transformers.classifier import TransformerBasedClassification
    from smalltext_transformers.dataset import TransformersDataset
    from smalltext_transformers.factory import TransformerBasedClassificationFactory, build

__version__ = "0.1.0"

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

__getattr__, __dir__ = lazy_attributes(
    __name__,
    {
        "arguments": ("FineTuningArguments", "ModelLoadingStrategy", "TransformerModelArguments"),
        "classifier": ("TransformerBasedClassification",),
        "dataset": ("TransformersDataset",),
        "factory": ("TransformerBasedClassificationFactory", "build"),
    },
)
