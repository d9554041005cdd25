"""Calibration of a trained network on held-out texts: temperature or Platt scaling, and class thresholds."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from smalltext_core.calibration import fit_logistic, fit_temperature, prior_temperature
from smalltext_core.probabilities import choose_thresholds
from smalltext_torch.inference import Loss
from smalltext_torch.training_set import MIN_HELD_OUT, Examples

MIN_TEMPERATURE, MAX_TEMPERATURE = 0.3, 8.0

USUAL_COUNT = 16
"""The weight of the usual accuracy of a network in the estimate of its accuracy, as a number of texts."""

HELD_OUT_MEAN, HELD_OUT_SD = 0.07, 0.2
"""The normal prior of the log of a temperature fitted to held-out texts. Its mean is above 0, since early stopping
selects the model on the same texts, which makes the fitted temperature slightly too low."""

MAX_ESTIMATED = 500
"""The maximum number of texts on which the accuracy is estimated."""

RIDGE = 0.1
"""The regularisation strength of the ridge regression."""


@dataclass(frozen=True)
class TemperaturePrior:
    """The temperature that a kind of network is expected to need, given the number of classes and the accuracy.

    The temperature is ``scale * (2 / num_classes) ** class_exponent / skill ** skill_exponent``, where the skill
    is the logit of the accuracy minus the logit of the chance accuracy.

    Attributes
    ----------
    scale : float
        The temperature for two classes and an accuracy of .73, whose logit is 1.
    class_exponent : float
        The exponent of its decrease with the number of classes.
    skill_exponent : float
        The exponent of its decrease with the skill.
    usual_skill : float
        The usual accuracy, from 0 (chance) to 1 (always correct), with the weight of `USUAL_COUNT` texts.

    Examples
    --------
    >>> prior = TemperaturePrior(2.6, class_exponent=1.0, skill_exponent=0.3, usual_skill=0.1)
    >>> [round(prior.temperature(accuracy, num_classes=2), 1) for accuracy in (0.6, 0.75, 0.9)]
    [3.4, 2.5, 2.1]
    """

    scale: float
    class_exponent: float
    skill_exponent: float
    usual_skill: float

    def temperature(self, accuracy: float, num_classes: int) -> float:
        """Return the temperature, from `MIN_TEMPERATURE` to `MAX_TEMPERATURE`.

        Parameters
        ----------
        accuracy : float
            The expected accuracy for texts that the network was not trained on, from 0 to 1.
        num_classes : int
            The number of classes. At least 1.
        """
        accuracy = min(max(accuracy, 1 / num_classes + 0.02), 0.999)
        skill = math.log(accuracy / (1 - accuracy)) + math.log(max(num_classes - 1, 1))
        temperature: float = self.scale * (2 / num_classes) ** self.class_exponent / skill**self.skill_exponent
        return min(max(temperature, MIN_TEMPERATURE), MAX_TEMPERATURE)


def calibrated(
    loss: Loss,
    train: Examples,
    held_out: Examples | None,
    logits: NDArray[np.float32] | None,
    prior: TemperaturePrior | None,
    num_classes: int,
) -> Loss:
    """Return a loss whose probabilities are calibrated.

    Without held-out texts, single-label problems are calibrated by the expected temperature of such a network.
    Multi-label problems are not calibrated without held-out texts, or with class weights, which are meant to move
    probabilities away from the label frequencies.

    Parameters
    ----------
    loss : Loss
        The loss that the network was trained with.
    train : Examples
        The texts that the network was trained on.
    held_out : Examples, optional
        Texts that the network was not trained on. Multi-label: ignored if there are fewer than `MIN_HELD_OUT`.
    logits : ndarray of float32, shape (len(held_out), num_classes), optional
        Their logits.
    prior : TemperaturePrior or None
        The prior of `expected_temperature`, which is used without held-out texts; None for a temperature of 1.
    num_classes : int
        The number of classes.
    """
    if not loss.multi_label:
        if held_out is None or logits is None:
            temperature = 1.0 if prior is None else expected_temperature(prior, train, num_classes)
            return replace(loss, calibration=prior_temperature(temperature))
        found = logits, np.asarray(held_out.y), held_out.weights
        fitted = fit_temperature(*found, prior_mean=HELD_OUT_MEAN, prior_sd=HELD_OUT_SD)
        return replace(loss, calibration=fitted)
    if held_out is None or logits is None or len(held_out) < MIN_HELD_OUT or loss.class_weights is not None:
        return loss
    return replace(loss, calibration=fit_logistic(logits, held_out.y, held_out.weights))


def expected_temperature(prior: TemperaturePrior, examples: Examples, num_classes: int) -> float:
    """Return the expected temperature of a network that was trained on a few texts until it fits all of them.

    Such a network is as confident in its mistakes as in its correct predictions, so the temperature follows from
    its accuracy. The accuracy is estimated by a ridge regression on the words of the training texts, leaving out
    one text at a time; with few texts, the estimate is shrunk towards the usual accuracy.

    Parameters
    ----------
    prior : TemperaturePrior
        A property of the kind of network and of how it is trained.
    examples : Examples
        The training texts of a single-label problem.
    num_classes : int
        The number of classes.

    Returns
    -------
    float
        From `MIN_TEMPERATURE` to `MAX_TEMPERATURE`.
    """
    chance = 1 / num_classes
    usual = chance + prior.usual_skill * (1 - chance)
    counted = min(len(examples), MAX_ESTIMATED)
    accuracy = (counted * leave_one_out_accuracy(examples) + USUAL_COUNT * usual) / (counted + USUAL_COUNT)
    return prior.temperature(accuracy, num_classes)


def leave_one_out_accuracy(examples: Examples) -> float:
    """Return the leave-one-out accuracy of a ridge regression on TF-IDF features of token ids.

    If there are more than `MAX_ESTIMATED` texts, an evenly spaced sample of that size is used. The predictions for
    left-out texts follow from one fit (Allen 1974, https://doi.org/10.1080/00401706.1974.10489157).

    Parameters
    ----------
    examples : Examples
        Texts of a single-label problem.

    Examples
    --------
    >>> from smalltext_torch.batching import Ragged
    >>> texts = Ragged.from_sequences([[1, 2], [1, 3], [4, 2], [4, 3]] * 4)
    >>> leave_one_out_accuracy(Examples(texts, np.array([0, 0, 1, 1] * 4)))
    1.0
    """
    rows = np.unique(np.linspace(0, len(examples) - 1, min(len(examples), MAX_ESTIMATED)).astype(np.intp))
    texts = examples.texts.take(rows)
    _, y = np.unique(np.asarray(examples.y)[rows], return_inverse=True)
    distinct, columns = np.unique(texts.tokens, return_inverse=True)
    shape = (len(rows), max(len(distinct), 1))  # the texts may contain no tokens
    counts = csr_matrix((np.ones(len(columns)), columns.reshape(-1), texts.offsets), shape=shape)
    counts.sum_duplicates()
    frequency = np.bincount(counts.indices, minlength=counts.shape[1])
    counts.data = 1 + np.log(counts.data)
    vectors = counts.multiply(np.log((1 + len(rows)) / (1 + frequency)) + 1).tocsr()
    lengths = np.sqrt(np.asarray(vectors.multiply(vectors).sum(axis=1)).reshape(-1)).clip(1e-12)
    similarity = (vectors @ vectors.T).toarray() / np.outer(lengths, lengths)
    centered = similarity - similarity.mean(axis=0)
    similarity = centered - centered.mean(axis=1)[:, None]
    hat = similarity @ np.linalg.inv(similarity + RIDGE * np.eye(len(rows))) + 1 / len(rows)
    targets = np.eye(y.max() + 1)[y]
    left_out = targets - (targets - hat @ targets) / (1 - np.diag(hat))[:, None].clip(1e-9)
    weights = None if examples.weights is None else examples.weights[rows]
    return float(np.average(left_out.argmax(axis=1) == y, weights=weights))


def with_thresholds(loss: Loss, held_out: Examples | None, logits: NDArray[np.float32] | None) -> Loss:
    """Return a loss with the thresholds of the classes that maximise F1 on held-out texts.

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
