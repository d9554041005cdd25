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
    loss: Loss, held_out: Examples | None, logits: NDArray[np.float32] | None, temperature: float
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
        The temperature that is taken without held-out texts; see `expected_temperature`.
    """
    if not loss.multi_label:
        if held_out is None or logits is None:
            return replace(loss, calibration=prior_temperature(temperature))
        return replace(loss, calibration=fit_temperature(logits, np.asarray(held_out.y), held_out.weights))
    if held_out is None or logits is None or len(held_out) < MIN_HELD_OUT or loss.class_weights is not None:
        return loss
    return replace(loss, calibration=fit_logistic(logits, held_out.y, held_out.weights))


def expected_temperature(base: float, num_texts: int, num_classes: int) -> float:
    """Return the temperature expected of a network that was trained until it fits all of a few texts.

    The fewer texts and the fewer classes, the more overconfident it is: ``base ** (a * b)`` with
    ``a = (2 / num_classes) ** 2`` and ``b = (64 / num_texts) ** (1 / 4)``.

    Parameters
    ----------
    base : float
        The temperature for two classes and 64 texts.
    num_texts : int
        The number of training texts, 1 or more.
    num_classes : int
        The number of classes.

    Examples
    --------
    >>> [round(expected_temperature(3.0, texts, 2), 2) for texts in (16, 64, 128)]
    [4.73, 3.0, 2.52]
    >>> [round(expected_temperature(3.0, 64, classes), 2) for classes in (2, 3, 5, 20)]
    [3.0, 1.63, 1.19, 1.01]
    """
    return float(base ** ((2 / num_classes) ** 2 * (64 / num_texts) ** 0.25))


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
