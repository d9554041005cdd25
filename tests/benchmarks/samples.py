"""Samples of a corpus, training texts and test texts, for the scripts of studies, and scores on the test texts."""

from __future__ import annotations

import json
import logging
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import corpora
import numpy as np

from smalltext_core.calibration import expected_calibration_error

TESTED = 1000
"""The maximum number of test texts. With 300, the error of perfect calibration is about .04."""

LEAST = 1e-7
"""The lower bound of probabilities in a log loss, that of single precision."""


def requested() -> tuple[Path, dict[str, Any]]:
    """Return the folder and group that `study.conduct` passes to a script, whose corpus is downloaded if missing.

    Warnings are turned off.
    """
    folder, group = Path(sys.argv[1]), json.loads(sys.argv[2])
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    if not (folder / f"{group['corpus']}.json").is_file():
        corpora.fetch(folder, group["corpus"])
    return folder, group


def scores(proba: np.ndarray, true: np.ndarray) -> dict[str, float]:
    """Return the accuracy, calibration error and log loss of single-label probabilities."""
    of_truth = np.maximum(proba[np.arange(len(true)), true], LEAST)
    return {
        "accuracy": float((proba.argmax(axis=1) == true).mean()),
        "calibration_error": float(expected_calibration_error(proba, true)),
        "log_loss": float(-np.log(of_truth).mean()),
    }


@dataclass(frozen=True)
class Sample:
    """Labelled training texts, and test texts."""

    texts: list[str]
    labels: np.ndarray
    held_out: list[str]
    held_out_labels: np.ndarray
    num_classes: int


def few_shot(
    folder: Path, corpus: str, shots: int, seed: int, tested: int = TESTED, *, balanced: bool = False
) -> Sample:
    """Sample a number of texts per class, or all if a class has fewer.

    The test texts have natural class frequencies, or the same number per class with `balanced`.
    """
    pool, trained_on, tested_on = _parts(folder, corpus)
    rng = np.random.default_rng(seed)
    chosen = _of_each_class(pool.labels, trained_on, shots, rng)
    if balanced:
        held_out = _of_each_class(pool.labels, tested_on, tested // len(pool.names), rng)
    else:
        held_out = rng.permutation(tested_on)[:tested]
    return _sample(pool, chosen, held_out)


def natural(folder: Path, corpus: str, count: int, seed: int, tested: int = TESTED) -> Sample:
    """Sample training texts and test texts with natural class frequencies."""
    pool, trained_on, tested_on = _parts(folder, corpus)
    rng = np.random.default_rng(seed)
    return _sample(pool, rng.permutation(trained_on)[:count], rng.permutation(tested_on)[:tested])


def at_random(folder: Path, corpus: str, count: int, tested: int) -> Sample:
    """Sample texts of the whole corpus, the same in each call."""
    pool = corpora.read(folder, corpus)
    rows = np.random.default_rng(0).permutation(len(pool.texts))
    chosen, held_out = np.split(rows[: count + tested], [count])
    return _sample(pool, chosen, held_out)


def _parts(folder: Path, corpus: str) -> tuple[corpora.Corpus, np.ndarray, np.ndarray]:
    """Return a corpus and its training and test rows: the split of its authors, or random halves."""
    pool = corpora.read(folder, corpus)
    if pool.held_out is not None:
        return pool, np.flatnonzero(~pool.held_out), np.flatnonzero(pool.held_out)
    order = np.random.default_rng(7).permutation(len(pool.texts))
    trained_on, tested_on = np.split(order, [len(order) // 2])
    return pool, trained_on, tested_on


def _of_each_class(labels: np.ndarray, rows: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    classes = np.unique(labels)
    return np.concatenate([rng.permutation(rows[labels[rows] == number])[:count] for number in classes])


def _sample(pool: corpora.Corpus, chosen: np.ndarray, held_out: np.ndarray) -> Sample:
    return Sample(
        [pool.texts[row] for row in chosen],
        pool.labels[chosen],
        [pool.texts[row] for row in held_out],
        pool.labels[held_out],
        len(pool.names),
    )
