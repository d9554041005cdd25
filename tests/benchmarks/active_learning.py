"""Simulate active learning on a corpus: ``active_learning.py FOLDER GROUP``, which `study.conduct` calls.

A group is a JSON object: the ``corpus``, the ``backend`` and the ``seeds`` of the pools. A line of JSON is printed
for each seed: for each query strategy and training set size, the scores on texts that are not in the pool.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import samples

from smalltext_cli.query_strategies import query
from smalltext_core import Dataset, TextDataset, create_factory

POOL, TESTED = 1500, 1000
FIRST, BATCH, LAST = 20, 10, 200
SCORED = (50, 100, 200)
STRATEGIES = ("random", "least-confidence", "diverse-uncertainty", "half-random")


def main() -> None:
    folder, group = samples.requested()
    for seed in group["seeds"]:
        sample = samples.natural(folder, group["corpus"], POOL, seed, TESTED)
        pool = _dataset(group["backend"], sample.texts, sample.labels)
        held_out = _dataset(group["backend"], sample.held_out, sample.held_out_labels)
        curves = {
            name: _simulate(group["backend"], name, pool, held_out, sample.num_classes, seed)
            for name in STRATEGIES
        }
        print(json.dumps({"seed": seed, "curves": curves}), flush=True)


def _dataset(backend: str, texts: list[str], labels: np.ndarray) -> Dataset[Any]:
    """Return texts with labels, encoded once for the backend `embeddings`."""
    if backend != "embeddings":
        return TextDataset(texts, labels)
    from smalltext_embeddings import EmbeddingDataset

    return EmbeddingDataset.from_texts(texts, labels, encoder="use-multilingual")


def _simulate(
    backend: str, strategy: str, pool: Dataset[Any], held_out: Dataset[Any], num_classes: int, seed: int
) -> dict[int, dict[str, float]]:
    """Label a pool in rounds; return the scores for some sizes of the training set."""
    labelled = np.arange(FIRST)
    if len(np.unique(pool.y[labelled])) == 1:
        labelled[-1] = np.flatnonzero(pool.y != pool.y[0])[0]
    factory = create_factory(backend, num_classes, seed=seed)
    classifier: Any = factory.new().fit(pool[labelled])
    scores = {}
    while len(labelled) < LAST:
        options = {"labelled": labelled, "y": pool.y[labelled], "seed": seed * 1000 + len(labelled)}
        labelled = np.append(labelled, query(strategy, classifier, pool, count=BATCH, **options))
        classifier = factory.new().fit(pool[labelled])
        if len(labelled) in SCORED:
            proba = np.asarray(classifier.predict_proba(held_out), dtype=np.float64)
            scores[len(labelled)] = _scores(proba, held_out.y)
    return scores


def _scores(proba: np.ndarray, true: np.ndarray) -> dict[str, float]:
    overconfidence = (proba.max(axis=1) - (proba.argmax(axis=1) == true)).mean()
    return {**samples.scores(proba, true), "overconfidence": float(overconfidence)}


if __name__ == "__main__":
    main()
