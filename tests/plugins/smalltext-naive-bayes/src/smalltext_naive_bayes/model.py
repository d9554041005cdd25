"""Naive Bayes over one choice: which of several groups a text belongs to.

The words of a text are not independent of one another, so plain naive Bayes is far too sure of itself. Here the
evidence of the words is divided by the square root of their number, and by a temperature under which the
training texts, each judged by all the others, are explained best.
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
    """What is learned.

    Parameters
    ----------
    log_prior : ndarray of float64, shape (groups,)
        Minus infinity for a group without texts.
    log_words : ndarray of float64, shape (words, groups)
        How probable each word is in a text of each group.
    temperature : float
        Above 1, the evidence of words counts for less.
    """

    log_prior: Floats
    log_words: Floats
    temperature: float

    def probabilities(self, counts: csr_matrix) -> Floats:
        """Return how probable each group is for each text, shape (texts, groups)."""
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
    """Learn from the words of texts and the group of each.

    Parameters
    ----------
    counts : csr_matrix, shape (texts, words)
    group : ndarray of int, shape (texts,)
    groups : int
        How many there are; some may have no text.
    weights : ndarray of float, shape (texts,)
    smoothing : float
        How often every word is taken to have occurred in every group beside what was seen.
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
    """Return the evidence for each text's own group as it would be without that text, shape (texts,)."""
    row = np.repeat(np.arange(len(group)), np.diff(counts.indptr))
    others = occurrences[counts.indices, group[row]] - weights[row] * counts.data
    total = (totals[group] - weights * _lengths(counts))[row]
    terms = counts.data * (np.log(np.maximum(others, 0) + smoothing) - np.log(total))
    return np.asarray(np.bincount(row, terms, minlength=len(group)), dtype=np.float64)


def _best_temperature(
    log_prior: Floats, evidence: Floats, group: NDArray[np.intp], weights: Floats
) -> float:
    """Return the temperature with the least loss, from 0.1 to 1000."""

    def loss(log_temperature: float) -> float:
        log_proba = log_softmax(log_prior + evidence / np.exp(log_temperature), axis=1)
        return float(
            -np.average(log_proba[np.arange(len(group)), group], weights=weights)
        )

    best = minimize_scalar(loss, bounds=(np.log(0.1), np.log(1000)), method="bounded")
    return float(np.exp(best.x))


def _per_length(evidence: Floats, counts: csr_matrix) -> Floats:
    """Divide the evidence of each text by the square root of the number of its words."""
    return evidence / np.sqrt(np.maximum(_lengths(counts), 1))[:, None]


def _lengths(counts: csr_matrix) -> Floats:
    """Return how many known words each text has."""
    return np.asarray(counts.sum(axis=1), dtype=np.float64).ravel()
