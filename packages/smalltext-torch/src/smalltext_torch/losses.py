"""What training makes small, and how much each class and each text counts in it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from smalltext_core.labels import Labels, is_multi_label


@dataclass(frozen=True)
class Loss:
    """The loss of a classifier: cross-entropy, or binary cross-entropy for each label (multi-label).

    Parameters
    ----------
    multi_label : bool
    class_weights : ndarray of float64, shape (num_classes,), optional
        See `smalltext_core.class_weights`; multi-label, it is the `pos_weight` of torch.
    threshold : float, default=0.5
        The probability above which a label counts as predicted (multi-label).
    """

    multi_label: bool
    class_weights: NDArray[np.float64] | None = None
    threshold: float = 0.5

    def text_weights(self, y: Labels, weights: NDArray[np.float64] | None = None) -> NDArray[np.float32] | None:
        """Return how much each text's loss counts: its own weight times that of its class.

        The weights have a mean of 1, so that the weighted mean over all texts is their sum divided by n, and the
        step that a batch makes grows with what its texts weigh.
        """
        combined = np.ones(y.shape[0]) if weights is None else weights
        if self.class_weights is not None and not is_multi_label(y):
            combined = combined * self.class_weights[y]
        elif weights is None:
            return None
        combined = combined / combined.max()
        scaled: NDArray[np.float32] = (combined / combined.mean()).astype(np.float32)
        return scaled

    def targets(self, y: Labels, device: torch.device) -> torch.Tensor:
        """Return labels as the loss takes them: int64 of shape (n,), or float32 of shape (n, num_classes)."""
        if not is_multi_label(y):
            return torch.from_numpy(y.astype(np.int64)).to(device, non_blocking=True)
        return torch.from_numpy(y.toarray().astype(np.float32)).to(device, non_blocking=True)

    def of_texts(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Return the loss of each text, float32 of shape (n,); of a multi-label text, the mean over labels."""
        logits = logits.float()
        if not self.multi_label:
            return functional.cross_entropy(logits, targets, reduction="none")
        weights = self.class_weights
        positive = None if weights is None else torch.tensor(weights, dtype=logits.dtype, device=logits.device)
        losses = functional.binary_cross_entropy_with_logits(
            logits, targets, reduction="none", pos_weight=positive
        )
        return losses.mean(dim=1)

    def hits(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Return how right each text's prediction is, shape (n,): 0 or 1; the share of labels (multi-label)."""
        if not self.multi_label:
            return (logits.argmax(dim=1) == targets).float()
        return ((logits.float().sigmoid() > self.threshold) == targets.bool()).float().mean(dim=1)

    def probabilities(self, logits: torch.Tensor) -> torch.Tensor:
        """Return what this loss taught the logits to mean: float32, softmax or (multi-label) sigmoid."""
        return logits.float().sigmoid() if self.multi_label else logits.float().softmax(dim=-1)

    def logits(self, probabilities: torch.Tensor) -> torch.Tensor:
        """Return logits that mean given probabilities: the way back from `probabilities`."""
        least = torch.finfo(torch.float32).tiny
        given = torch.log(probabilities.clamp(min=least))
        return given - torch.log((1 - probabilities).clamp(min=least)) if self.multi_label else given
