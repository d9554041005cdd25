"""The texts that the report shows: errors, least confident correct predictions, and texts of each confusion."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smalltext_cli.evaluation import Evaluation
from smalltext_core.labels import Labels, is_multi_label
from smalltext_core.probabilities import to_labels

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_MAX_TEXT = 400
_MAX_PREDICTIONS = 10
_MAX_CELLS = 40
_TEXTS_OF_A_CELL = 3


@dataclass(frozen=True)
class ShownText:
    """A text and its prediction: its number in the file, its beginning, its classes and the confidence.

    The confidence is the probability of the predicted class; multi-label, of the decision for which the text is
    shown.
    """

    line: int
    text: str
    truth: tuple[str, ...]
    predicted: tuple[str, ...]
    confidence: float


@dataclass(frozen=True)
class Cell:
    """A cell of the confusion matrix, its number of texts, and some of them.

    Multi-label, it is the false negatives or false positives of a class: `predicted` or `truth` is empty.
    """

    truth: str
    predicted: str
    count: int
    texts: tuple[ShownText, ...]

    @property
    def is_right(self) -> bool:
        """Whether the predictions of this cell are correct."""
        return self.truth == self.predicted


def most_confident_mistakes(evaluation: Evaluation) -> list[ShownText]:
    """Return some errors, those with the highest confidence; ties are in the order of the data.

    Multi-label, the confidence is that of the most confident wrong decision.
    """
    proba, y, predicted = evaluation.proba, evaluation.y, _predicted(evaluation)
    confidence, wrong = _confidence_of_mistakes(proba, y, predicted)
    rows = wrong[np.argsort(-confidence[wrong], kind="stable")][:_MAX_PREDICTIONS]
    return _shown(evaluation, predicted, rows, confidence)


def least_confident_right(evaluation: Evaluation) -> list[ShownText]:
    """Return some correct predictions, those with the lowest confidence; ties are in the order of the data.

    Multi-label, the confidence is that of the decision closest to being wrong.
    """
    proba, y, predicted = evaluation.proba, evaluation.y, _predicted(evaluation)
    if is_multi_label(predicted):
        chosen = predicted.toarray() == 1
        confidence = np.where(chosen, proba, 1 - proba).min(axis=1)
    else:
        confidence = proba.max(axis=1)
    right = np.setdiff1d(np.arange(len(proba)), _confidence_of_mistakes(proba, y, predicted)[1])
    rows = right[np.argsort(confidence[right], kind="stable")][:_MAX_PREDICTIONS]
    return _shown(evaluation, predicted, rows, confidence)


def texts_of_cells(evaluation: Evaluation) -> list[Cell]:
    """Return texts of cells of the confusion matrix: the largest confusions, then the diagonal.

    These are the most confident predictions of a confusion, and the least confident ones of the diagonal.
    Multi-label, each class has two cells, for its false negatives and its false positives, and none for correct
    decisions.
    """
    predicted = _predicted(evaluation)
    if is_multi_label(predicted):
        return _cells_of_decisions(evaluation, predicted)[:_MAX_CELLS]
    proba, truth = evaluation.proba, np.asarray(evaluation.y)
    confidence, names = proba.max(axis=1), evaluation.names
    pairs, numbers, counts = np.unique(
        truth.astype(np.int64) * len(names) + np.asarray(predicted), return_inverse=True, return_counts=True
    )
    wrong: list[Cell] = []
    right: list[Cell] = []
    for number in np.argsort(-counts, kind="stable").tolist():
        row, column = divmod(int(pairs[number]), len(names))
        found = right if row == column else wrong
        if len(found) == _MAX_CELLS:
            continue
        texts = np.flatnonzero(numbers == number)
        order = np.argsort(confidence[texts] if row == column else -confidence[texts], kind="stable")
        shown = _shown(evaluation, predicted, texts[order][:_TEXTS_OF_A_CELL], confidence)
        found.append(Cell(names[row], names[column], int(counts[number]), tuple(shown)))
    return wrong + right


def _cells_of_decisions(evaluation: Evaluation, predicted: Labels) -> list[Cell]:
    truth, chosen = (_dense(labels) for labels in (evaluation.y, predicted))
    cells = []
    for k, name in enumerate(evaluation.names):
        proba = evaluation.proba[:, k]
        for missed, confidence in ((True, 1 - proba), (False, proba)):
            texts = np.flatnonzero((truth[:, k] == missed) & (chosen[:, k] != missed))
            rows = texts[np.argsort(-confidence[texts], kind="stable")][:_TEXTS_OF_A_CELL]
            shown = tuple(_shown(evaluation, predicted, rows, confidence))
            if shown:
                cells.append(Cell(name if missed else "", "" if missed else name, len(texts), shown))
    return sorted(cells, key=lambda cell: -cell.count)


def _predicted(evaluation: Evaluation) -> Labels:
    return to_labels(evaluation.proba, is_multi_label(evaluation.y), evaluation.scores.thresholds or 0.0)


def _dense(labels: Labels) -> NDArray[np.bool_]:
    assert is_multi_label(labels)
    return np.asarray(labels.toarray() == 1)


def _confidence_of_mistakes(
    proba: NDArray[np.float32], y: Labels, predicted: Labels
) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
    """Return the confidence of the worst decision on each text, and the rows in which it is wrong."""
    if is_multi_label(y) and is_multi_label(predicted):
        truth = y.toarray()
        wrong = truth != predicted.toarray()
        doubt = np.where(truth == 1, 1 - proba, proba)
        return np.where(wrong, doubt, 0).max(axis=1), np.flatnonzero(wrong.any(axis=1))
    return proba.max(axis=1), np.flatnonzero(np.asarray(y) != np.asarray(predicted))


def _shown(
    evaluation: Evaluation, predicted: Labels, rows: NDArray[np.intp], confidence: NDArray[np.float32]
) -> list[ShownText]:
    return [
        ShownText(
            line=evaluation.lines[row],
            text=beginning(evaluation.texts[row]),
            truth=_classes(evaluation.names, evaluation.y, row),
            predicted=_classes(evaluation.names, predicted, row),
            confidence=float(confidence[row]),
        )
        for row in rows.tolist()
    ]


def _classes(names: Sequence[str], y: Labels, row: int) -> tuple[str, ...]:
    if is_multi_label(y):
        return tuple(names[k] for k in sorted(y.indices[y.indptr[row] : y.indptr[row + 1]].tolist()))
    return (names[int(y[row])],)


def beginning(text: str) -> str:
    """Return the beginning of a text on one line, cut between words, with control characters escaped."""
    text = " ".join(text.split())
    if len(text) > _MAX_TEXT:
        cut = text[:_MAX_TEXT]
        at_word, space, _ = cut.rpartition(" ")
        text = (at_word if space and len(at_word) > _MAX_TEXT // 2 else cut) + " …"
    return _CONTROL.sub(lambda found: repr(found[0])[1:-1], text)
