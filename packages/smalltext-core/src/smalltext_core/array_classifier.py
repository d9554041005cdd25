"""A base class for classifiers whose model is a few arrays."""

from __future__ import annotations

import inspect
import json
from abc import abstractmethod
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from smalltext_core import validation
from smalltext_core.atomic import as_path
from smalltext_core.classifier import Classifier, ProbabilisticClassifier
from smalltext_core.dataset import Dataset, TextDataset
from smalltext_core.errors import InvalidInputError, ModelFolderError, NotFittedError, PluginError
from smalltext_core.label_names import LabelNames
from smalltext_core.labels import is_multi_label
from smalltext_core.messages import brief, shown
from smalltext_core.probabilities import Probabilities, empty_probabilities
from smalltext_core.saving import model_folder, read_manifest

if TYPE_CHECKING:
    from typing_extensions import Self

Floats = NDArray[np.float64]
"""Targets, weights and probabilities."""

Arrays = Mapping[str, NDArray[Any]]
"""A model: arrays by name, of numbers or strings, never of objects."""

_BATCH = 1000


class ArrayClassifier(ProbabilisticClassifier, Classifier):
    """A classifier whose model is a few numpy arrays; a subclass implements `learn` and `probabilities`.

    This class does what every smalltext classifier must do: it validates its input before any work, supports
    weights, single-label and multi-label problems, label names and empty datasets, saves and loads without pickle,
    and keeps the previous model if `fit` fails.

    A subclass sets the class attributes `name` and `distribution`, passes `num_classes` and `multi_label` to this
    constructor, and stores each further argument as an attribute of the same name with a JSON-serialisable value.

    Parameters
    ----------
    num_classes : int
        The number of classes: 2 or more, or 1 or more if `multi_label`.
    multi_label : bool, default=False
        Whether several classes, or none, may apply to a text.

    Attributes
    ----------
    learned_ : mapping of str to ndarray
        The return value of `learn`.
    label_names_ : LabelNames or None
        The names of the classes, if the training set had any.

    Examples
    --------
    >>> class Majority(ArrayClassifier):
    ...     name, distribution = "majority", "smalltext-majority"
    ...
    ...     def learn(self, texts, targets, weights):
    ...         return {"shares": np.average(targets, axis=0, weights=weights)}
    ...
    ...     def probabilities(self, learned, texts):
    ...         return np.tile(learned["shares"], (len(texts), 1))
    >>> train_set = TextDataset(["a fine film", "a dull film", "dull"], [1, 0, 0])
    >>> Majority(num_classes=2).fit(train_set).predict(TextDataset(["fine"])).tolist()
    [0]
    """

    name: ClassVar[str]
    """The name under which the backend's plugin registers the classifier."""
    distribution: ClassVar[str]
    """The name of the backend's distribution, as pip installs it."""

    def __init__(self, num_classes: int, multi_label: bool = False) -> None:
        self.num_classes = validation.check_num_classes(num_classes, multi_label)
        self.multi_label = validation.check_flag("multi_label", multi_label)
        self.learned_: Arrays | None = None
        self.label_names_: LabelNames | None = None

    @abstractmethod
    def learn(self, texts: list[str], targets: Floats, weights: Floats) -> Arrays:
        """Return a model trained on labelled texts, without changing this object.

        Parameters
        ----------
        texts : list of str
            At least one text.
        targets : ndarray of float64, shape (len(texts), num_classes)
            1 if a class applies to a text, else 0; in single-label problems each row has exactly one 1.
        weights : ndarray of float64, shape (len(texts),)
            The weight of each text, above 0; all ones if the caller passed none.
        """

    @abstractmethod
    def probabilities(self, learned: Arrays, texts: list[str]) -> NDArray[Any]:
        """Return the probability of each class for each text, shape (len(texts), num_classes).

        Parameters
        ----------
        learned : mapping of str to ndarray
            The return value of `learn`, or the same arrays loaded from a saved model.
        texts : list of str
            At least one text; long inputs arrive in batches.
        """

    def fit(self, train_set: Dataset[Any], weights: ArrayLike | None = None) -> Self:
        """Train the classifier; if an argument is invalid or `learn` raises, the previous model is kept.

        See `AnyClassifier.fit`; the training set is a TextDataset.
        """
        chosen, checked = validation.training_data(
            train_set, weights, num_classes=self.num_classes, multi_label=self.multi_label
        )
        texts, y = _texts(chosen, "train_set"), chosen.y
        targets = y.toarray().astype(np.float64) if is_multi_label(y) else np.eye(self.num_classes)[y]
        learned = self.learn(texts, targets, np.ones(len(texts)) if checked is None else checked)
        self.learned_, self.label_names_ = self._checked(learned), chosen.label_names
        return self

    def predict_proba(self, data_set: Dataset[Any]) -> Probabilities:
        """Return the probability of each class for each text; see `AnyClassifier.predict_proba`."""
        validation.prediction_data(data_set, fitted=self.learned_ is not None, classifier=self)
        texts, learned = _texts(data_set, "data_set"), self.learned_
        assert learned is not None
        batches = (self._batch(learned, texts[start : start + _BATCH]) for start in range(0, len(texts), _BATCH))
        return np.concatenate([empty_probabilities(self.num_classes), *batches])

    def _batch(self, learned: Arrays, texts: list[str]) -> Probabilities:
        proba = np.asarray(self.probabilities(learned, texts), dtype=np.float32)
        if proba.shape != (len(texts), self.num_classes):
            expected = f"a row for each text and a column for each class, ({len(texts)}, {self.num_classes})"
            raise self._error("probabilities", f"gave shape {proba.shape}, not {expected}")
        return proba

    def _checked(self, learned: Arrays) -> Arrays:
        """Return the arrays from `learn`, or raise PluginError if they cannot be saved."""
        if not isinstance(learned, Mapping):
            raise self._error("learn", f"gave a {type(learned).__name__}, not a dict of arrays by name")
        for name, array in learned.items():
            if not isinstance(array, np.ndarray) or array.dtype.hasobject:
                what = f"an array of {array.dtype}" if isinstance(array, np.ndarray) else type(array).__name__
                allowed = "not a numpy array of numbers or strings"
                raise self._error("learn", f"gave {what} as {brief(name)}, {allowed}")
            if not isinstance(name, str) or not name.isidentifier():
                allowed = "which names a file; use letters, digits and underscores"
                raise self._error("learn", f"calls an array {brief(name)}, {allowed}")
        return dict(learned)

    def save(self, folder: str | Path) -> None:
        """Write the fitted classifier to a folder atomically: each array as .npy, the rest as JSON.

        See `Saving.save`. NotFittedError is raised before `fit`, and ModelFolderError if the folder contains
        anything but a saved model.
        """
        if self.learned_ is None:
            raise NotFittedError(self)
        for attribute in ("name", "distribution"):
            if not hasattr(self, attribute):
                raise PluginError(f"The class {type(self).__name__} lacks the attribute {attribute!r}.")
        with model_folder(
            folder,
            classifier=self.name,
            distribution=self.distribution,
            version=version(self.distribution),
            parameters=self._parameters(),
            label_names=self.label_names_,
        ) as staging:
            for name, array in self.learned_.items():
                np.save(staging / f"{name}.npy", array, allow_pickle=False)

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """Load a classifier from a folder that `save` wrote; no code in the folder is run.

        See `Saving.load`. ModelFolderError is raised if the folder is damaged or not a saved model of this class.
        """
        folder = as_path(folder)
        manifest = read_manifest(folder)
        if manifest.classifier != cls.name:
            raise ModelFolderError(f"{folder} holds a {shown(manifest.classifier)} classifier, not {cls.name!r}.")
        classifier = cls(**manifest.parameters)
        files = [name for name in manifest.files if name.endswith(".npy")]
        classifier.learned_ = {Path(file).stem: np.load(folder / file, allow_pickle=False) for file in files}
        classifier.label_names_ = manifest.names
        return classifier

    def _parameters(self) -> dict[str, Any]:
        """Return the constructor's arguments, which `load` passes to it again."""
        parameters = {}
        for name in inspect.signature(type(self)).parameters:
            if not hasattr(self, name):
                raise self._error("__init__", f"has to keep its argument as self.{name}")
            parameters[name] = getattr(self, name)
            try:
                json.dumps(parameters[name], allow_nan=False)
            except (TypeError, ValueError) as error:
                what = f"self.{name} of a {type(self).__name__} is {shown(parameters[name])}"
                raise PluginError(f"{what}, which JSON cannot hold, so it cannot be saved ({error}).") from error
        return parameters

    def _error(self, method: str, problem: str) -> PluginError:
        return PluginError(f"{type(self).__name__}.{method}() {problem}.")


def _texts(data_set: Dataset[Any], argument: str) -> list[str]:
    if not isinstance(data_set, TextDataset):
        raise InvalidInputError(argument, f"a {type(data_set).__name__}", "a TextDataset")
    return list(data_set.x)
