"""Classifiers each of which intentionally breaks one rule; those of saving and copying are in `wrong_saving`."""

from __future__ import annotations

import random
import tempfile
from pathlib import Path
from typing import IO, ClassVar

import numpy as np
from counting_classifier import CountingClassifier
from scipy.sparse import csr_array

from smalltext_core import TextDataset, csr_to_list, list_to_csr, marked_rows
from smalltext_core.labels import is_multi_label

# The form of probabilities


class GivesDoubles(CountingClassifier):
    def probabilities(self, texts):
        return super().probabilities(texts).astype(np.float64)


class GivesScores(CountingClassifier):
    def probabilities(self, texts):
        return super().probabilities(texts) * 3


class DoesNotNormalise(CountingClassifier):
    def probabilities(self, texts):
        return super().probabilities(texts) / 2


class ZeroesWhatIsUnlikely(CountingClassifier):
    def probabilities(self, texts):
        proba = super().probabilities(texts)
        proba[proba <= 0.5] = 0
        return proba


class LetsLabelsCompete(CountingClassifier):
    def probabilities(self, texts):
        proba = super().probabilities(texts)
        return proba / proba.sum(axis=1, keepdims=True)


class NumbersClassesAnew(CountingClassifier):
    def learn(self, train_set, weights, rng):
        self.seen = np.unique(train_set.y)
        return super().learn(train_set, weights, rng)

    def probabilities(self, texts):
        proba = super().probabilities(texts)
        shifted = np.zeros_like(proba)
        shifted[:, : len(self.seen)] = proba[:, self.seen]
        return shifted


class BelievesInAbsentLabels(CountingClassifier):
    def learn(self, train_set, weights, rng):
        self.absent = np.asarray(train_set.y.sum(axis=0)).ravel() == 0
        return super().learn(train_set, weights, rng)

    def probabilities(self, texts):
        proba = super().probabilities(texts)
        proba[:, self.absent] = np.nan
        return proba


class TrainsBinaryReadsSoftmax(CountingClassifier):
    """Outputs p and 1 - p trained with binary cross-entropy; the softmax of their logits squares the odds."""

    def probabilities(self, texts):
        squared = super().probabilities(texts).astype(np.float64) ** 2
        if self.multi_label:
            other = (1 - np.sqrt(squared)) ** 2
            return (squared / (squared + other)).astype(np.float32)
        return (squared / squared.sum(axis=1, keepdims=True)).astype(np.float32)


class IsAlwaysCertain(CountingClassifier):
    def probabilities(self, texts):
        proba = super().probabilities(texts).astype(np.float64)
        powers, others = proba**50, (1 - proba) ** 50
        sums = powers + others if self.multi_label else powers.sum(axis=1, keepdims=True)
        return (powers / sums).astype(np.float32)


class IsNeverSure(CountingClassifier):
    def probabilities(self, texts):
        proba = super().probabilities(texts)
        return proba[:, ::-1].copy()


# The form of predictions


class PredictsLongs(CountingClassifier):
    def labels(self, proba):
        return super().labels(proba).astype(np.int64)


class PredictsSparseArrays(CountingClassifier):
    def labels(self, proba):
        return csr_array(super().labels(proba))


class PredictsAnotherThreshold(CountingClassifier):
    def labels(self, proba):
        return super().labels(proba + 0.3 if self.multi_label else -proba)


class IgnoresItsThresholds(CountingClassifier):
    def fit(self, train_set, weights=None):
        self.multi_label_threshold_ = np.linspace(0.1, 0.9, self.num_classes)
        return super().fit(train_set, weights)


class RoundsOnTheWay(CountingClassifier):
    def predict(self, data_set, return_proba=False):
        labels, proba = super().predict(data_set, return_proba=True)
        return (labels, proba.round(2)) if return_proba else labels


# Unusual texts


class FlattensNothing(CountingClassifier):
    def probabilities(self, texts):
        return super().probabilities(texts) if texts else np.empty(0, dtype=np.float32)


class SqueezesOneText(CountingClassifier):
    def probabilities(self, texts):
        return super().probabilities(texts).squeeze()


class UnderflowsOnLongTexts(CountingClassifier):
    def batch(self, texts):
        proba = super().batch(texts)
        return np.stack([row * (len(text) < 10_000) for row, text in zip(proba, texts, strict=True)])


