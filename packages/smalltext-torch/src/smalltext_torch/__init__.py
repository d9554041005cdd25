"""The common base of torch text classifiers: `TorchClassifier` and its parts.

All imports are lazy: ``import smalltext_torch`` does not import torch.
"""

from typing import TYPE_CHECKING

from smalltext_core.lazy_import import lazy_attributes

if TYPE_CHECKING:
    from smalltext_torch.batching import Batch, Ragged, RaggedDataset
    from smalltext_torch.classifier import TorchClassifier
    from smalltext_torch.early_stopping import (
        EarlyStopping,
        EarlyStoppingAndCondition,
        EarlyStoppingHandler,
        EarlyStoppingOrCondition,
        Metric,
        NoopEarlyStopping,
    )
    from smalltext_torch.inference import DivergedError
    from smalltext_torch.model_selection import (
        ModelSelection,
        ModelSelectionHandler,
        ModelSelectionResult,
        NoopModelSelection,
    )
    from smalltext_torch.progress import (
        VERBOSITY_ALL,
        VERBOSITY_MORE_VERBOSE,
        VERBOSITY_QUIET,
        VERBOSITY_VERBOSE,
        HistoryRecord,
        TrainingCallback,
    )

__version__ = "0.1.0"

__all__ = [
    "VERBOSITY_ALL",
    "VERBOSITY_MORE_VERBOSE",
    "VERBOSITY_QUIET",
    "VERBOSITY_VERBOSE",
    "Batch",
    "DivergedError",
    "EarlyStopping",
    "EarlyStoppingAndCondition",
    "EarlyStoppingHandler",
    "EarlyStoppingOrCondition",
    "HistoryRecord",
    "Metric",
    "ModelSelection",
    "ModelSelectionHandler",
    "ModelSelectionResult",
    "NoopEarlyStopping",
    "NoopModelSelection",
    "Ragged",
    "RaggedDataset",
    "TorchClassifier",
    "TrainingCallback",
    "__version__",
]

__getattr__, __dir__ = lazy_attributes(
    __name__,
    {
        "batching": ("Batch", "Ragged", "RaggedDataset"),
        "classifier": ("TorchClassifier",),
        "early_stopping": (
            "EarlyStopping",
            "EarlyStoppingAndCondition",
            "EarlyStoppingHandler",
            "EarlyStoppingOrCondition",
            "Metric",
            "NoopEarlyStopping",
        ),
        "inference": ("DivergedError",),
        "model_selection": (
            "ModelSelection",
            "ModelSelectionHandler",
            "ModelSelectionResult",
            "NoopModelSelection",
        ),
        "progress": (
            "VERBOSITY_ALL",
            "VERBOSITY_MORE_VERBOSE",
            "VERBOSITY_QUIET",
            "VERBOSITY_VERBOSE",
            "HistoryRecord",
            "TrainingCallback",
        ),
    },
)
