"""The classifier under test: its properties, and trained classifiers that checks share."""

from __future__ import annotations

import tempfile
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from smalltext_core import AnyClassifier, ClassifierFactory, Dataset, TextDataset, list_to_csr, load
from smalltext_core.errors import UnsupportedError
from smalltext_core.labels import Labels, is_multi_label
from smalltext_core.probabilities import Probabilities
from smalltext_testing._check import (
    BrokenRuleError,
    NotApplicableError,
    attempt,
    changed_generators,
    global_random_state,
    global_seed,
    same_bits,
)
from smalltext_testing.sample_data import (
    class_names,
    few_texts,
    opposite,
    training_texts,
    unseen_texts,
    with_contradictions,
)

FIT_CHECK = "check_fit_trains_and_returns_self"
PREDICTION_CHECK = "check_probabilities_are_dense_float32"
LOADING_CHECK = "check_saved_model_loads_in_new_process"
SKIPPED_FOR = {
    FIT_CHECK: f"fit() fails on plain texts, see {FIT_CHECK}",
    PREDICTION_CHECK: f"predict_proba() fails on plain texts, see {PREDICTION_CHECK}",
}
"""Checks that report classifiers that cannot train or predict at all, and the reasons to skip the others then."""


@dataclass
class Training:
    """A trained classifier, the return value or exception of `fit`, and the global generators that it changed."""

    classifier: Any
    returned: Any
    error: BaseException | None
    changed_generators: list[str]


@dataclass
class Rounds:
    """Memory in bytes, open files and running threads after some rounds of training; files left at the end."""

    memory: list[int]
    opened: list[int]
    threads: list[set[threading.Thread]]
    left: list[str]


