"""Naive Bayes for a single problem: the group that a text belongs to.

The words of a text are not independent of one another, so plain naive Bayes is overconfident. Here the log odds
of the words are divided by the square root of their number, and by the temperature that minimizes the
leave-one-out loss of the training texts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.sparse import csr_matrix
from scipy.special import log_softmax, softmax

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Model:
    """The learned parameters.

    Parameters
    ----------
    log_prior : ndarray of float64, shape (groups,)
        Minus infinity for a group without texts.
    log_words : ndarray of float64, shape (words, groups)
        The log-probability of each word in texts of each group.
    temperature : float
        The divisor of the log odds.
    """

    log_prior: Floats
    log_words: Floats
    temperature: float

    def probabilities(self, counts: csr_matrix) -> Floats:
        """Return the probability of each group for each text, shape (texts, groups)."""
        scores = (
            self.log_prior
            + _per_length(counts @ self.log_words, counts) / self.temperature
        )
        proba: Floats = softmax(scores, axis=1)
        return proba


def train(
    counts: csr_matrix,
    group: NDArray[np.intp],
    groups: int,
    weights: Floats,
    smoothing: float,
) -> Model:
    """Fit the parameters to the word counts and groups of texts.

    Parameters
    ----------
    counts : csr_matrix, shape (texts, words)
    group : ndarray of int, shape (texts,)
    groups : int
        The number of groups, including those without texts.
    weights : ndarray of float, shape (texts,)
    smoothing : float
        The count that is added to each word in each group.
    """
    weight_of = np.bincount(group, weights, minlength=groups)
    membership = csr_matrix(
        (weights, (group, np.arange(len(group)))), shape=(groups, len(group))
    )
    occurrences = np.asarray((membership @ counts).todense()).T
    with np.errstate(divide="ignore"):
        log_prior = np.log(weight_of / weight_of.sum())
    totals = occurrences.sum(axis=0) + smoothing * max(counts.shape[1], 1)
    log_words = np.log((occurrences + smoothing) / totals)
    evidence = counts @ log_words
    evidence[np.arange(len(group)), group] = _judged_by_the_others(
        counts, group, weights, occurrences, totals, smoothing
    )
    temperature = _best_temperature(
        log_prior, _per_length(evidence, counts), group, weights
    )
    return Model(log_prior, log_words, temperature)


def _judged_by_the_others(
    counts: csr_matrix,
    group: NDArray[np.intp],
    weights: Floats,
    occurrences: Floats,
    totals: Floats,
    smoothing: float,
) -> Floats:
    """Return the leave-one-out log odds of the own group of each text, shape (texts,)."""
    row = np.repeat(np.arange(len(group)), np.diff(counts.indptr))
    others = occurrences[counts.indices, group[row]] - weights[row] * counts.data
    total = (totals[group] - weights * _lengths(counts))[row]
    terms = counts.data * (np.log(np.maximum(others, 0) + smoothing) - np.log(total))
    return np.asarray(np.bincount(row, terms, minlength=len(group)), dtype=np.float64)


def _best_temperature(
    log_prior: Floats, evidence: Floats, group: NDArray[np.intp], weights: Floats
) -> float:
    """Return the temperature with the lowest loss, from 0.1 to 1000."""

    def loss(log_temperature: float) -> float:
        log_proba = log_softmax(log_prior + evidence / np.exp(log_temperature), axis=1)
        return float(
            -np.average(log_proba[np.arange(len(group)), group], weights=weights)
        )

    best = minimize_scalar(loss, bounds=(np.log(0.1), np.log(1000)), method="bounded")
    return float(np.exp(best.x))


def _per_length(evidence: Floats, counts: csr_matrix) -> Floats:
    """Divide the log odds of each text by the square root of its number of words."""
    return evidence / np.sqrt(np.maximum(_lengths(counts), 1))[:, None]


def _lengths(counts: csr_matrix) -> Floats:
    """Return the number of known words of each text."""
    return np.asarray(counts.sum(axis=1), dtype=np.float64).ravel()
