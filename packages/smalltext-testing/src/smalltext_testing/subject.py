"""The classifier under test: what is known of it, and the fitted ones that several checks share."""

from __future__ import annotations

import tempfile
import traceback
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from smalltext_core.classifier import AnyClassifier, ClassifierFactory
from smalltext_core.dataset import Dataset, TextDataset
from smalltext_core.errors import UnsupportedError
from smalltext_core.labels import Labels, is_multi_label
from smalltext_core.probabilities import Probabilities
from smalltext_core.process import raised_by_signal
from smalltext_testing.check import not_applicable
from smalltext_testing.randomness import global_seed, global_state, moved
from smalltext_testing.texts import (
    CONTESTED_TURNS,
    contested,
    contested_texts,
    opposite,
    training_texts,
    unseen_texts,
)

FIT_CHECK = "check_fit_trains_and_returns_itself"
"""The check that reports a classifier which cannot be trained at all."""

PREDICTION_CHECK = "check_probabilities_are_dense_float32"
"""The check that reports a classifier which cannot predict at all."""

UNTRAINED = f"fit() fails on plain texts; {FIT_CHECK} says how"
UNPREDICTED = f"predict_proba() fails on plain texts; {PREDICTION_CHECK} says how"
ROOTS = {FIT_CHECK: UNTRAINED, PREDICTION_CHECK: UNPREDICTED}
"""The checks that others are skipped for, with the reason that these give."""


@dataclass
class Training:
    """What happened when a classifier was trained."""

    classifier: Any
    returned: Any = None
    moved: tuple[str, ...] = ()
    error: BaseException | None = None


