"""Evaluations made up for the tests of the report: any number of classes, any names, any texts."""

import numpy as np
from scipy.sparse import csr_matrix

from smalltext_cli.evaluation import Evaluation, Probabilities
from smalltext_cli.metrics import score
from smalltext_core.saving import Manifest

_MANIFEST = Manifest(
    classifier="sklearn",
    distribution="smalltext-sklearn",
    version="0.1.0",
    parameters={"estimator": "sklearn.linear_model.LogisticRegression", "C": 1.0, "multi_label": False},
)


def single_label(names, count=400, sharpness=3.0, seed=0, texts=None):
    rng = np.random.default_rng(seed)
    classes = len(names)
    y = rng.integers(0, classes, size=count)
    logits = rng.normal(size=(count, classes)) + sharpness * np.eye(classes)[y]
    proba = np.exp(2 * logits)
    proba = (proba / proba.sum(axis=1, keepdims=True)).astype(np.float32)
    return evaluation(names, y, proba, multi_label=False, texts=texts)


def multi_label(names, count=300, seed=0, texts=None):
    rng = np.random.default_rng(seed)
    truth = rng.random((count, len(names))) < 0.3
    proba = 1 / (1 + np.exp(-(rng.normal(size=truth.shape) * 1.5 + 4 * truth - 2)))
    labels = csr_matrix(truth, dtype=np.int32)
    return evaluation(names, labels, proba.astype(np.float32), multi_label=True, texts=texts)


def evaluation(names, y, proba, *, multi_label, texts=None, calibration=None):
    proba = np.asarray(proba, dtype=np.float32)
    count = proba.shape[0]
    if texts is None:
        texts = [f"Text {number} about something that matters to whoever wrote it." for number in range(count)]
    return Evaluation(
        manifest=_MANIFEST,
        probabilities=Probabilities(calibration, dict.fromkeys(names, 0.5) if multi_label else None),
        data_name="held-out.csv",
        names=tuple(names),
        texts=texts,
        lines=range(2, count + 2),
        line_unit="line",
        y=y,
        proba=proba,
        scores=score(y, proba, multi_label=multi_label),
    )
