"""Calibration of a trained network: the temperature, or maps and thresholds of classes, from held-out texts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from smalltext_core.calibration import fit_logistic, fit_temperature, prior_temperature
from smalltext_core.probabilities import choose_thresholds
from smalltext_torch.inference import Examples, Loss
from smalltext_torch.split import MIN_HELD_OUT


def calibrated(
    loss: Loss, held_out: Examples | None, logits: NDArray[np.float32] | None, temperature: float, num_classes: int
) -> Loss:
    """Return a loss whose probabilities are calibrated.

    Without held-out texts, a single-label problem is calibrated by the temperature that is expected of such a
    network. A multi-label one is not calibrated then; nor with class weights, which are to move probabilities away
    from the frequencies of labels.

    Parameters
    ----------
    loss : Loss
        The loss that the network was trained with.
    held_out : Examples, optional
        Texts that the network was not trained on. Multi-label, fewer than `MIN_HELD_OUT` do not count.
    logits : ndarray of float32, shape (len(held_out), num_classes), optional
        Their logits.
    temperature : float
        The temperature expected of a network trained on two classes; see `expected_temperature`.
    num_classes : int
        The number of classes.
    """
    if not loss.multi_label:
        if held_out is None or logits is None:
            return replace(loss, calibration=prior_temperature(expected_temperature(temperature, num_classes)))
        return replace(loss, calibration=fit_temperature(logits, np.asarray(held_out.y), held_out.weights))
    if held_out is None or logits is None or len(held_out) < MIN_HELD_OUT or loss.class_weights is not None:
        return loss
    return replace(loss, calibration=fit_logistic(logits, held_out.y, held_out.weights))


def expected_temperature(of_two_classes: float, num_classes: int) -> float:
    """Return the temperature expected of a network: the more classes, the closer to 1.

    Trained until it fits all of a few texts, a network is surest of itself where there are two classes; with many
    classes, the same number of steps leaves it less sure.

    Examples
    --------
    >>> [round(expected_temperature(4.0, classes), 2) for classes in (2, 3, 5, 20)]
    [4.0, 1.85, 1.25, 1.01]
    """
    return float(of_two_classes ** ((2 / num_classes) ** 2))


def with_thresholds(loss: Loss, held_out: Examples | None, logits: NDArray[np.float32] | None) -> Loss:
    """Return a loss with the threshold of each class that is best for F1 on held-out texts.

    With fewer than `MIN_HELD_OUT` held-out texts, all thresholds are 0.5.

    Parameters
    ----------
    loss : Loss
        A multi-label loss, calibrated or not.
    held_out : Examples, optional
        Texts that the network was not trained on.
    logits : ndarray of float32, shape (len(held_out), num_classes), optional
        Their logits.
    """
    if held_out is None or logits is None or len(held_out) < MIN_HELD_OUT:
        return loss
    proba = loss.probabilities(torch.from_numpy(logits)).numpy()
    return replace(loss, threshold=choose_thresholds(proba, held_out.y, held_out.weights))