class DividesByUnknownWords(CountingClassifier):
    def score(self, words):
        return super().score(words) * (len(words) / len(words))


class TakesTheFirstWord(CountingClassifier):
    def words(self, train_set):
        return [[text.split()[0], *text.split()[1:]] for text in train_set.x]


# Weights


class NamesWeightsOtherwise(CountingClassifier):
    def fit(self, train_set, sample_weight=None):
        return super().fit(train_set, sample_weight)


class NamesItsTextsOtherwise(CountingClassifier):
    def predict_proba(self, texts):
        return super().predict_proba(texts)


class DividesWeights(CountingClassifier):
    def checked(self, train_set, weights):
        train_set, _ = super().checked(train_set, weights)
        return train_set, None if weights is None else np.ones(len(train_set)) / len(train_set)


class IgnoresLaterWeights(CountingClassifier):
    def checked(self, train_set, weights):
        return super().checked(train_set, weights if self.model is None else None)


class KeepsEarlierWeights(CountingClassifier):
    def checked(self, train_set, weights):
        train_set, weights = super().checked(train_set, weights)
        earlier = self.__dict__.setdefault("earlier", {})
        if weights is not None:
            earlier[len(train_set)] = weights
        return train_set, earlier.get(len(train_set))


class RaisesZeroWeights(CountingClassifier):
    def checked(self, train_set, weights):
        return super().checked(train_set, None if weights is None else np.maximum(weights, 1))


class IgnoresWeights(CountingClassifier):
    def checked(self, train_set, weights):
        return super().checked(train_set, weights)[0], None


# Seeds


class IgnoresTheSeed(CountingClassifier):
    def generator(self):
        return np.random.default_rng()


class ReadsGlobalState(CountingClassifier):
    def generator(self):
        return np.random.default_rng([self.seed, int(np.random.get_state()[1][0])])  # noqa: NPY002


class SeedsNumpy(CountingClassifier):
    def generator(self):
        np.random.seed(self.seed)  # noqa: NPY002
        return super().generator()


class DrawsWhenPredicting(CountingClassifier):
    def batch(self, texts):
        random.random()
        return super().batch(texts)


class SeedsWhenItIsMade(CountingClassifier):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        random.seed(self.seed)


class DrawsWhenSaving(CountingClassifier):
    def write(self, folder):
        random.random()
        super().write(folder)


class DrawsWhenEmbedding(CountingClassifier):
    def embed(self, data_set):
        return np.random.random((len(data_set), 2))  # noqa: NPY002


class DrawsWhenValidating(CountingClassifier):
    def validate(self, data_set):
        return random.random()


class DrawsWhenLoading(CountingClassifier):
    registered_name = "counting-drawing"

    @classmethod
    def load(cls, folder):
        random.random()
        return super().load(folder)


# Invalid input


class ReducesNothing(CountingClassifier):
    def checked(self, train_set, weights):
        np.max(np.asarray([len(text) for text in train_set.x]))
        return super().checked(train_set, weights)


class ClipsLabels(CountingClassifier):
    def checked(self, train_set, weights):
        y, k = train_set.y, self.num_classes
        y = y[:, :k] if is_multi_label(y) else np.minimum(y, k - 1)
        return super().checked(TextDataset(train_set.x, y, label_names=train_set.label_names), weights)


class DropsUnlabelled(CountingClassifier):
    def checked(self, train_set, weights):
        return super().checked(train_set[~marked_rows(train_set.y)], weights)


class TakesAnyKindOfLabels(CountingClassifier):
    def checked(self, train_set, weights):
        if train_set.is_multi_label and not self.multi_label:
            first = [row[0] if row else 0 for row in csr_to_list(train_set.y)]
            train_set = TextDataset(train_set.x, first)
        elif self.multi_label and not train_set.is_multi_label:
            train_set = TextDataset(train_set.x, list_to_csr([[k] for k in train_set.y], self.num_classes))
        return super().checked(train_set, weights)


class LearnsTheWordNone(CountingClassifier):
    def checked(self, train_set, weights):
        texts = [str(text) for text in train_set.x]
        return super().checked(TextDataset(texts, train_set.y, label_names=train_set.label_names), weights)


class LabelsTheWordNone(CountingClassifier):
    def predict_proba(self, data_set):
        return super().predict_proba(TextDataset([str(text) for text in data_set.x]))


class CutsWeights(CountingClassifier):
    def checked(self, train_set, weights):
        return super().checked(train_set, None if weights is None else np.resize(weights, len(train_set)))


