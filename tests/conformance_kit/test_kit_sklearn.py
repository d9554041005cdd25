"""The conformance kit for the classifier named "sklearn"."""

from __future__ import annotations

import pytest

import smalltext_core as st
from smalltext_testing import parametrize_checks

FOREST = {
    "estimator": "sklearn.ensemble.RandomForestClassifier",
    "estimator_parameters": {"n_estimators": 10},
}
SVM = {"estimator": "sklearn.svm.LinearSVC"}

SINGLE_LABEL = {"logistic": {}, "two-balanced": {"num_classes": 2, "class_weight": "balanced"}}
MULTI_LABEL = {
    "logistic": {},
    "one-balanced": {"num_classes": 1, "class_weight": "balanced", "multi_label_threshold": 0.4},
}
MORE_SINGLE_LABEL = {"bayes": {"estimator": "sklearn.naive_bayes.MultinomialNB"}, "forest": FOREST, "svm": SVM}
MORE_MULTI_LABEL = {
    "forest": FOREST,
    "svm": SVM,
    "neighbours": {"estimator": "sklearn.neighbors.KNeighborsClassifier"},
}


def factories(settings, multi_label):
    return [
        st.create_factory("sklearn", **{"num_classes": 3, "multi_label": multi_label, "seed": 1, **parameters})
        for parameters in settings.values()
    ]


@parametrize_checks(*factories(SINGLE_LABEL, multi_label=False), ids=list(SINGLE_LABEL))
@pytest.mark.usefixtures("forked_checks", "fewer_rounds")
def test_single_label_passes_the_conformance_kit(check):
    check()


@parametrize_checks(*factories(MULTI_LABEL, multi_label=True), ids=list(MULTI_LABEL))
@pytest.mark.usefixtures("forked_checks", "fewer_rounds")
def test_multi_label_passes_the_conformance_kit(check):
    check()


@pytest.mark.nightly
@parametrize_checks(*factories(MORE_SINGLE_LABEL, multi_label=False), ids=list(MORE_SINGLE_LABEL))
def test_other_estimators_pass_the_conformance_kit(check):
    check()


@pytest.mark.nightly
@parametrize_checks(*factories(MORE_MULTI_LABEL, multi_label=True), ids=list(MORE_MULTI_LABEL))
def test_other_multi_label_estimators_pass_the_conformance_kit(check):
    check()
