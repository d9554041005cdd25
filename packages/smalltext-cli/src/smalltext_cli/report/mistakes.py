"""The mistakes that a model was surest of: the texts to read first."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smalltext_cli.evaluation import Evaluation
from smalltext_core.labels import Labels, is_multi_label
from smalltext_core.probabilities import to_labels

_LONGEST_TEXT = 400


@dataclass(frozen=True)
class Mistake:
    """A text that was labelled wrongly.

    Parameters
    ----------
    line : int
        Where it stands in the data, from 1.
    text : str
        Its beginning.
    truth, predicted : tuple of str
        The names of its classes; in single-label problems one each.
    confidence : float
        How sure the model was of what is wrong: the probability of the class it predicted, or (multi-label) of
        its worst decision on this text.
    """

    line: int
    text: str
    truth: tuple[str, ...]
    predicted: tuple[str, ...]
    confidence: float


def most_confident_mistakes(evaluation: Evaluation, most: int = 10) -> list[Mistake]:
    """Return the mistakes with the highest confidence, the surest first; equals in the order of the data.

    Parameters
    ----------
    evaluation : Evaluation
    most : int, default=10
        How many at most.
    """
    proba, y, names = evaluation.proba, evaluation.y, evaluation.names
    predicted = to_labels(proba, is_multi_label(y), evaluation.scores.threshold or 0.0)
    confidence, wrong = _confidence_of_mistakes(proba, y, predicted)
    surest = wrong[np.argsort(-confidence[wrong], kind="stable")][:most]
    return [
        Mistake(
            line=evaluation.lines[row],
            text=_beginning(evaluation.texts[row]),
            truth=tuple(names[k] for k in _classes(y, row)),
            predicted=tuple(names[k] for k in _classes(predicted, row)),
            confidence=float(confidence[row]),
        )
        for row in surest
    ]


def _confidence_of_mistakes(
    proba: NDArray[np.float32], y: Labels, predicted: Labels
) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
    """How sure the model was of each text's worst decision, and the rows where that decision is wrong."""
    if is_multi_label(y) and is_multi_label(predicted):
        truth = y.toarray()
        wrong = truth != predicted.toarray()
        doubt = np.where(truth == 1, 1 - proba, proba)
        return np.where(wrong, doubt, 0).max(axis=1), np.flatnonzero(wrong.any(axis=1))
    return proba.max(axis=1), np.flatnonzero(np.asarray(y) != np.asarray(predicted))


def _classes(y: Labels, row: int) -> list[int]:
    if is_multi_label(y):
        return sorted(y.indices[y.indptr[row] : y.indptr[row + 1]].tolist())
    return [int(y[row])]


def _beginning(text: str) -> str:
    text = " ".join(text.split())
    if len(text) <= _LONGEST_TEXT:
        return text
    cut = text[:_LONGEST_TEXT]
    at_word, space, _ = cut.rpartition(" ")
    return (at_word if space and len(at_word) > _LONGEST_TEXT // 2 else cut) + " …"
