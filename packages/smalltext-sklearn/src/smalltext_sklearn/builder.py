"""The builder behind the name ``sklearn``."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any, Literal

from sklearn.base import BaseEstimator, clone

from smalltext_core.errors import InvalidInputError
from smalltext_core.messages import shown
from smalltext_core.validation import check_mapping
from smalltext_sklearn._estimators import default_estimator
from smalltext_sklearn.factory import SklearnClassifierFactory
from smalltext_sklearn.vectorizer import default_vectorizer


def build(
    num_classes: int,
    *,
    multi_label: bool = False,
    estimator: BaseEstimator | str | None = None,
    estimator_parameters: Mapping[str, Any] | None = None,
    vectorizer: BaseEstimator | str | None = None,
    vectorizer_parameters: Mapping[str, Any] | None = None,
    class_weight: Literal["balanced"] | Mapping[str, float] | Mapping[int, float] | None = None,
    multi_label_threshold: float = 0.5,
    seed: int | None = None,
) -> SklearnClassifierFactory:
    """Make a factory of scikit-learn classifiers.

    Parameters
    ----------
    num_classes : int
        The number of classes.
    multi_label : bool, default=False
        Whether several classes, or none, may apply to a text.
    estimator : scikit-learn classifier or its dotted name, optional
        What learns, such as sklearn.svm.LinearSVC; logistic regression by default.
    estimator_parameters : mapping of str to any value, optional
        Parameters to set on the estimator.
    vectorizer : scikit-learn transformer or its dotted name, optional
        What turns texts into features; by default TF-IDF of words and pairs of words.
    vectorizer_parameters : mapping of str to any value, optional
        Parameters to set on the vectorizer.
    class_weight : "balanced" or mapping of str (or int) to float, optional
        How much each class counts in training; "balanced" makes up for unequal counts.
    multi_label_threshold : float, default=0.5
        In multi-label problems a class applies if its probability is greater than this.
    seed : int, optional
        Makes training reproducible; the same seed and data give the same bits.

    Returns
    -------
    SklearnClassifierFactory

    Raises
    ------
    InvalidInputError
        If a name cannot be imported, or a parameter does not exist.

    Examples
    --------
    >>> factory = build(2, estimator="sklearn.naive_bayes.MultinomialNB", estimator_parameters={"alpha": 0.1})
    >>> factory.new()
    SklearnClassifier(MultinomialNB(alpha=0.1), num_classes=2)
    """
    chosen = default_estimator() if estimator is None else _as_object(estimator, "estimator")
    features = default_vectorizer() if vectorizer is None else _as_object(vectorizer, "vectorizer")
    return SklearnClassifierFactory(
        _with_parameters(chosen, estimator_parameters, "estimator_parameters"),
        num_classes,
        {
            "multi_label": multi_label,
            "vectorizer": _with_parameters(features, vectorizer_parameters, "vectorizer_parameters"),
            "class_weight": class_weight,
            "multi_label_threshold": multi_label_threshold,
            "seed": seed,
        },
    )


def _as_object(given: BaseEstimator | str, argument: str) -> BaseEstimator:
    """Return an estimator given as an object, or make one of its dotted name."""
    if not isinstance(given, str):
        return clone(given) if isinstance(given, BaseEstimator) else given
    module, _, name = given.rpartition(".")
    allowed = "the dotted name of a scikit-learn class, such as 'sklearn.svm.LinearSVC'"
    try:
        found = getattr(importlib.import_module(module), name)
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
    """Set parameters; a list stands for a tuple where there is one now, since JSON has no tuples."""
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
