"""The factory of scikit-learn classifiers, and the builder behind the name ``sklearn``."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

from sklearn.base import BaseEstimator, clone

from smalltext_core.errors import InvalidInputError
from smalltext_core.factory import ConstructorFactory, checked_keywords, with_parameters_of
from smalltext_core.messages import shown
from smalltext_core.validation import check_mapping
from smalltext_sklearn._estimators import check_estimator, default_estimator
from smalltext_sklearn.classifier import SklearnClassifier
from smalltext_sklearn.word_char_tfidf import WordCharTfidfVectorizer

_EXAMPLES = {
    "estimator": "sklearn.svm.LinearSVC",
    "vectorizer": "sklearn.feature_extraction.text.TfidfVectorizer",
}


class SklearnClassifierFactory(ConstructorFactory[SklearnClassifier]):
    """Create `SklearnClassifier` objects with the same estimator and parameters.

    Parameters
    ----------
    base_estimator : scikit-learn estimator
        The estimator, of which every classifier gets a clone; it is never fitted itself. InvalidInputError is
        raised for any other object.
    num_classes : int
        The number of classes.
    kwargs : mapping, optional
        Further parameters of `SklearnClassifier`; InvalidInputError is raised if one is unknown or invalid.

    Examples
    --------
    >>> from sklearn.naive_bayes import MultinomialNB
    >>> SklearnClassifierFactory(MultinomialNB(), 2).new()
    SklearnClassifier(MultinomialNB(), num_classes=2)
    """

    def __init__(
        self, base_estimator: BaseEstimator, num_classes: int, kwargs: Mapping[str, Any] | None = None
    ) -> None:
        check_estimator(base_estimator, "base_estimator")
        self.base_estimator = self.label = base_estimator
        super().__init__(SklearnClassifier, num_classes, **checked_keywords(SklearnClassifier, kwargs))

    def new(self) -> SklearnClassifier:
        """Return a new, unfitted classifier with a clone of the estimator."""
        return SklearnClassifier(clone(self.base_estimator), self.num_classes, **self.kwargs)


@with_parameters_of(SklearnClassifier, by_name={"calibration": "auto", "multi_label_threshold": "auto"})
def build(
    num_classes: int,
    *,
    estimator: BaseEstimator | str | None = None,
    estimator_parameters: Mapping[str, Any] | None = None,
    vectorizer: BaseEstimator | str | None = None,
    vectorizer_parameters: Mapping[str, Any] | None = None,
    **parameters: Any,
) -> SklearnClassifierFactory:
    """Create a factory of scikit-learn classifiers.

    Parameters
    ----------
    num_classes : int
        The number of classes.
    estimator : scikit-learn classifier or its dotted name, optional
        The estimator to train, such as sklearn.svm.LinearSVC; logistic regression by default.
    estimator_parameters : mapping of str to any value, optional
        Parameters to set on the estimator.
    vectorizer : scikit-learn transformer or its dotted name, optional
        The transformer that computes the features of texts; by default a `WordCharTfidfVectorizer`.
    vectorizer_parameters : mapping of str to any value, optional
        Parameters to set on the vectorizer.
    **parameters
        Further parameters of `SklearnClassifier`; InvalidInputError is raised if one is unknown or invalid, or a
        dotted name cannot be imported.

    Examples
    --------
    >>> build(2, estimator="sklearn.naive_bayes.MultinomialNB", estimator_parameters={"alpha": 0.1}).new()
    SklearnClassifier(MultinomialNB(alpha=0.1), num_classes=2)
    """
    model = default_estimator() if estimator is None else _as_object(estimator, "estimator")
    check_estimator(model, "estimator")
    features = WordCharTfidfVectorizer() if vectorizer is None else _as_object(vectorizer, "vectorizer")
    model = _with_parameters(model, estimator_parameters, "estimator_parameters")
    parameters["vectorizer"] = _with_parameters(features, vectorizer_parameters, "vectorizer_parameters")
    return SklearnClassifierFactory(model, num_classes, parameters)


def _as_object(given: BaseEstimator | str, argument: str) -> BaseEstimator:
    """Return an estimator object unchanged, or create one from its dotted name."""
    if not isinstance(given, str):
        return clone(given) if isinstance(given, BaseEstimator) else given
    module, _, name = given.rpartition(".")
    allowed = f"the dotted name of a scikit-learn class, such as {_EXAMPLES[argument]!r}"
    is_dotted = module and all(map(str.isidentifier, given.split(".")))
    try:
        found = getattr(importlib.import_module(module), name) if is_dotted else None
    except (ImportError, AttributeError, ValueError) as error:
        raise InvalidInputError(argument, shown(given), allowed, f"{type(error).__name__}: {error}") from error
    if not isinstance(found, type) or not issubclass(found, BaseEstimator):
        raise InvalidInputError(argument, shown(given), allowed)
    try:
        return found()
    except TypeError as error:
        raise InvalidInputError(argument, shown(given), allowed, f"Give an object instead: {error}") from error


def _with_parameters(
    estimator: BaseEstimator, parameters: Mapping[str, Any] | None, argument: str
) -> BaseEstimator:
    """Set parameters; a list is converted if the current value is a tuple, since JSON has no tuples."""
    given = check_mapping(argument, parameters)
    if given and not isinstance(estimator, BaseEstimator):
        raise InvalidInputError(
            argument, shown(given), f"None, for a {type(estimator).__name__} has no parameters"
        )
    known = estimator.get_params() if given else {}
    chosen = {}
    for name, value in given.items():
        if name not in known:
            kind = type(estimator).__name__
            raise InvalidInputError(argument, shown(name), f"parameters of {kind}: {', '.join(sorted(known))}")
        chosen[name] = tuple(value) if isinstance(value, list) and isinstance(known[name], tuple) else value
    return estimator.set_params(**chosen) if chosen else estimator
