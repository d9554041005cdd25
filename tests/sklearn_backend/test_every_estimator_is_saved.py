"""Every accepted classifier of scikit-learn can be saved, and gives the same probabilities after loading."""

from __future__ import annotations

import ast
import re
import warnings

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    GradientBoostingClassifier,
    RandomForestClassifier,
    VotingClassifier,
)
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, RidgeClassifier, RidgeClassifierCV, SGDClassifier
from sklearn.multiclass import OneVsRestClassifier
from sklearn.naive_bayes import MultinomialNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler
from sklearn.svm import SVC, LinearSVC
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils import all_estimators

import smalltext_core as st
from smalltext_core.errors import UntrustedModelError
from smalltext_sklearn import SklearnClassifier

NOT_FOR_THESE_TEXTS = {
    "QuadraticDiscriminantAnalysis": "it needs more texts than features",
}


ITERATIVE = {"HistGradientBoostingClassifier", "MLPClassifier"}
"""Parameters for slow estimators; the number of iterations is irrelevant for saving."""

WITH_SEVERAL_LABELS = {
    "KNeighborsClassifier()",
    "LinearSVC()",
    "LogisticRegression()",
    "MultinomialNB()",
    "RandomForestClassifier(n_estimators=4)",
    "RidgeClassifier()",
}
"""What is saved with several labels by default: estimators that are fitted to each label, or to all of them."""

TAGS = [0, 1, 4, 5]
"""Classes that apply to some, none and all of the texts; the others apply to some, and would only take longer."""


def with_defaults():
    """Return the classifiers of scikit-learn that can be created without arguments."""
    found = []
    for name, estimator in all_estimators("classifier"):
        try:
            made = estimator()
        except TypeError:  # it requires other estimators
            continue
        if hasattr(made, "n_estimators"):
            made.set_params(n_estimators=4)  # a hundred trees would only take longer
        if name in ITERATIVE:
            made.set_params(max_iter=4)
        # Without an estimator, SelfTrainingClassifier, and before scikit-learn 1.8 ClassifierChain, have neither.
        scores = hasattr(made, "predict_proba") or hasattr(made, "decision_function")
        if scores and name not in NOT_FOR_THESE_TEXTS:
            found.append(made)
    return found


VARIANTS = [
    RidgeClassifier(solver="lsqr"),
    RidgeClassifier(positive=True),
    RidgeClassifierCV(cv=2),
    SGDClassifier(loss="huber"),
    SGDClassifier(loss="squared_error"),
    SGDClassifier(loss="epsilon_insensitive"),
    SGDClassifier(loss="squared_epsilon_insensitive"),
    SGDClassifier(average=True),
    LinearSVC(multi_class="crammer_singer"),
    LinearSVC(fit_intercept=False),
    OneVsRestClassifier(RidgeClassifier()),
    BaggingClassifier(RidgeClassifier(), n_estimators=3),
    BaggingClassifier(LinearSVC(), max_features=0.5, n_estimators=3),
    AdaBoostClassifier(DecisionTreeClassifier(max_depth=2), n_estimators=3),
    VotingClassifier([("a", LogisticRegression()), ("b", "drop"), ("c", MultinomialNB())], voting="soft"),
    GradientBoostingClassifier(n_estimators=3, init="zero"),
    GradientBoostingClassifier(n_estimators=3, init=LogisticRegression()),
    RandomForestClassifier(n_estimators=20, oob_score=True),
    CalibratedClassifierCV(RidgeClassifier(), cv=2),
    CalibratedClassifierCV(LinearSVC(), method="isotonic", cv=2),
    make_pipeline(MaxAbsScaler(), RidgeClassifier()),
    SVC(probability=True),
]


def load(folder):
    """Load a saved model, with the trusted types that the error message lists."""
    try:
        return st.load(folder)
    except UntrustedModelError as error:
        listed = re.search(r"trusted=(\[.*\])", str(error))
        return st.load(folder, trusted=ast.literal_eval(listed[1]))


def cases():
    """Return each estimator with each problem: by default two classes, and with some several labels, too."""
    found = []
    for estimator in [*with_defaults(), *VARIANTS]:
        name = re.sub(r"\s+", "", str(estimator))[:60]
        for problem in ("two classes", "three classes", "multi-label"):
            by_default = problem == "two classes" or (problem == "multi-label" and name in WITH_SEVERAL_LABELS)
            marks = [] if by_default else [pytest.mark.nightly]
            found.append(pytest.param(problem, estimator, id=f"{problem}-{name}", marks=marks))
    return found


@pytest.mark.parametrize(("problem", "estimator"), cases())
def test_loaded_models_have_the_same_probabilities(estimator, problem, topics, tagged, tmp_path):
    data = st.TextDataset(tagged.x, tagged.y[:, TAGS]) if problem == "multi-label" else topics
    if problem == "two classes":
        data = st.TextDataset(topics.x, np.minimum(topics.y, 1))
    num_classes = {"two classes": 2, "three classes": 3, "multi-label": len(TAGS)}[problem]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.simplefilter("ignore", FutureWarning)
        classifier = SklearnClassifier(estimator, num_classes, problem == "multi-label", seed=1).fit(data)
        expected = classifier.predict_proba(data)
    classifier.save(tmp_path / "model")
    assert_array_equal(load(tmp_path / "model").predict_proba(data), expected)


def test_trees_that_start_from_another_estimator_are_loaded_only_if_they_are_trusted(topics, tmp_path):
    estimator = GradientBoostingClassifier(n_estimators=2, init=LogisticRegression())
    SklearnClassifier(estimator, 3, seed=1).fit(topics).save(tmp_path / "model")
    with pytest.raises(UntrustedModelError, match=r"starts from a LogisticRegression.*_gb.GradientBoosting"):
        st.load(tmp_path / "model")
