"""Comparison of the default vectorizer of `sklearn` with that of the first version, in one process.

They alternate, and only CPU seconds are measured, so that other load of the machine has little effect.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import corpora
import numpy as np
from scipy.sparse import csr_array
from sklearn.feature_extraction.text import TfidfVectorizer

from smalltext_core import TextDataset, create_classifier
from smalltext_sklearn._estimators import default_estimator
from smalltext_sklearn.word_char_tfidf import WordCharTfidfVectorizer

BEFORE = {"strip_accents": None, "token_pattern": r"(?u)\b\w+\b"}
"""The settings of the first version that have changed."""
SPLITS, SHARE = 5, 0.7
ROUNDS = 7


def compare(folder: Path, corpus: str, accuracy_on: int, timed_on: int) -> dict[str, Any]:
    """Compare both on texts drawn from a corpus.

    Parameters
    ----------
    folder : Path
        The folder that `corpora.fetch` has written.
    corpus : str
    accuracy_on, timed_on : int
        The number of texts for accuracies, and for measuring time.

    Returns
    -------
    dict
        The number of texts of the corpus and of those with unchanged tokens, accuracies, the largest
        difference between the accuracies of a split, CPU seconds, and medians of the ratios of CPU seconds.
    """
    pool = corpora.read(folder, corpus)
    texts, labels = pool.texts, pool.labels
    analyzers = [vectorizer.set_params(ngram_range=(1, 1)).build_analyzer() for vectorizer in _vectorizers()]
    same = sum(analyzers[0](text) == analyzers[1](text) for text in texts)
    rows = np.random.default_rng(0).permutation(len(texts))
    drawn, timed = rows[:accuracy_on], rows[:timed_on]
    found: dict[str, Any] = {"texts": len(texts), "same tokens": same}
    for part in (
        lambda: accuracies([texts[row] for row in drawn], labels[drawn]),
        lambda: cpu_seconds([texts[row] for row in timed], np.unique(labels[timed], return_inverse=True)[1]),
    ):
        print(f"    {found}", file=sys.stderr, flush=True)
        found |= part()
    return found


def accuracies(texts: list[str], labels: np.ndarray) -> dict[str, Any]:
    """Return the mean accuracies over random splits, and the largest difference in one split."""
    found = []
    for seed in range(SPLITS):
        train, test = np.split(np.random.default_rng(seed).permutation(len(texts)), [int(SHARE * len(texts))])
        features = [
            (
                vectorizer.fit_transform([texts[row] for row in train]),
                vectorizer.transform([texts[row] for row in test]),
            )
            for vectorizer in _vectorizers()
        ]
        shares = []
        for number, (trained, tested) in enumerate(features):
            if number and all(map(_equal, *features)):
                shares.append(shares[0])  # the same features give the same classifier
            else:
                predicted = default_estimator().fit(trained, labels[train]).predict(tested)
                shares.append(float((predicted == labels[test]).mean()))
        found.append(shares)
    before, now = np.mean(found, axis=0)
    return {
        "accuracy on": len(texts),
        "accuracy before": round(float(before), 5),
        "accuracy now": round(float(now), 5),
        "accuracy lost": round(float(max(before - now for before, now in found)), 5),
    }


def cpu_seconds(texts: list[str], labels: np.ndarray) -> dict[str, Any]:
    """Return the CPU seconds of each step, before and now, and their ratio."""
    train_set, data_set = TextDataset(texts, labels), TextDataset(texts)
    vectorizers = [vectorizer.fit(texts) for vectorizer in _vectorizers()]
    classifiers = [
        create_classifier("sklearn", len(np.unique(labels)), seed=1, vectorizer_parameters=parameters)
        for parameters in (BEFORE, None)
    ]
    steps: dict[str, list[Callable[[], Any]]] = {
        "transform": [lambda each=each: each.transform(texts) for each in vectorizers],
        "fit": [lambda each=each: each.fit(train_set) for each in classifiers],
        "predict": [lambda each=each: each.predict(data_set) for each in classifiers],
    }
    found: dict[str, Any] = {"timed on": len(texts)}
    for step, (before, now) in steps.items():
        pairs = []
        for number in range(ROUNDS):
            both = {each: _cpu(each) for each in ((now, before) if number % 2 else (before, now))}
            pairs.append((both[before], both[now]))
        for name, costs in zip(("before", "now"), zip(*pairs, strict=True), strict=True):
            found[f"{step} {name}"] = round(statistics.median(costs), 4)
        found[f"{step} ratio"] = round(statistics.median(now / before for before, now in pairs), 3)
    return found


def _vectorizers() -> list[TfidfVectorizer]:
    return [WordCharTfidfVectorizer().set_params(**BEFORE), WordCharTfidfVectorizer()]


def _equal(one: csr_array, other: csr_array) -> bool:
    parts = ("indptr", "indices", "data")
    return one.shape == other.shape and all(
        np.array_equal(getattr(one, part), getattr(other, part)) for part in parts
    )


def _cpu(step: Callable[[], Any]) -> float:
    start = time.process_time()
    step()
    return time.process_time() - start
