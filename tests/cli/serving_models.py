"""Models and applications for the tests of `smalltext serve`."""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np

from smalltext_cli.evaluation import Model
from smalltext_core import LabelNames
from smalltext_core.saving import Manifest

NAMES = ("even", "odd")


class LengthClassifier:
    """Tells texts of even length from others, with a probability that is different for each length.

    `on_predict` is called with the texts of each batch.
    """

    num_classes = 2
    multi_label_threshold = 0.5

    def __init__(self, on_predict: Callable[[list[str]], None] = lambda _: None, *, multi_label: bool = False):
        self.multi_label = multi_label
        self._on_predict = on_predict

    def predict_proba(self, data_set):
        texts = list(data_set.x)
        self._on_predict(texts)
        return np.stack([proba_of(text) for text in texts])


def proba_of(text: str) -> np.ndarray:
    score = np.float32(0.5 + 0.5 / (len(text) + 2))
    return np.array([score, 1 - score] if len(text) % 2 == 0 else [1 - score, score], dtype=np.float32)


def length_model(
    on_predict: Callable[[list[str]], None] = lambda _: None, names=NAMES, *, multi_label: bool = False
) -> Model:
    classifier = LengthClassifier(on_predict, multi_label=multi_label)
    return Model(classifier, LabelNames(names), multi_label, Manifest("length", "smalltext-length", "1.0"))


class Gate:
    """A model behind a gate: `entered` is set once it predicts, and it goes on once `opened` is."""

    def __init__(self):
        self.entered, self.opened = threading.Event(), threading.Event()
        self.batches = []

    def __call__(self, texts):
        self.batches.append(texts)
        self.entered.set()
        assert self.opened.wait(600)