class Subject:
    """A factory under test. What takes long is done once, when a check first asks for it.

    Parameters
    ----------
    factory : ClassifierFactory
        Its `new` gives unfitted classifiers.
    num_classes : int, optional
        By default what the classifier says, else the factory, else what it does with two classes.
    multi_label : bool, optional
        By default what the classifier says, else the factory, else False.
    """

    def __init__(
        self, factory: ClassifierFactory, num_classes: int | None = None, multi_label: bool | None = None
    ) -> None:
        self.factory = factory
        self._num_classes = num_classes
        self._multi_label = multi_label
        self.rounds: tuple[list[int], list[str]] | None = None

    def new(self) -> Any:
        """Return a new, unfitted classifier."""
        return self.factory.new()

    @cached_property
    def unfitted(self) -> Any:
        """A classifier that is never fitted, to read attributes from."""
        return self.new()

    def attribute(self, name: str) -> Any:
        """Return an attribute of the classifier, else of the factory, else None."""
        return getattr(self.unfitted, name, getattr(self.factory, name, None))

    @property
    def name(self) -> str:
        """The name of the classifier's type."""
        return type(self.unfitted).__name__

    @cached_property
    def multi_label(self) -> bool:
        """Whether several classes, or none, may apply to a text."""
        given = self.attribute("multi_label") if self._multi_label is None else self._multi_label
        return bool(given)

    @cached_property
    def num_classes(self) -> int:
        """The number of classes."""
        given = self.attribute("num_classes") if self._num_classes is None else self._num_classes
        if given is not None:
            return int(given)
        return int(self.new().fit(training_texts(2, self.multi_label)).predict_proba(TextDataset(["?"])).shape[1])

    @property
    def threshold(self) -> float:
        """The probability above which a class applies in a multi-label problem."""
        given = self.attribute("multi_label_threshold")
        return 0.5 if given is None else float(given)

    @cached_property
    def train_set(self) -> TextDataset:
        """Labelled texts."""
        return training_texts(self.num_classes, self.multi_label)

    @cached_property
    def texts(self) -> TextDataset:
        """Texts to label, nearly all of them never trained on."""
        return unseen_texts(self.num_classes)

    @cached_property
    def opposite_labels(self) -> Any:
        """Labels for the training texts that contradict those that they have."""
        return opposite(self.train_set.y, self.num_classes)

    @cached_property
    def contested(self) -> TextDataset:
        """A few texts with the labels that a classifier is to learn from a set that contradicts itself."""
        return contested_texts(self.num_classes, self.multi_label)

    def train(self, seed: int) -> Training:
        """Train a new classifier while the global random state of the process is what the seed makes it."""
        training = Training(self.new())
        with global_seed(seed):
            before = global_state()
            try:
                training.returned = training.classifier.fit(self.train_set)
            except (Exception, SystemExit) as error:
                if raised_by_signal(error):
                    raise
                training.error = error
            training.moved = tuple(moved(before, global_state()))
        return training

    @cached_property
    def training(self) -> Training:
        """The training that most checks share."""
        return self.train(seed=1)

    @cached_property
    def prediction_error(self) -> BaseException | None:
        """What the shared classifier ends in when it is asked for probabilities of the texts it was trained on."""
        try:
            self.training.classifier.predict_proba(TextDataset(self.train_set.x))
        except (Exception, SystemExit) as error:
            if raised_by_signal(error):
                raise
            return error
        return None

    def known_failure(self, check: str, error: BaseException) -> str | None:
        """Return which other check reports an exception, if it has nothing to do with what this one is about."""
        try:
            if check != FIT_CHECK and _same_failure(self.training.error, error):
                return UNTRAINED
            if self.training.error is None and check != PREDICTION_CHECK:
                return UNPREDICTED if _same_failure(self.prediction_error, error) else None
        except (Exception, SystemExit) as raised:  # a factory whose new() fails
            if raised_by_signal(raised):
                raise
            return None
        return None

    @property
    def fitted(self) -> Any:
        """A fitted classifier to read from; no check may change it."""
        if self.training.error is not None:
            raise not_applicable(UNTRAINED)
        return self.training.classifier

    @cached_property
    def proba(self) -> Probabilities:
        """What the shared classifier says of the unseen texts."""
        proba: Probabilities = self.fitted.predict_proba(self.texts)
        return proba

    @cached_property
    def repeatable(self) -> bool:
        """Whether training again, in the same state of the process, gives the same bits."""
        again = self.train(seed=1)
        return again.error is None and same_bits(again.classifier.predict_proba(self.texts), self.proba)

    def require_repeatable(self) -> None:
        """Skip a check that compares two trainings where these differ anyway."""
        if not self.repeatable:
            raise not_applicable("two trainings differ by chance; give the factory a seed to have this checked")

    def fit_weighted(self, train_set: Dataset[Any], weights: ArrayLike) -> AnyClassifier:
        """Train a new classifier with weights, or skip the check where it refuses them on purpose."""
        try:
            classifier: AnyClassifier = self.new().fit(train_set, weights=weights)
        except UnsupportedError as error:
            raise not_applicable(f"the classifier takes no weights: {error}") from error
        return classifier

    def fit_contested(self, right: float, wrong: float) -> float:
        """Train on contested texts with a weight for the right labels and one for the wrong; return the margin."""
        count = len(self.contested)
        weights = np.tile(np.repeat([right, wrong], count), CONTESTED_TURNS // 2)
        classifier = self.fit_weighted(contested(self.contested, self.num_classes), weights)
        return self.margin(classifier, self.contested)

    @cached_property
    def margin_of_nine_to_one(self) -> float:
        """The margin after training on contested texts whose right labels weigh nine times the wrong ones."""
        return self.fit_contested(9, 1)

    def margin(self, classifier: Any, dataset: TextDataset) -> float:
        """Return by how much a classifier prefers the labels of a dataset to opposite ones, from -1 to 1.

        It is 0 for one that has learned nothing, or as much from texts as from their contradiction.
        """
        proba = np.asarray(classifier.predict_proba(TextDataset(dataset.x)), dtype=np.float64)
        y, other = dataset.y, opposite(dataset.y, min(self.num_classes, int(dataset.target_labels.max()) + 1))
        right, wrong = (float(proba[_indicator(labels, proba.shape)].mean()) for labels in (y, other))
        return (right - wrong) / max(right + wrong, 1e-12)

    def require_learning(self) -> None:
        """Skip a check that needs a classifier which has learned something."""
        margin = self.margin(self.fitted, self.train_set)
        if margin < 0.05:
            raise not_applicable(
                f"the classifier hardly learns from {len(self.train_set)} texts (right labels are preferred to "
                f"wrong ones by {margin:.3f} on a scale from -1 to 1), so nothing can be told; let the factory's "
                "classifiers train longer"
            )

    @cached_property
    def _room(self) -> tempfile.TemporaryDirectory[str]:
        return tempfile.TemporaryDirectory(prefix="smalltext-check-", ignore_cleanup_errors=True)

    def folder(self, name: str) -> Path:
        """Return a path of that name in a folder that lives as long as this subject."""
        return Path(self._room.name) / name

    @cached_property
    def saved(self) -> Path:
        """The shared classifier as a folder; no check may change it."""
        if not hasattr(self.fitted, "save"):
            raise not_applicable("the classifier has no save()")
        folder = self.folder("model")
        self.fitted.save(folder)
        return folder


def _same_failure(known: BaseException | None, error: BaseException) -> bool:
    """Tell whether two exceptions are of one type and come from one line."""
    if known is None or type(known) is not type(error):
        return False
    ends = [list(traceback.walk_tb(each.__traceback__))[-1] for each in (known, error)]
    return ends[0][0].f_code is ends[1][0].f_code and ends[0][1] == ends[1][1]


def _indicator(y: Labels, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Return which entries of a matrix of probabilities belong to labels."""
    if is_multi_label(y):
        applies: NDArray[np.bool_] = y.toarray() > 0
        return applies
    indicator = np.zeros(shape, dtype=np.bool_)
    indicator[np.arange(shape[0]), y] = True
    return indicator


def same_bits(one: NDArray[Any], other: NDArray[Any]) -> bool:
    """Tell whether two arrays are equal in shape, type and every bit."""
    one, other = np.asarray(one), np.asarray(other)
    return one.shape == other.shape and one.dtype == other.dtype and one.tobytes() == other.tobytes()


def difference(one: NDArray[Any], other: NDArray[Any]) -> str:
    """Say how two arrays of probabilities differ."""
    one, other = np.asarray(one), np.asarray(other)
    if one.shape != other.shape or one.dtype != other.dtype:
        return f"{one.dtype} of shape {one.shape} and {other.dtype} of shape {other.shape}"
    gaps = np.abs(one.astype(np.float64) - other.astype(np.float64))
    rows = int((gaps > 0).any(axis=-1).sum())
    return f"{rows} of {len(one)} rows differ, by up to {np.nanmax(gaps, initial=0.0):.3g}"
