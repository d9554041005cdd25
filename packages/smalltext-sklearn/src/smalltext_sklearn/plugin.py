"""The plugin that registers this backend with smalltext-core."""

from __future__ import annotations

from collections.abc import Iterable

from smalltext_core import ClassifierSpec, hookimpl


@hookimpl
def smalltext_classifiers() -> Iterable[ClassifierSpec]:
    yield ClassifierSpec(
        name="sklearn",
        summary="TF-IDF and logistic regression, or any scikit-learn estimator",
        protocol=1,
        classifier="smalltext_sklearn.classifier:SklearnClassifier",
        factory="smalltext_sklearn.factory:SklearnClassifierFactory",
        builder="smalltext_sklearn.factory:build",
        dataset="smalltext_sklearn.dataset:SklearnDataset",
        abilities=("multi_label", "weights", "embed", "save"),
    )
