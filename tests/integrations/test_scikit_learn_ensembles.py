"""Every classifier, as a `TextClassifier`, inside scikit-learn's ensembles and wrappers of a fitted estimator."""

from __future__ import annotations

import numpy as np
import pytest
import sklearn
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import StackingClassifier, VotingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from robustness.backends import NAMES, parameters
from smalltext_sklearn import TextClassifier
from smalltext_testing.sample_data import training_texts

KNOWN = training_texts(3, multi_label=False)
TEXTS = list(KNOWN.x) * 2
LABELS = [("football", "cooking", "music")[number] for number in KNOWN.y] * 2
CLASSES = sorted(set(LABELS))

each_backend = pytest.mark.parametrize("name", NAMES)


def estimator(name):
    return TextClassifier(name, random_state=1, calibration="none", **parameters(name))


def estimators():
    return [(name, estimator(name)) for name in NAMES]


@pytest.fixture(scope="module")
def stacked():
    final = LogisticRegression(C=10)
    return StackingClassifier(estimators(), final, cv=2, stack_method="predict_proba").fit(TEXTS, LABELS)


def test_all_backends_are_stacked(stacked):
    assert [one.name for one in stacked.estimators_] == list(NAMES)
    assert stacked.transform(TEXTS[:4]).shape == (4, 3 * len(NAMES))
    proba = stacked.predict_proba(TEXTS)
    assert proba.shape == (len(TEXTS), 3)
    assert stacked.classes_.tolist() == CLASSES
    assert stacked.score(TEXTS, LABELS) > 0.8


def test_a_stack_of_fitted_classifiers_trains_the_last_estimator_alone(stacked):
    fitted = list(zip(NAMES, stacked.estimators_, strict=True))
    before = [one.predict_proba(TEXTS) for one in stacked.estimators_]
    again = StackingClassifier(fitted, LogisticRegression(), cv="prefit").fit(TEXTS, LABELS)
    for one, expected in zip(again.estimators_, before, strict=True):
        np.testing.assert_array_equal(one.predict_proba(TEXTS), expected)


@pytest.mark.parametrize("voting", ["soft", "hard"])
def test_all_backends_vote(voting):
    ensemble = VotingClassifier(estimators(), voting=voting).fit(TEXTS, LABELS)
    predicted = ensemble.predict(TEXTS)
    assert set(predicted) <= set(CLASSES)
    if voting == "soft":
        single = [one.predict_proba(TEXTS) for one in ensemble.estimators_]
        np.testing.assert_allclose(ensemble.predict_proba(TEXTS), np.mean(single, axis=0), rtol=1e-6)


@each_backend
def test_weights_are_routed_through_an_ensemble(name):
    weights = np.linspace(0, 2, len(TEXTS))
    with sklearn.config_context(enable_metadata_routing=True):
        members = [("it", estimator(name).set_fit_request(sample_weight=True))]
        ensemble = VotingClassifier(members, voting="soft").fit(TEXTS, LABELS, sample_weight=weights)
    by_hand = estimator(name).fit(TEXTS, LABELS, sample_weight=weights)
    np.testing.assert_array_equal(ensemble.predict_proba(TEXTS), by_hand.predict_proba(TEXTS))
    assert (by_hand.predict_proba(TEXTS) != estimator(name).fit(TEXTS, LABELS).predict_proba(TEXTS)).any()


def test_weights_that_nobody_asked_for_are_refused():
    with sklearn.config_context(enable_metadata_routing=True):
        pipeline = make_pipeline(FunctionTransformer(list), estimator("sklearn"))
        with pytest.raises(ValueError, match="sample_weight"):
            pipeline.fit(TEXTS, LABELS, sample_weight=np.ones(len(TEXTS)))


@each_backend
def test_a_frozen_classifier_is_calibrated_without_being_trained(name):
    frozen = pytest.importorskip("sklearn.frozen").FrozenEstimator
    classifier = estimator(name).fit(TEXTS, LABELS)
    before = classifier.predict_proba(TEXTS)
    calibrated = CalibratedClassifierCV(frozen(classifier)).fit(TEXTS, LABELS)
    np.testing.assert_array_equal(classifier.predict_proba(TEXTS), before)
    np.testing.assert_allclose(calibrated.predict_proba(TEXTS).sum(axis=1), 1, rtol=1e-5)
    assert calibrated.classes_.tolist() == CLASSES


@each_backend
def test_probabilities_are_predicted_across_folds(name):
    proba = cross_val_predict(estimator(name), TEXTS, LABELS, cv=2, method="predict_proba")
    assert proba.shape == (len(TEXTS), 3)
    np.testing.assert_allclose(proba.sum(axis=1), 1, rtol=1e-5)


@pytest.mark.slow
@each_backend
def test_calibration_across_folds(name):
    calibrated = CalibratedClassifierCV(estimator(name), cv=2).fit(TEXTS, LABELS)
    assert len(calibrated.calibrated_classifiers_) == 2
    np.testing.assert_allclose(calibrated.predict_proba(TEXTS).sum(axis=1), 1, rtol=1e-5)


@pytest.mark.slow
def test_a_grid_of_all_backends():
    grid = [{"name": [name], **{key: [value] for key, value in parameters(name).items()}} for name in NAMES]
    search = GridSearchCV(TextClassifier(random_state=1), grid, cv=2, error_score="raise").fit(TEXTS, LABELS)
    assert [one["name"] for one in search.cv_results_["params"]] == list(NAMES)
    assert search.best_estimator_.predict(TEXTS[:1])[0] in CLASSES