class RepairsWeights(CountingClassifier):
    def checked(self, train_set, weights):
        if weights is not None:
            weights = np.clip(np.nan_to_num(weights, posinf=1.0), 1e-9, None)
        return super().checked(train_set, weights)


class SaysOnlyThatSomethingIsWrong(CountingClassifier):
    def checked(self, train_set, weights):
        try:
            return super().checked(train_set, weights)
        except ValueError:
            raise ValueError("bad input") from None


class AnswersNothingUnfitted(CountingClassifier):
    def predict_proba(self, data_set):
        return super().predict_proba(data_set) if len(data_set) else self.probabilities([])


class StumblesUnfitted(CountingClassifier):
    def predict_proba(self, data_set):
        return self.probabilities(data_set.x)


class ForgetsBeforeItChecks(CountingClassifier):
    def fit(self, train_set, weights=None):
        self.model = None
        return super().fit(train_set, weights)


class LearnsBeforeItChecks(CountingClassifier):
    def fit(self, train_set, weights=None):
        if len(train_set) and not marked_rows(train_set.y).any():
            self.model = self.learn(train_set[::2], None, self.generator())
        return super().fit(train_set, weights)


# Repeated training


class ReturnsNothing(CountingClassifier):
    def fit(self, train_set, weights=None):
        super().fit(train_set, weights)


class FailsToTrain(CountingClassifier):
    def learn(self, train_set, weights, rng):
        raise RuntimeError("out of luck")


class KeepsItsVocabulary(CountingClassifier):
    def vocabulary(self, texts):
        self.known = getattr(self, "known", set()).union(*texts)
        return sorted(self.known)


class RemembersOldTexts(CountingClassifier):
    def checked(self, train_set, weights):
        train_set, weights = super().checked(train_set, weights)
        self.old = [*getattr(self, "old", []), *train_set.x]
        return train_set, weights

    def learn(self, train_set, weights, rng):
        vocabulary, per_word, prior = super().learn(train_set, weights, rng)
        return vocabulary, per_word / len(self.old), prior


class KeepsItsFirstNames(CountingClassifier):
    def fit(self, train_set, weights=None):
        names = self.label_names
        super().fit(train_set, weights)
        self.label_names = names or self.label_names
        return self


class KeepsNamesOfEarlierTexts(CountingClassifier):
    def fit(self, train_set, weights=None):
        names = self.label_names
        super().fit(train_set, weights)
        self.label_names = self.label_names or names
        return self


class SharesItsTexts(CountingClassifier):
    texts: ClassVar[list[str]] = []

    def learn(self, train_set, weights, rng):
        self.texts.extend(train_set.x)
        vocabulary, per_word, prior = super().learn(train_set, weights, rng)
        return vocabulary, per_word / len(self.texts), prior


class LeavesCheckpoints(CountingClassifier):
    def learn(self, train_set, weights, rng):
        tempfile.mkdtemp(prefix="checkpoint-")
        return super().learn(train_set, weights, rng)


class LeavesFilesHere(CountingClassifier):
    def learn(self, train_set, weights, rng):
        Path("trainer_output").mkdir(exist_ok=True)
        return super().learn(train_set, weights, rng)


class LeavesFilesOpen(CountingClassifier):
    opened: ClassVar[list[IO[str]]] = []

    def learn(self, train_set, weights, rng):
        self.opened.append(Path(__file__).open(encoding="utf-8"))  # noqa: SIM115 - left open on purpose
        return super().learn(train_set, weights, rng)


class KeepsEveryModel(CountingClassifier):
    kept: ClassVar[list[np.ndarray]] = []

    def learn(self, train_set, weights, rng):
        self.kept.append(np.ones(1_000_000))
        return super().learn(train_set, weights, rng)


# Batches


class ComparesNeighbours(CountingClassifier):
    def probabilities(self, texts):
        proba = super().probabilities(texts)
        return proba * (1 - 0.1 * proba.mean(axis=0)) if len(texts) else proba


class FollowsThePadding(CountingClassifier):
    def batch(self, texts):
        longest = max(len(text.split()) for text in texts)
        return super().batch(texts) * np.float32(1 - 1e-4 * longest / 1000)


class ForgetsToSortBack(CountingClassifier):
    def probabilities(self, texts):
        return super().probabilities(sorted(texts, key=len))


