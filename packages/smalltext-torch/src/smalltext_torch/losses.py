"""What training makes small, and how much each class and each text counts in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from smalltext_core.errors import InvalidInputError
from smalltext_core.labels import Labels, is_multi_label

ClassWeight = Literal["balanced"] | Mapping[int, float] | None

_ALLOWED = "None, 'balanced', or a mapping from class number to weight (finite, 0 or above)"


def check_class_weight(class_weight: object, num_classes: int) -> ClassWeight:
    """Return a class weight as it is, or say what it has to be."""
    if class_weight is None:
        return None
    if isinstance(class_weight, str):
        if class_weight == "balanced":
            return "balanced"
        raise InvalidInputError("class_weight", repr(class_weight), _ALLOWED)
    if not isinstance(class_weight, Mapping):
        raise InvalidInputError("class_weight", f"{type(class_weight).__name__}", _ALLOWED)
    for label, weight in class_weight.items():
        whole = isinstance(label, (int, np.integer)) and not isinstance(label, bool)
        if not whole or not 0 <= label < num_classes:
            raise InvalidInputError("class_weight", f"the class {label!r}", f"classes from 0 to {num_classes - 1}")
        if not isinstance(weight, (int, float, np.number)) or not 0 <= weight < float("inf"):
            raise InvalidInputError("class_weight", f"{weight!r} for class {label}", _ALLOWED)
    return {int(label): float(weight) for label, weight in class_weight.items()}


def class_weights(
    class_weight: ClassWeight, y: Labels, num_classes: int, weights: NDArray[np.float64] | None = None
) -> NDArray[np.float32] | None:
    """Return how much each class counts.

    Parameters
    ----------
    class_weight : {None, "balanced"} or mapping of int to float
        "balanced" gives the most frequent class 1 and every other as much more as it is rarer. Multi-label: to
        each label, how many texts lack it for every one that has it. A class that a mapping leaves out, or that
        no text has, counts 1.
    y : ndarray of int, shape (n,), or csr_matrix, shape (n, num_classes)
        The labels that are trained on.
    num_classes : int
    weights : ndarray of float64, shape (n,), optional
        How much each text counts: a text of weight 2 is as good as two.

    Returns
    -------
    ndarray of float32, shape (num_classes,), or None

    Examples
    --------
    >>> class_weights("balanced", np.array([0] * 8 + [1, 2]), num_classes=4).tolist()
    [1.0, 8.0, 8.0, 1.0]
    """
    if class_weight is None:
        return None
    result = np.ones(num_classes, dtype=np.float32)
    if class_weight == "balanced":
        text_weights = np.ones(y.shape[0]) if weights is None else weights
        present, counts = _counts(y, num_classes, text_weights)
        reference = text_weights.sum() - counts[present] if is_multi_label(y) else counts.max()
        result[present] = reference / counts[present]
    else:
        result[list(class_weight)] = list(class_weight.values())
    return result


def _counts(
    y: Labels, num_classes: int, text_weights: NDArray[np.float64]
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Return the weight of the texts of each class, and for which classes a ratio of it makes sense."""
    if is_multi_label(y):
        counts = np.zeros(num_classes)
        counts[: y.shape[1]] = y.T @ text_weights
        # A label that every text has would weigh nothing, and never be learnt.
        return (counts > 0) & (counts < text_weights.sum()), counts
    totals = np.bincount(y, weights=text_weights, minlength=num_classes)
    return totals > 0, totals


@dataclass(frozen=True)
class Loss:
    """The loss of a classifier: cross-entropy, or binary cross-entropy for each label (multi-label).

    Parameters
    ----------
    num_classes : int
    multi_label : bool
    class_weights : ndarray of float32, shape (num_classes,), optional
        Multi-label: the weight of a label's positive texts (`pos_weight` of torch).
    threshold : float, default=0.5
        The probability above which a label counts as predicted (multi-label).
    """

    num_classes: int
    multi_label: bool
    class_weights: NDArray[np.float32] | None = None
    threshold: float = 0.5

    def text_weights(self, y: Labels, weights: NDArray[np.float64] | None = None) -> NDArray[np.float32] | None:
        """Return how much each text's loss counts: its own weight times that of its class.

        The weights have a mean of 1, so that the weighted mean over all texts is their sum divided by n, and the
        step that a batch makes grows with what its texts weigh.

        Raises
        ------
        InvalidInputError
            If nothing has a weight above zero, which only `class_weights` can bring about.
        """
        combined = np.ones(y.shape[0]) if weights is None else weights
        if self.class_weights is not None and not is_multi_label(y):
            combined = combined * self.class_weights[y]
        elif weights is None:
            return None
        if not combined.any():
            raise InvalidInputError(
                "class_weight", "0 for every class that occurs", "a weight above 0 for one of them"
            )
        scaled: NDArray[np.float32] = (combined / combined.mean()).astype(np.float32)
        return scaled

    def targets(self, y: Labels, device: torch.device) -> torch.Tensor:
        """Return labels as the loss takes them: int64 of shape (n,), or float32 of shape (n, num_classes)."""
        if not is_multi_label(y):
            return torch.from_numpy(y.astype(np.int64)).to(device, non_blocking=True)
        dense = np.zeros((y.shape[0], self.num_classes), dtype=np.float32)
        dense[:, : y.shape[1]] = y.toarray()
        return torch.from_numpy(dense).to(device, non_blocking=True)

    def of_texts(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Return the loss of each text, float32 of shape (n,); of a multi-label text, the mean over labels."""
        logits = logits.float()
        if not self.multi_label:
            return functional.cross_entropy(logits, targets, reduction="none")
        weights = self.class_weights
        positive = None if weights is None else torch.from_numpy(weights).to(logits.device)
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
