"""A classifier that follows all rules: it counts words per class, and averages over the words of a text.

It is naive Bayes with the mean instead of the sum. Multi-label problems are one such problem per class.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from smalltext_core import Classifier, ClassifierFactory, validation
from smalltext_core.labels import is_multi_label
from smalltext_core.probabilities import empty_probabilities, to_labels
from smalltext_core.saving import model_folder, read_manifest


class CountingClassifier(Classifier):
    registered_name = "counting"

    def __init__(self, num_classes, multi_label=False, *, seed=None, mini_batch_size=4):
        self.num_classes = num_classes
        self.multi_label = multi_label
        self.seed = seed
        self.mini_batch_size = mini_batch_size
        self.model = None
        self.label_names = None

    def fit(self, train_set, weights=None):
        train_set, weights = self.checked(train_set, weights)
        self.model = self.learn(train_set, weights, self.generator())
        self.label_names = train_set.label_names
        return self

    def checked(self, train_set, weights):
        return validation.training_data(
            train_set, weights, num_classes=self.num_classes, multi_label=self.multi_label
        )

    def generator(self):
        return np.random.default_rng(self.seed)

    def learn(self, train_set, weights, rng):
        texts = self.words(train_set)
        weights = np.ones(len(texts)) if weights is None else weights
        applies = self.indicator(train_set.y) * weights[:, None]
        groups = np.stack([applies, weights[:, None] - applies]) if self.multi_label else applies[None]
        vocabulary = {word: row for row, word in enumerate(self.vocabulary(texts))}
        counts = np.ones((len(vocabulary), *groups.shape[0::2]))
        for number, words in enumerate(texts):
            for word in words:
                counts[vocabulary[word]] += groups[:, number]
        counts *= 1 + 0.001 * rng.random(counts.shape)
        prior = groups.sum(axis=1) + (0.5 if self.multi_label else 0)
        with np.errstate(divide="ignore"):
            return vocabulary, np.log(counts / counts.sum(axis=0)), np.log(prior / weights.sum())

    def words(self, train_set):
        return [text.split() for text in train_set.x]

    def vocabulary(self, texts):
        return sorted({word for words in texts for word in words})

    def indicator(self, y):
        if is_multi_label(y):
            return y.toarray().astype(np.float64)
        return np.eye(self.num_classes)[y]

    def predict(self, data_set, return_proba=False):
        proba = self.predict_proba(data_set)
        labels = self.labels(proba)
        return (labels, proba) if return_proba else labels

    def labels(self, proba):
        return to_labels(proba, self.multi_label)

    def predict_proba(self, data_set):
        validation.prediction_data(data_set, fitted=self.model is not None, classifier=self)
        return self.probabilities(data_set.x)

    def probabilities(self, texts):
        if not texts:
            return empty_probabilities(self.num_classes)
        starts = range(0, len(texts), self.mini_batch_size)
        return np.concatenate([self.batch(texts[start : start + self.mini_batch_size]) for start in starts])

    def batch(self, texts):
        scores = np.stack([self.score(text.split()) for text in texts])
        scores = np.exp(scores - scores.max(axis=1, keepdims=True))
        proba = scores / scores.sum(axis=1, keepdims=True)
        return (proba[:, 0] if self.multi_label else proba[:, :, 0]).astype(np.float32)

    def score(self, words):
        """Return log-probabilities that are normalised along the first axis, shape (group, class)."""
        vocabulary, per_word, prior = self.model
        known = [vocabulary[word] for word in words if word in vocabulary]
        score = prior + (per_word[known].mean(axis=0) if known else 0)
        return score if self.multi_label else score.T

    def save(self, folder):
        with model_folder(
            folder,
            classifier=self.registered_name,
            distribution="smalltext-counting",
            version="1.0",
            parameters={"num_classes": self.num_classes, "multi_label": self.multi_label, "seed": self.seed},
            label_names=self.label_names,
        ) as staging:
            self.write(staging)

    def write(self, folder):
        vocabulary, per_word, prior = self.model
        (folder / "vocabulary.json").write_text(json.dumps(vocabulary), encoding="utf-8")
        np.save(folder / "per_word.npy", per_word)
        np.save(folder / "prior.npy", prior)

    @classmethod
    def load(cls, folder):
        folder, manifest = Path(folder), read_manifest(folder)
        classifier = cls(**manifest.parameters)
        vocabulary = json.loads((folder / "vocabulary.json").read_text(encoding="utf-8"))
        classifier.model = vocabulary, np.load(folder / "per_word.npy"), np.load(folder / "prior.npy")
        classifier.label_names = manifest.names
        return classifier


class CountingFactory(ClassifierFactory):
    def __init__(self, classifier, num_classes, multi_label=False, seed=1):
        self.classifier = classifier
        self.parameters = {"num_classes": num_classes, "multi_label": multi_label, "seed": seed}

    def new(self):
        return self.classifier(**self.parameters)


def build(num_classes, *, multi_label=False, seed=None):
    return CountingFactory(CountingClassifier, num_classes, multi_label, seed)