class MixesUpLaterBatches(CountingClassifier):
    def probabilities(self, texts):
        proba = super().probabilities(texts)
        proba[64:] = proba[64:][::-1]
        return proba


class DividesByBatchSize(CountingClassifier):
    def score(self, words):
        return super().score(words) / self.mini_batch_size


# Evaluation mode


class Network:
    """A network for the kit: its mode can be switched, and dropout has a visible effect in training mode."""

    def __init__(self, learned):
        self.learned = learned
        self.training = False

    def __iter__(self):
        return iter(self.learned)

    def train(self):
        self.training = True

    def eval(self):
        self.training = False

    def dropped(self, numbers):
        return numbers * np.float32(0.5) if self.training else numbers


class HasANetwork(CountingClassifier):
    def learn(self, train_set, weights, rng):
        return Network(super().learn(train_set, weights, rng))

    def probabilities(self, texts):
        training, self.model.training = self.model.training, False
        try:
            return super().probabilities(texts)
        finally:
            self.model.training = training

    def embed(self, data_set):
        return self.predict_proba(data_set)

    def validate(self, data_set):
        return 0.0, float(self.predict_proba(data_set).mean())


class PredictsInTrainingMode(HasANetwork):
    def probabilities(self, texts):
        return self.model.dropped(super().probabilities(texts))


class EmbedsInTrainingMode(HasANetwork):
    def embed(self, data_set):
        return self.model.dropped(super().embed(data_set))


class ValidatesInTrainingMode(HasANetwork):
    def validate(self, data_set):
        return tuple(self.model.dropped(np.array(super().validate(data_set))))


class StaysInEvaluationMode(HasANetwork):
    def probabilities(self, texts):
        self.model.eval()
        return super().probabilities(texts)


# Arguments of the caller


class TakesWeightsAsTheyAre(CountingClassifier):
    def checked(self, train_set, weights):
        return train_set, None if weights is None else np.asarray(weights, dtype=np.float64)


class KeepsWhatItMadeOfADataset(CountingClassifier):
    def learn(self, train_set, weights, rng):
        kept = self.__dict__.setdefault("kept", {})
        if id(train_set) not in kept:
            kept[id(train_set)] = train_set, super().learn(train_set, weights, rng)
        return kept[id(train_set)][1]


class LearnsWhenItIsAsked(CountingClassifier):
    def learn(self, train_set, weights, rng):
        self.later = lambda: super(LearnsWhenItIsAsked, self).learn(train_set, weights, self.generator())
        return super().learn(train_set, weights, rng)

    def probabilities(self, texts):
        self.model = self.later()
        return super().probabilities(texts)


class CleansTextsInPlace(CountingClassifier):
    def learn(self, train_set, weights, rng):
        train_set.x[:] = [text.strip().lower() for text in train_set.x]
        return super().learn(train_set, weights, rng)


class CleansTextsWhenPredicting(CountingClassifier):
    def probabilities(self, texts):
        texts[:] = [text.strip().lower() for text in texts]
        return super().probabilities(texts)


class SortsTheTrainingSet(CountingClassifier):
    def fit(self, train_set, weights=None):
        super().fit(train_set, weights)
        train_set.y = train_set.y[np.argsort(train_set.x)]
        return self


class WritesItsAnswersIntoTheDataset(CountingClassifier):
    def predict(self, data_set, return_proba=False):
        data_set.y = super().predict(data_set)
        return super().predict(data_set, return_proba)


class CleansTextsWhenEmbedding(CountingClassifier):
    def embed(self, data_set):
        data_set.x[:] = [text.lower() for text in data_set.x]
        return np.zeros((len(data_set), 2))


class WritesIntoWeights(CountingClassifier):
    def checked(self, train_set, weights):
        checked = super().checked(train_set, weights)
        if isinstance(weights, np.ndarray) and weights.flags.writeable:
            weights /= weights.sum()
        return checked


class CleansTextsThatHaveWeights(CountingClassifier):
    def fit(self, train_set, weights=None):
        super().fit(train_set, weights)
        if weights is not None:
            train_set.x[0] = train_set.x[0].upper()
        return self


class RefusesReadOnlyWeights(CountingClassifier):
    def checked(self, train_set, weights):
        if isinstance(weights, np.ndarray) and not weights.flags.writeable:
            raise ValueError("output array is read-only")
        return super().checked(train_set, weights)
