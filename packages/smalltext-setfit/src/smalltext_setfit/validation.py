"""How good probabilities are, on texts whose labels are known."""

from __future__ import annotations

import numpy as np

from smalltext_core.labels import Labels, is_multi_label
from smalltext_core.probabilities import Probabilities
from smalltext_torch.losses import Loss

LEAST_PROBABILITY = 1e-7
"""No probability counts as less than this; that of a class that training lacked is 0."""


def measured(proba: Probabilities, y: Labels, loss: Loss) -> tuple[float, float]:
    """Return (loss, accuracy): means over texts; of a multi-label text, means over labels.

    Parameters
    ----------
    proba : ndarray of float32, shape (n, num_classes)
    y : ndarray of int, shape (n,), or csr_matrix, shape (n, num_classes)
    loss : Loss
        It says how much each class counts.
    """
    sure = np.clip(proba.astype(np.float64), LEAST_PROBABILITY, 1 - LEAST_PROBABILITY)
    if is_multi_label(y):
        applies = y.toarray() > 0
        positive = np.ones(proba.shape[1]) if loss.class_weights is None else loss.class_weights
        losses = -np.where(applies, positive * np.log(sure), np.log1p(-sure)).mean(axis=1)
        hits = ((proba > loss.threshold) == applies).mean(axis=1)
        return float(losses.mean()), float(hits.mean())
    losses = -np.log(sure[np.arange(len(y)), y])
    weights = loss.text_weights(y)
    counted = losses if weights is None else losses * weights
    return float(counted.mean()), float((proba.argmax(axis=1) == y).mean())
