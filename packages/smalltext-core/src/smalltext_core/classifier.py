"""The protocols of classifiers and factories, and those of the optional abilities.

A class implements a protocol by defining its methods. If it subclasses the protocol, Python raises TypeError for a
missing one. The rules for classifiers are tests: see `smalltext_testing`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, overload, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from smalltext_core.dataset import Dataset
from smalltext_core.label_names import LabelNames
from smalltext_core.labels import Labels
from smalltext_core.probabilities import Probabilities, to_labels
from smalltext_core.validation import Threshold, check_flag

if TYPE_CHECKING:
    from typing_extensions import Self

    from smalltext_core.calibration import Calibration

PROTOCOL_VERSION = 1
"""The version of this protocol; each ClassifierSpec states the version it was written for."""


@runtime_checkable
class AnyClassifier(Protocol):
    """Any text classifier: the type for annotations in code that works with every backend.

    `weights` is keyword-only here, because the second positional argument of `fit` differs between backends: it is
    `weights` for `Classifier`, and `validation_set` for classifiers that train a network.

    Examples
    --------
    >>> from smalltext_core import AnyClassifier, Dataset, create_classifier
    >>> def train(classifier: AnyClassifier, train_set: Dataset, weights=None) -> AnyClassifier:
    ...     return classifier.fit(train_set, weights=weights)
    >>> isinstance(create_classifier("sklearn", num_classes=2), AnyClassifier)
    True
    """

    @abstractmethod
    def fit(self, train_set: Dataset[Any], *, weights: ArrayLike | None = None) -> Self:
        """Train the classifier from the initial model.

        Parameters
        ----------
        train_set : Dataset
            Labelled texts.
        weights : array-like of float, shape (n,), optional
            The weight of each text: finite, 0 or greater, not all zero.
        """

    @overload
    def predict(self, data_set: Dataset[Any], return_proba: Literal[False] = False) -> Labels: ...
    @overload
    def predict(self, data_set: Dataset[Any], return_proba: Literal[True]) -> tuple[Labels, Probabilities]: ...
    @abstractmethod
    def predict(self, data_set: Dataset[Any], return_proba: bool = False) -> Labels | tuple[Labels, Probabilities]:
        """Label texts.

        Parameters
        ----------
        data_set : Dataset
            Texts, whose labels (if any) do not matter.
        return_proba : bool, default=False
            Whether to return the probabilities as well, at no further cost.

        Returns
        -------
        labels : ndarray of int32, shape (n,), or csr_matrix of int32, shape (n, num_classes)
        proba : ndarray of float32, shape (n, num_classes)
        """

    @abstractmethod
    def predict_proba(self, data_set: Dataset[Any]) -> Probabilities:
        """Return the probability of each class for each text: float32, shape (n, num_classes).

        Column k is class k. Rows sum to 1 unless the problem is multi-label.

        Parameters
        ----------
        data_set : Dataset
            Texts, whose labels (if any) do not matter.
        """


@runtime_checkable
class Classifier(AnyClassifier, Protocol):
    """A text classifier whose `fit` takes `weights` as its second positional argument.

    A classifier also has its parameters ``num_classes`` (int) and ``multi_label`` (bool) as attributes. Every
    `Classifier` is an `AnyClassifier`. Classifiers that train a network have further arguments before `weights`,
    so they are an `AnyClassifier` only.
    """

    @abstractmethod
    def fit(self, train_set: Dataset[Any], weights: ArrayLike | None = None) -> Self: ...


@runtime_checkable
class Saving(Protocol):
    """The ability ``save``: saving to a folder that `smalltext_core.load` reads."""

    @abstractmethod
    def save(self, folder: str | Path) -> None:
        """Write the fitted classifier to a folder atomically.

        Parameters
        ----------
        folder : path
            The folder of the saved model.
        """

    @classmethod
    @abstractmethod
    def load(cls, folder: str | Path) -> Self:
        """Load a classifier from a folder that `save` wrote; no code in the folder is run.

        Parameters
        ----------
        folder : path
            The folder of the saved model.
        """


class SavingClassifier(AnyClassifier, Saving, Protocol):
    """A classifier that can be saved: the return type of `smalltext_core.load`."""

    @property
    def num_classes(self) -> int:
        """The number of classes, including those without training texts."""

    @property
    def multi_label(self) -> bool:
        """Whether several classes, or none, may apply to a text."""

    @property
    def label_names_(self) -> LabelNames | None:
        """The names of the classes, if the training set had any."""


class ProbabilisticClassifier(ABC):
    """A classifier whose labels follow from its probabilities; a subclass implements `fit` and `predict_proba`.

    Attributes
    ----------
    num_classes : int
        The number of classes.
    multi_label : bool
        Whether several classes, or none, may apply to a text.
    multi_label_threshold : float, tuple of float or "auto", default=0.5
        In multi-label problems, a class applies if its probability exceeds this threshold, or its own one.
    multi_label_threshold_ : ndarray of float64, shape (num_classes,), optional
        The thresholds that `fit` chose; they take precedence over the parameter.
    calibration_ : Calibration, optional
        How `fit` calibrated the probabilities; None if it did not.

    Examples
    --------
    >>> from smalltext_core import TextDataset
    >>> class First(ProbabilisticClassifier):
    ...     num_classes, multi_label = 2, False
    ...
    ...     def fit(self, train_set):
    ...         return self
    ...
    ...     def predict_proba(self, data_set):
    ...         return np.tile(np.float32([1, 0]), (len(data_set), 1))
    >>> First().predict(TextDataset(["a fine film", "dull"])).tolist()
    [0, 0]
    """

    num_classes: int
    multi_label: bool
    multi_label_threshold: Threshold = 0.5
    multi_label_threshold_: NDArray[np.float64] | None = None
    calibration_: Calibration | None = None

    @abstractmethod
    def fit(self, train_set: Dataset[Any], *args: Any, **kwargs: Any) -> Self:
        """Train the classifier from the initial model; see `AnyClassifier.fit`.

        Parameters
        ----------
        *args, **kwargs : Any
            Further arguments of the backend, among them ``weights`` if it supports them.
        """

    @abstractmethod
    def predict_proba(self, data_set: Dataset[Any]) -> Probabilities:
        """Return the probability of each class for each text; see `AnyClassifier.predict_proba`."""

    @overload
    def predict(self, data_set: Dataset[Any], return_proba: Literal[False] = False) -> Labels: ...
    @overload
    def predict(self, data_set: Dataset[Any], return_proba: Literal[True]) -> tuple[Labels, Probabilities]: ...
    def predict(self, data_set: Dataset[Any], return_proba: bool = False) -> Labels | tuple[Labels, Probabilities]:
        """Return the labels that follow from the probabilities; see `AnyClassifier.predict`."""
        check_flag("return_proba", return_proba)
        threshold = self.decision_threshold()  # first, since `fit` in another thread may end meanwhile
        proba = self.predict_proba(data_set)
        labels = to_labels(proba, self.multi_label, threshold)
        return (labels, proba) if return_proba else labels

    def decision_threshold(self) -> float | NDArray[np.float64]:
        """Return the multi-label threshold: the one chosen by `fit`, else the parameter, where "auto" means 0.5.

        Returns
        -------
        float, or ndarray of float64, shape (num_classes,)
        """
        if self.multi_label_threshold_ is not None:
            return self.multi_label_threshold_
        given = self.multi_label_threshold
        return 0.5 if isinstance(given, str) else np.array(given) if isinstance(given, tuple) else given


@runtime_checkable
class ClassifierFactory(Protocol):
    """Creates unfitted classifiers, always with the same parameters."""

    @abstractmethod
    def new(self) -> AnyClassifier:
        """Return a new, unfitted classifier."""


@runtime_checkable
class Validating(Protocol):
    """The ability ``validate``: loss and accuracy on labelled texts."""

    @abstractmethod
    def validate(self, validation_set: Dataset[Any]) -> tuple[float, float]:
        """Return (loss, accuracy): the mean loss over texts, and the share of texts labelled correctly.

        Parameters
        ----------
        validation_set : Dataset
            Labelled texts.
        """


@runtime_checkable
class Embedding(Protocol):
    """The ability ``embed``: vectors of texts."""

    @abstractmethod
    def embed(self, data_set: Dataset[Any]) -> NDArray[np.float32]:
        """Return one vector for each text, shape (n, dimensions).

        Parameters
        ----------
        data_set : Dataset
            Texts, whose labels (if any) do not matter.
        """


@runtime_checkable
class DropoutSampling(Protocol):
    """The ability ``dropout_sampling``: probabilities under random dropout masks."""

    @abstractmethod
    def predict_proba(self, data_set: Dataset[Any], dropout_sampling: int = 1) -> NDArray[np.float32]:
        """Return probabilities, shape (n, num_classes), or (n, dropout_sampling, num_classes) above 1.

        Parameters
        ----------
        dropout_sampling : int, default=1
            The number of predictions for each text, with dropout if there are several.
        """
