from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np

from smalltext_core.saving import model_folder, read_manifest


class Classifier:
    """Predicts the most frequent class of the training set."""

    def __init__(self, num_classes, multi_label=False, bonus=0):
        self.num_classes, self.multi_label, self.bonus = num_classes, multi_label, bonus
        self.winner = None

    def fit(self, train_set, weights=None):
        self.winner = Counter(train_set.y.tolist()).most_common(1)[0][0]
        return self

    def predict(self, data_set, return_proba=False):
        labels = np.full(len(data_set), self.winner, dtype=np.int32)
        return (labels, self.predict_proba(data_set)) if return_proba else labels

    def predict_proba(self, data_set):
        return np.eye(self.num_classes, dtype=np.float32)[self.predict(data_set)]

    def save(self, folder):
        said = {"num_classes": self.num_classes, "bonus": self.bonus}
        with model_folder(
            folder, classifier="majority", distribution="acme-works", version="1.0", parameters=said
        ) as staging:
            (staging / "winner.json").write_text(json.dumps(self.winner))

    @classmethod
    def load(cls, folder):
        classifier = cls(**read_manifest(folder).parameters)
        classifier.winner = json.loads(Path(folder, "winner.json").read_text())
        return classifier


class Factory:
    """Creates majority classifiers."""

    def __init__(self, **parameters):
        self.parameters = parameters

    def new(self):
        return Classifier(**self.parameters)


def build(num_classes, multi_label=False, *, bonus=0):
    """Create a factory; the bonus has no effect."""
    return Factory(num_classes=num_classes, multi_label=multi_label, bonus=bonus)
