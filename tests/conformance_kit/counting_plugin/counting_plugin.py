"""The plugin of the counting classifier, and of wrong classifiers whose error is in loading."""

from __future__ import annotations

from collections.abc import Iterator

from smalltext_core import ClassifierSpec, hookimpl

CLASSES = {
    "counting": "counting_classifier:CountingClassifier",
    "counting-online": "wrong_classifiers:LoadsFromTheNetwork",
    "counting-trusting": "wrong_classifiers:LoadsWithoutLooking",
    "counting-drawing": "wrong_classifiers:DrawsWhenLoading",
    "counting-forgetful": "wrong_classifiers:ForgetsNamesOnLoading",
    "counting-strict-names": "wrong_classifiers:WantsANameForEachClass",
}


@hookimpl
def smalltext_classifiers() -> Iterator[ClassifierSpec]:
    for name, classifier in CLASSES.items():
        yield ClassifierSpec(
            name=name,
            summary="Counts words",
            protocol=1,
            classifier=classifier,
            factory="counting_classifier:CountingFactory",
            builder="counting_classifier:build",
            abilities=("multi_label", "weights", "save"),
        )
