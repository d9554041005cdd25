"""Classifiers each of which breaks a rule when it is saved, loaded, copied, or sent to another process."""

from __future__ import annotations

import copy
import pickle
import socket
from pathlib import Path

import numpy as np
from counting_classifier import CountingClassifier, CountingFactory
from wrong_classifiers import IgnoresItsThresholds

from smalltext_core.calibration import prior_temperature
from smalltext_core.errors import ModelFolderError
from smalltext_core.probabilities import to_labels
from smalltext_core.saving import read_manifest

# Saving


class SavesHalfFloats(CountingClassifier):
    def write(self, folder):
        vocabulary, per_word, prior = self.model
        rounded = copy.copy(self)
        rounded.model = vocabulary, per_word.astype(np.float16), prior
        super(SavesHalfFloats, rounded).write(folder)


class LoadsFromTheNetwork(CountingClassifier):
    registered_name = "counting-online"

    @classmethod
    def load(cls, folder):
        socket.create_connection(("127.0.0.1", 9), timeout=1)
        return super().load(folder)


class IsNotRegistered(CountingClassifier):
    registered_name = "uncounted"


class SavesAPickle(CountingClassifier):
    def write(self, folder):
        super().write(folder)
        (folder / "model.bin").write_bytes(pickle.dumps(self.model))


class SavesObjects(CountingClassifier):
    def write(self, folder):
        super().write(folder)
        np.save(folder / "words.npy", np.array(list(self.model[0]), dtype=object), allow_pickle=True)


class LoadsWithoutLooking(CountingClassifier):
    registered_name = "counting-trusting"

    def write(self, folder):
        super().write(folder)
        (folder / "notes.txt").write_text("trained in a hurry", encoding="utf-8")

    @classmethod
    def load(cls, folder):
        classifier = cls(**read_manifest(folder, verify=False).parameters)
        classifier.model = {}, np.zeros((1, 1, classifier.num_classes)), np.zeros((1, classifier.num_classes))
        return classifier


class ForgetsThresholdsOnSaving(IgnoresItsThresholds):
    def labels(self, proba):
        return to_labels(proba, self.multi_label, getattr(self, "multi_label_threshold_", 0.5))


class ForgetsCalibrationOnSaving(CountingClassifier):
    def fit(self, train_set, weights=None):
        self.calibration_ = prior_temperature(1.5)
        return super().fit(train_set, weights)


class ForgetsNamesOnSaving(CountingClassifier):
    def fit(self, train_set, weights=None):
        super().fit(train_set, weights)
        self.label_names = None
        return self


class ForgetsNamesOnLoading(CountingClassifier):
    registered_name = "counting-forgetful"

    @classmethod
    def load(cls, folder):
        classifier = super().load(folder)
        classifier.label_names = None
        return classifier


class WantsANameForEachClass(CountingClassifier):
    registered_name = "counting-strict-names"

    @classmethod
    def load(cls, folder):
        classifier = super().load(folder)
        if classifier.label_names is not None and len(classifier.label_names) != classifier.num_classes:
            raise ModelFolderError("there is no name for a class")
        return classifier


class KeepsTheOldModel(CountingClassifier):
    def save(self, folder):
        if not Path(folder).exists():
            super().save(folder)


class SavesOnlyToNewFolders(CountingClassifier):
    def save(self, folder):
        Path(folder).mkdir(parents=True)
        super().save(folder)


class ReadsItsModelLater(CountingClassifier):
    registered_name = "counting-late"
    source = None

    @classmethod
    def load(cls, folder):
        classifier = super().load(folder)
        classifier.source = folder
        return classifier

    def fit(self, train_set, weights=None):
        super().fit(train_set, weights)
        self.source = None
        return self

    def probabilities(self, texts):
        if self.source is not None:
            self.model, self.source = CountingClassifier.load(self.source).model, None
        return super().probabilities(texts)


class IgnoresFitOnceLoaded(CountingClassifier):
    registered_name = "counting-frozen"

    @classmethod
    def load(cls, folder):
        classifier = super().load(folder)
        classifier.frozen = classifier.model
        return classifier

    def fit(self, train_set, weights=None):
        super().fit(train_set, weights)
        self.model = getattr(self, "frozen", self.model)
        return self


class ForgetsItsSeedOnSaving(CountingClassifier):
    registered_name = "counting-unseeded"

    @classmethod
    def load(cls, folder):
        classifier = super().load(folder)
        classifier.seed = None
        return classifier


class ForgetsClassWeightsOnSaving(CountingClassifier):
    registered_name = "counting-unbalanced"
    class_weight = "balanced"

    @classmethod
    def load(cls, folder):
        classifier = super().load(folder)
        classifier.class_weight = None
        return classifier

    def learn(self, train_set, weights, rng):
        vocabulary, per_word, prior = super().learn(train_set, weights, rng)
        return vocabulary, per_word, np.zeros_like(prior) if self.class_weight else prior


class ForgetsItsThresholdOnSaving(CountingClassifier):
    registered_name = "counting-even"
    multi_label_threshold = 0.499

    @classmethod
    def load(cls, folder):
        classifier = super().load(folder)
        classifier.multi_label_threshold = 0.5
        return classifier

    def labels(self, proba):
        return to_labels(proba, self.multi_label, self.multi_label_threshold)


class ForgetsHowToChooseThresholds(ForgetsThresholdsOnSaving):
    """Saves the thresholds that it chose, but not that it is to choose them."""

    registered_name = "counting-thresholds"
    chooses = True

    def fit(self, train_set, weights=None):
        super().fit(train_set, weights)
        self.multi_label_threshold_ = np.full(self.num_classes, 0.499 if self.chooses else 0.5)
        return self

    @classmethod
    def load(cls, folder):
        classifier = super().load(folder)
        classifier.chooses = False
        classifier.multi_label_threshold_ = np.full(classifier.num_classes, 0.499)
        return classifier


# Copies and other processes


class HoldsALambda(CountingClassifier):
    def fit(self, train_set, weights=None):
        self.tokenizer = lambda text: text.split()
        return super().fit(train_set, weights)

    def __deepcopy__(self, memo):
        return copy.copy(self)


class LosesItsModelInAPickle(CountingClassifier):
    def __getstate__(self):
        return {**self.__dict__, "model": None}

    def __deepcopy__(self, memo):
        return copy.copy(self)


class LosesItsSeedInAPickle(CountingClassifier):
    def __getstate__(self):
        return {**self.__dict__, "seed": None}

    def __deepcopy__(self, memo):
        copied = copy.copy(self)
        copied.__dict__ |= copy.deepcopy(self.__dict__)
        return copied


class LosesItsSeedInACopy(CountingClassifier):
    def __deepcopy__(self, memo):
        copied = copy.copy(self)
        copied.seed = None
        return copied


class KeepsALambdaFromEmbedding(CountingClassifier):
    def embed(self, data_set):
        self.hook = lambda states: states
        return self.predict_proba(data_set)


class SharesItselfAsACopy(CountingClassifier):
    def __deepcopy__(self, memo):
        return self


class OrdersWordsByHash(CountingClassifier):
    def vocabulary(self, texts):
        return sorted({word for words in texts for word in words}, key=hash)


class FactoryWithALambda(CountingFactory):
    def __init__(self, *args):
        super().__init__(CountingClassifier, *args)
        self.then = lambda classifier: classifier


class FactoryOfOne(CountingFactory):
    def __init__(self, *args):
        super().__init__(CountingClassifier, *args)
        self.only = super().new()

    def new(self):
        return self.only
