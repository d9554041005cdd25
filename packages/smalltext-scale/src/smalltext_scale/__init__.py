"""Label texts at scale with a saved model: in the batches of any engine, and as a stream."""

from __future__ import annotations

from smalltext_scale.scorer import BatchScorer, Prediction
from smalltext_scale.workers import WorkerError

__version__ = "0.1.0"

__all__ = ["BatchScorer", "Prediction", "WorkerError", "__version__"]
