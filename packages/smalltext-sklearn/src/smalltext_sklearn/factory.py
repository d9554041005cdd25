"""Makes scikit-learn classifiers, all alike and all unfitted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sklearn.base import BaseEstimator, clone

from smalltext_core import ClassifierFactory
from smalltext_core.errors import InvalidInputError
from smalltext_core.messages import shown
from smalltext_core.validation import check_mapping
from smalltext_sklearn.classifier import SklearnClassifier


class SklearnClassifierFactory(ClassifierFactory):
    """Makes `SklearnClassifier` objects of one estimator.

    Parameters
    ----------
    base_estimator : scikit-learn estimator
        The template; it is cloned for each classifier and never fitted itself.
    num_classes : int
        The number of classes.
    kwargs : mapping, optional
        Further parameters of SklearnClassifier, such as ``multi_label`` or ``seed``.

    Raises
    ------
    InvalidInputError
        If `base_estimator` is no scikit-learn estimator, or a parameter does not fit.

    Examples
    --------
    >>> from sklearn.naive_bayes import MultinomialNB
    >>> factory = SklearnClassifierFactory(MultinomialNB(), 2)
    >>> factory.new()
    SklearnClassifier(MultinomialNB(), num_classes=2)
    """

    def __init__(
        self, base_estimator: BaseEstimator, num_classes: int, kwargs: Mapping[str, Any] | None = None
    ) -> None:
        if not isinstance(base_estimator, BaseEstimator):
            raise InvalidInputError("base_estimator", shown(base_estimator), "a scikit-learn estimator object")
        self.base_estimator = base_estimator
        self.num_classes = num_classes
        self.kwargs = check_mapping("kwargs", kwargs)
        self.new()

    def new(self) -> SklearnClassifier:
        """Return a new, unfitted classifier with a clone of the estimator."""
        return SklearnClassifier(clone(self.base_estimator), self.num_classes, **self.kwargs)

    def __repr__(self) -> str:
        """Name the estimator and the number of classes."""
        return f"{type(self).__name__}({self.base_estimator!r}, num_classes={self.num_classes})"