class CheckContext:
    """A factory under test. Expensive results are computed once, when a check first needs them.

    Parameters
    ----------
    factory : ClassifierFactory
    num_classes, multi_label : int and bool, optional
        By default those of the classifier, else those of the factory, else the number of columns after training on
        two classes, and False.
    """

    def __init__(
        self, factory: ClassifierFactory, num_classes: int | None = None, multi_label: bool | None = None
    ) -> None:
        self.factory = factory
        self._num_classes = num_classes
        self._multi_label = multi_label
        self.rounds: Rounds | None = None
        self.new_process: dict[str, NDArray[Any] | BrokenRuleError] | None = None

    def new(self) -> Any:
        return self.factory.new()

    @cached_property
    def unfitted(self) -> Any:
        """A classifier that is never fitted, for reading its attributes."""
        return self.new()

    @property
    def package(self) -> str:
        module, _ = attempt(lambda: type(self.unfitted).__module__)
        return (module or "").partition(".")[0]

    def attribute(self, name: str) -> Any:
        """Return an attribute of the classifier, else of the factory, else None."""
        return getattr(self.unfitted, name, getattr(self.factory, name, None))

    @cached_property
    def multi_label(self) -> bool:
        return bool(self.attribute("multi_label") if self._multi_label is None else self._multi_label)

    @cached_property
    def num_classes(self) -> int:
        given = self.attribute("num_classes") if self._num_classes is None else self._num_classes
        if given is None:
            given = self.new().fit(training_texts(2, self.multi_label)).predict_proba(TextDataset(["?"])).shape[1]
        return int(given)

    @property
    def threshold(self) -> NDArray[np.float32]:
        """The probability above which a class applies in a multi-label problem: one number, or one per class.

        It is the threshold that `fit` chose, else the parameter, else 0.5, in the precision of probabilities.
        """
        chosen = getattr(self.fitted, "multi_label_threshold_", None)
        given = self.attribute("multi_label_threshold") if chosen is None else chosen
        return np.array(0.5 if given is None or isinstance(given, str) else given, dtype=np.float32)

    @property
    def train_set(self) -> TextDataset:
        """The training texts: a new dataset each time, since a faulty classifier may change its arguments."""
        return self._train_set.clone()

    @cached_property
    def _train_set(self) -> TextDataset:
        return training_texts(self.num_classes, self.multi_label)

    @property
    def texts(self) -> TextDataset:
        """The texts to predict, without labels: a new dataset each time."""
        return self._texts.clone()

    @cached_property
    def _texts(self) -> TextDataset:
        return unseen_texts(self.num_classes)

    @cached_property
    def opposite_labels(self) -> Any:
        """Labels for the training texts that contradict their own."""
        return opposite(self.train_set.y, self.num_classes)

    @property
    def opposite_train_set(self) -> TextDataset:
        return TextDataset(self.train_set.x, self.opposite_labels, label_names=self.train_set.label_names)

    @property
    def later_train_set(self) -> TextDataset:
        """Another training set: it has fewer texts of class 0, and its label names are in another order."""
        plain = self.train_set
        of_first_class = np.flatnonzero(indicator(plain.y, self.num_classes)[:, 0])
        kept = np.setdiff1d(np.arange(len(plain)), of_first_class[::2])
        names = class_names(self.num_classes)[::-1]
        return TextDataset([plain.x[row] for row in kept], plain.y[kept], label_names=names)

    def labels(self, rows: list[Any], num_classes: int | None = None) -> Any:
        """Return labels as datasets hold them, from class numbers (multi-label: lists of them) or markers."""
        num_classes = num_classes or self.num_classes
        return list_to_csr(rows, num_classes) if self.multi_label else np.array(rows, dtype=int)

    def train(self, seed: int) -> Training:
        """Train a new classifier, with the global random number generators seeded."""
        classifier = self.new()
        with global_seed(seed):
            before = global_random_state()
            returned, error = attempt(classifier.fit, self.train_set)
            return Training(classifier, returned, error, changed_generators(before))

    @cached_property
    def training(self) -> Training:
        """The training that most checks share."""
        return self.train(seed=1)

    def known_failure(self, name: str, error: BaseException) -> str:
        """Return a reason to skip a check whose exception every training or prediction raises."""
        training, _ = attempt(lambda: self.training)
        if training is None:  # new() fails
            return ""
        reporting, cause = FIT_CHECK, training.error
        if cause is None:
            _, cause = attempt(training.classifier.predict_proba, TextDataset(self.train_set.x))
            reporting = PREDICTION_CHECK
        return SKIPPED_FOR[reporting] if name != reporting and _is_same_failure(cause, error) else ""

    @property
    def fitted(self) -> Any:
        """The shared, fitted classifier; checks must not change it."""
        if self.training.error is not None:
            raise NotApplicableError(SKIPPED_FOR[FIT_CHECK])
        return self.training.classifier

    @cached_property
    def proba(self) -> Probabilities:
        """The probabilities of `texts` from the shared classifier."""
        return self.fitted.predict_proba(self.texts)  # type: ignore[no-any-return]

    @cached_property
    def proba_again(self) -> Probabilities:
        """The probabilities of a second classifier, trained like the shared one, with the same global seeds."""
        return self.train(seed=1).classifier.predict_proba(self.texts)  # type: ignore[no-any-return]

    @cached_property
    def repeatable(self) -> bool:
        """Whether training again with the same global seeds gives the same bits."""
        again, error = attempt(lambda: self.proba_again)
        return error is None and same_bits(again, self.proba)

    def require_repeatable(self) -> None:
        """Skip the check if training is not repeatable."""
        if not self.repeatable:
            raise NotApplicableError("two training runs differ; give the factory a seed to have this checked")

    @cached_property
    def opposite(self) -> tuple[Any, Probabilities]:
        """A classifier trained on the opposite labels, which checks may train again, and its probabilities."""
        classifier = self.new().fit(self.opposite_train_set)
        return classifier, np.array(classifier.predict_proba(self.texts))

    @cached_property
    def later(self) -> tuple[Any, Probabilities]:
        """A classifier trained on `later_train_set`, which checks must not change, and its probabilities."""
        classifier = self.new().fit(self.later_train_set)
        return classifier, np.array(classifier.predict_proba(self.texts))

    def require_fits_from_scratch(self) -> None:
        """Skip the check if a fit continues from the previous one."""
        if self.attribute("warm_start"):
            raise NotApplicableError("warm_start is on: a second fit continues from the first")

    @property
    def fits_are_comparable(self) -> bool:
        """Whether every fit has to give what the first fit of a new classifier gives, bit for bit."""
        return self.repeatable and not self.attribute("warm_start")

    def calls(self) -> dict[str, Callable[[], Any]]:
        """Return calls of the methods that the shared classifier has, except fit, in an order that works."""
        fitted, texts, folder = self.fitted, self.texts, self.path("called")
        calls: dict[str, Callable[[], Any]] = {
            "the factory's new": self.new,
            "predict": lambda: fitted.predict(texts),
            "predict_proba": lambda: fitted.predict_proba(texts),
            "embed": lambda: fitted.embed(texts),
            "validate": lambda: fitted.validate(self.train_set),
            "save": lambda: fitted.save(folder),
            "load": lambda: load(folder),
        }
        lacking = {name for name in ("embed", "validate", "save") if not hasattr(fitted, name)}
        lacking |= {"load"} if "save" in lacking else set()
        return {name: call for name, call in calls.items() if name not in lacking}

    @cached_property
    def unequal_weights(self) -> NDArray[np.floating[Any]]:
        """Weights for the training texts: 1, 2 and 3 in turn; checks must not change them."""
        return 1.0 + np.arange(len(self.train_set)) % 3

    @cached_property
    def weighted_proba(self) -> Probabilities:
        """The probabilities of a classifier trained with `unequal_weights`."""
        classifier = self.fit_weighted(self.train_set, self.unequal_weights.copy())
        return np.array(classifier.predict_proba(self.texts))

    def fit_weighted(self, train_set: Dataset[Any], weights: ArrayLike) -> AnyClassifier:
        """Train a new classifier with weights; skip the check if it does not support them."""
        try:
            classifier: AnyClassifier = self.new().fit(train_set, weights=weights)
        except UnsupportedError as error:
            raise NotApplicableError(f"the classifier takes no weights: {error}") from error
        return classifier

    def margin_of_weights(self, right: float, wrong: float) -> float:
        """Return the margin after training on contradicting labels, with weights for right and wrong labels."""
        dataset = few_texts(self.num_classes, self.multi_label)
        train_set, weights = with_contradictions(dataset, self.num_classes, right, wrong)
        return self.margin(self.fit_weighted(train_set, weights), dataset)

    @cached_property
    def margin_of_nine_to_one(self) -> float:
        """The margin after training on contradicting labels, with nine times the weight for right labels."""
        return self.margin_of_weights(9, 1)

    def margin(self, classifier: Any, dataset: TextDataset) -> float:
        """Return how much a classifier prefers the labels of a dataset to opposite labels, from -1 to 1.

        It is 0 for a classifier that has learned nothing, or the same from right and wrong labels.
        """
        proba = np.asarray(classifier.predict_proba(TextDataset(dataset.x)), dtype=np.float64)
        y, other = dataset.y, opposite(dataset.y, min(self.num_classes, int(dataset.target_labels.max()) + 1))
        right, wrong = (float(proba[indicator(labels, self.num_classes)].mean()) for labels in (y, other))
        return (right - wrong) / max(right + wrong, 1e-12)

    def require_learning(self) -> None:
        """Skip the check if the shared classifier has learned almost nothing."""
        margin = self.margin(self.fitted, self.train_set)
        if margin < 0.05:
            raise NotApplicableError(
                f"the classifier hardly learns from {len(self.train_set)} texts (it prefers right labels to wrong "
                f"ones by {margin:.3f} on a scale from -1 to 1); let the factory's classifiers train longer"
            )

    @cached_property
    def _folder(self) -> tempfile.TemporaryDirectory[str]:
        return tempfile.TemporaryDirectory(prefix="smalltext-check-", ignore_cleanup_errors=True)

    def path(self, name: str) -> Path:
        """Return a path in a temporary folder, which is deleted with this object."""
        return Path(self._folder.name, name)

    @cached_property
    def saved(self) -> Path:
        """The folder of the saved shared classifier; checks must not change it."""
        if not hasattr(self.fitted, "save"):
            raise NotApplicableError("the classifier has no save()")
        folder = self.path("model")
        self.fitted.save(folder)
        return folder

    def load(self, folder: Path) -> Any:
        """Load the saved shared classifier from its folder, or a copy of that; skip the check if that fails."""
        classifier, error = attempt(load, folder)
        if error is not None:
            raise NotApplicableError(f"load() fails, see {LOADING_CHECK}") from error
        return classifier


def _is_same_failure(known: BaseException | None, error: BaseException) -> bool:
    """Return whether two exceptions have the same type and were raised by the same line."""
    if known is None or type(known) is not type(error):
        return False
    (frame, line), (other, other_line) = (list(traceback.walk_tb(one.__traceback__))[-1] for one in (known, error))
    return frame.f_code is other.f_code and line == other_line


def indicator(y: Labels, num_classes: int) -> NDArray[np.bool_]:
    """Return which classes apply, shape (n, num_classes)."""
    applies: NDArray[np.bool_] = y.toarray() > 0 if is_multi_label(y) else np.eye(num_classes, dtype=bool)[y]
    return applies
