"""Samples of a corpus: texts to train on and others to test on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import corpora
import numpy as np

TESTED = 1000
"""The number of texts to test on, at most. Of 300, even perfect calibration has an error of some .04."""


@dataclass(frozen=True)
class Sample:
    """Labelled texts to train on, and others to test on."""

    texts: list[str]
    labels: np.ndarray
    held_out: list[str]
    held_out_labels: np.ndarray
    num_classes: int


def few_shot(
    folder: Path, corpus: str, shots: int, seed: int, tested: int = TESTED, *, balanced: bool = False
) -> Sample:
    """Sample a number of texts of each class, or all where there are fewer.

    The texts to test on are at natural rates, or with `balanced` as many of each class as there are.
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
    """Sample a number of texts at natural rates, and others to test on, at natural rates as well."""
    pool, trained_on, tested_on = _parts(folder, corpus)
    rng = np.random.default_rng(seed)
    return _sample(pool, rng.permutation(trained_on)[:count], rng.permutation(tested_on)[:tested])


def at_random(folder: Path, corpus: str, count: int, tested: int) -> Sample:
    """Sample texts of the whole corpus, the same each time."""
    pool = corpora.read(folder, corpus)
    rows = np.random.default_rng(0).permutation(len(pool.texts))
    chosen, held_out = np.split(rows[: count + tested], [count])
    return _sample(pool, chosen, held_out)


def _parts(folder: Path, corpus: str) -> tuple[corpora.Corpus, np.ndarray, np.ndarray]:
    """Return a corpus and the rows to train and to test on: as its makers divided it, or random halves."""
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
