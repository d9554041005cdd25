"""The plugin of the counting classifier, and of others that are loaded in their own way."""

from __future__ import annotations

from collections.abc import Iterator

from smalltext_core import ClassifierSpec, hookimpl

CLASSES = {
    "counting": "counting_classifier:CountingClassifier",
    "counting-online": "wrong_saving:LoadsFromTheNetwork",
    "counting-trusting": "wrong_saving:LoadsWithoutLooking",
    "counting-drawing": "wrong_classifiers:DrawsWhenLoading",
    "counting-forgetful": "wrong_saving:ForgetsNamesOnLoading",
    "counting-strict-names": "wrong_saving:WantsANameForEachClass",
    "counting-late": "wrong_saving:ReadsItsModelLater",
    "counting-frozen": "wrong_saving:IgnoresFitOnceLoaded",
    "counting-unseeded": "wrong_saving:ForgetsItsSeedOnSaving",
    "counting-unbalanced": "wrong_saving:ForgetsClassWeightsOnSaving",
    "counting-even": "wrong_saving:ForgetsItsThresholdOnSaving",
    "counting-thresholds": "wrong_saving:ForgetsHowToChooseThresholds",
    "counting-silently": "wrong_side_effects:SilencesWarningsWhenLoading",
    "counting-watching": "wrong_side_effects:LeavesAThreadAfterLoading",
    "counting-open": "wrong_side_effects:LeavesFilesOpenAfterLoading",
    "counting-mapped": "unusual_classifiers:MapsItsModelIntoMemory",
    "counting-cyclic": "unusual_classifiers:MapsItsModelAndRefersToItself",
    "counting-cached": "unusual_classifiers:KeepsTheLastModelOfAFolder",
    "counting-predicting": "unusual_classifiers:OnlyPredictsOnceLoaded",
    "counting-list": "unusual_classifiers:StoresItsThresholdsAsAList",
    "counting-on": "unusual_classifiers:ContinuesFromItsModel",
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
