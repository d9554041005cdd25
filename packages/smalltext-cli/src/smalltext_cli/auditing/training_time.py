"""Estimates of the training and prediction times of classifiers, from a timed sample or measured rates."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalltext_cli.auditing.token_limits import READ_IN_TRAINING
from smalltext_cli.shipped_parameters import parameters_of
from smalltext_core import TextDataset, classifiers, create_classifier
from smalltext_core.messages import one_line

_SAMPLES = (40, 160)
_PREDICTED = 100

_TRAINING_TOKENS, _FEW_TEXTS = 160_000, 200
"""The maximum number of tokens that training reads of long texts, if they are few (decision 51)."""

MEASURED = "measured rates: one thread of an AMD EPYC, 2026-11-26"
_WITH_MODEL = f"{MEASURED}, all-MiniLM-L6-v2 (23 million parameters); more parameters take longer"


@dataclass(frozen=True)
class TimeEstimate:
    """The estimated training and prediction time of a classifier.

    Parameters
    ----------
    name : str
        The name of the classifier.
    train_seconds : float or None
        The CPU seconds of training on all texts; None if unknown.
    predict_seconds : float or None
        The CPU seconds of predicting 1,000 texts of this kind.
    basis : str
        The basis of the estimate, or why there is none.
    """

    name: str
    train_seconds: float | None
    predict_seconds: float | None
    basis: str

    def as_dict(self) -> dict[str, Any]:
        """Return the estimate as JSON values."""
        return {
            "classifier": self.name,
            "train_seconds": None if self.train_seconds is None else round(self.train_seconds, 2),
            "predict_seconds_per_1000_texts": None
            if self.predict_seconds is None
            else round(self.predict_seconds, 3),
            "basis": self.basis,
        }


def estimates(
    texts: Sequence[str], y: NDArray[np.int32], num_classes: int, words: NDArray[np.int64], *, seed: int = 0
) -> Iterator[TimeEstimate]:
    """Yield an estimate for each installed classifier with its defaults.

    Networks would take minutes on a sample, so their times are computed from previously measured rates. All others
    are timed on two samples of the texts, from which the time on all texts is extrapolated.

    Parameters
    ----------
    texts : sequence of str
    y : ndarray of int32, shape (n,)
        A class number for each text; any of them if multi-label.
    num_classes : int
    words : ndarray of int64, shape (n,)
        The number of words in each text.
    seed : int, default=0
        The random state of the samples.
    """
    sample = _sample(y, seed)
    for name, spec in classifiers().items():
        if name in _RATES:
            train, predict = _RATES[name](len(texts), words)
            yield TimeEstimate(name, train, predict, MEASURED if name == "kimcnn" else _WITH_MODEL)
            continue
        try:
            required = [one.name for one in parameters_of(spec).named.values() if one.is_required]
            if required:
                yield TimeEstimate(name, None, None, f"unknown: it needs --set {required[0]}")
                continue
            yield _timed(name, texts, y, num_classes, sample)
        except Exception as error:  # plugins may raise anything
            reason = one_line(f"{type(error).__name__}: {error}", 120)
            yield TimeEstimate(name, None, None, f"unknown: {reason}")


def _sample(y: NDArray[np.int32], seed: int) -> NDArray[np.intp]:
    """Return the rows in random order, starting with two texts of different classes."""
    order = np.random.default_rng(seed).permutation(len(y))
    other = np.flatnonzero(y[order] != y[order[0]])[:1]
    return np.concatenate([order[:1], order[other], np.delete(order, [0, *other.tolist()])])


def _timed(
    name: str, texts: Sequence[str], y: NDArray[np.int32], num_classes: int, sample: NDArray[np.intp]
) -> TimeEstimate:
    sizes = sorted({min(size, len(sample)) for size in _SAMPLES})
    first = sample[: sizes[0]]
    classifier = _fitted(name, _altered(texts, first, 0), y[first], num_classes)  # a first run, for imports
    seconds = []
    for run, size in enumerate(sizes, start=1):
        unseen = _altered(texts, sample[:size], run)
        begin = time.process_time()
        classifier = _fitted(name, unseen, y[sample[:size]], num_classes)
        seconds.append(time.process_time() - begin)
    slope = max((seconds[-1] - seconds[0]) / max(sizes[-1] - sizes[0], 1), seconds[-1] / sizes[-1] / 10)
    train = max(seconds[-1] + slope * (len(texts) - sizes[-1]), seconds[-1])
    asked = TextDataset(_altered(texts, sample[-_PREDICTED:], len(sizes) + 1))
    begin = time.process_time()
    classifier.predict_proba(asked)
    predict = (time.process_time() - begin) / len(asked) * 1_000
    return TimeEstimate(name, train, predict, f"timed on {' and '.join(map(str, sizes))} of these texts")


def _altered(texts: Sequence[str], rows: NDArray[np.intp], run: int) -> list[str]:
    """Return texts with a different ending in each run, so that a classifier cannot use cached results."""
    return [texts[row] + " ." * run for row in rows]


def _fitted(name: str, texts: list[str], y: NDArray[np.int32], num_classes: int) -> Any:
    data = TextDataset(texts, y, target_labels=np.arange(num_classes))
    return create_classifier(name, num_classes).fit(data)


def _kimcnn(count: int, words: NDArray[np.int64]) -> tuple[float, float]:
    """At least 400 steps of 25 texts, or 10 epochs, each with a constant overhead."""
    read = float(np.minimum(words, 500).mean())
    steps = max(400, 10 * math.ceil(count / 25))
    return steps * (0.007 + 25 * read * 5e-6), 1_000 * read * 3e-6


def _transformers(count: int, words: NDArray[np.int64]) -> tuple[float, float]:
    """At least 100 steps of 12 texts, or 10 epochs."""
    tokens, passes = _tokens(words), 12 * max(100, 10 * math.ceil(count / 12))
    read = _in_training(words, passes) if count < _FEW_TEXTS else tokens
    return passes * read * 7.8e-4, 1_000 * tokens * 2.7e-4


def _setfit(count: int, words: NDArray[np.int64]) -> tuple[float, float]:
    """From 20 to 40 steps of 32 pairs, encoding each distinct text once, and a head fitted on all texts."""
    tokens, distinct = _tokens(words), count * (1 - (1 - 1 / count) ** 64)
    read = _in_training(words, 40 * distinct)
    steps = min(40, max(20, _TRAINING_TOKENS / (distinct * read)))
    return steps * (0.25 + distinct * read * 7.5e-4) + count * tokens * 3e-4, 1_000 * tokens * 2.9e-4


def _in_training(words: NDArray[np.int64], passes: float) -> float:
    """Return the mean number of tokens that training reads per text, given its number of passes over them."""
    return min(_tokens(words), max(_TRAINING_TOKENS / passes, _tokens(words, READ_IN_TRAINING)))


def _tokens(words: NDArray[np.int64], longest: int = 256) -> float:
    return float(np.minimum(words * 1.2 + 2, longest).mean())


_RATES: dict[str, Callable[[int, NDArray[np.int64]], tuple[float, float]]] = {
    "kimcnn": _kimcnn,
    "setfit": _setfit,
    "transformers": _transformers,
}
"""Functions that return the CPU seconds of training on a number of texts and of predicting 1,000 texts."""
