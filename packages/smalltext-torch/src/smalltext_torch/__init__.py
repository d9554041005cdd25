"""What torch text classifiers share: `TorchClassifier` and the parts that it is made of.

Nothing is imported before it is used: ``import smalltext_torch`` does not import torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from smalltext_torch._version import __version__

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
    from smalltext_torch.losses import DivergedError
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

_HOMES = {
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
    "losses": ("DivergedError",),
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
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

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


def __getattr__(name: str) -> Any:
    """Import what is asked for on first use."""
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)


def __dir__() -> list[str]:
    """Name what is public as well, imported yet or not."""
    return sorted({*globals(), *__all__})
