"""`TextClassifier` in the tools of scikit-learn that take an estimator."""

from __future__ import annotations

import numpy as np
import pytest
import sklearn
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import BaggingClassifier, VotingClassifier
from sklearn.model_selection import (
    GridSearchCV,
    StratifiedKFold,
    cross_val_predict,
    cross_val_score,
    cross_validate,
)
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, MultiLabelBinarizer

from robustness.backends import parameters as small
from smalltext_sklearn import TextClassifier

KIMCNN = {"name": "kimcnn", "num_epochs": 2, "embedding_dim": 8, "out_channels": 4}


@pytest.fixture
def labels(news):
    return [news.names[label] for label in news.pool_labels]


FEW = 120
"""Texts that are enough where models are trained several times."""


@pytest.fixture
def classifier():
    """Return one that is not calibrated: these tools would train all folds of that in each of their own."""
    return TextClassifier("sklearn", random_state=1, calibration="none")


@pytest.mark.filterwarnings("ignore:.* have more than .* tokens")
def test_every_classifier_is_trained_from_strings(backend, news, labels):
    classifier = TextClassifier(backend.name, random_state=1, **small(backend.name))
    classifier.fit(news.pool[:15], labels[:15])
    assert set(classifier.predict(news.test[:5])) <= set(news.names)
    assert classifier.predict_proba(news.test[:5]).shape == (5, len(classifier.classes_))


@pytest.mark.parametrize("as_x", [list, np.array], ids=["list", "array"])
def test_cross_val_score(news, labels, as_x):
    classifier = TextClassifier("sklearn", random_state=1)  # with all defaults, calibration among them
    assert cross_val_score(classifier, as_x(news.pool), labels, cv=2).mean() > 0.6


def test_cross_val_score_of_several_labels_a_text(classifier, news):
    y = MultiLabelBinarizer().fit_transform([[label, "any"] for label in news.pool_labels.astype(str)])
    assert cross_val_score(classifier, news.pool, y, cv=2, scoring="f1_micro").mean() > 0.6


@pytest.mark.filterwarnings("ignore:Number of classes in training fold")
@pytest.mark.filterwarnings("ignore:The least populated class")
def test_a_class_that_a_fold_lacks_has_a_column_of_zeros(classifier, news, labels):
    y = [*labels[:99], "single"]
    proba = cross_val_predict(classifier, news.pool[:100], y, cv=StratifiedKFold(2), method="predict_proba")
    column = sorted(set(y)).index("single")
    assert proba.shape == (100, 6)
    assert (proba[:, column] == 0).sum() >= 50


def test_grid_search_over_parameters(classifier, news, labels):
    classifier.set_params(estimator="sklearn.linear_model.LogisticRegression")
    grid = {"estimator_parameters": [{"C": 1e-6}, {"C": 30.0}]}
    search = GridSearchCV(classifier, grid, cv=2).fit(news.pool[:FEW], labels[:FEW])
    assert search.best_params_ == {"estimator_parameters": {"C": 30.0}}
    assert search.predict(news.test[:2]).dtype.kind == "U"


GRIDS = [
    pytest.param([{"class_weight": ["balanced"]}, {"calibration": ["none"]}], id="sklearn"),
    pytest.param([{"name": ["sklearn"]}, {key: [value] for key, value in KIMCNN.items()}], id="names"),
]


@pytest.mark.nightly  # they import everything again; by default, test_worker_processes.py starts such processes
@pytest.mark.parametrize("grid", GRIDS)
def test_grid_search_in_two_processes(news, labels, grid):
    search = GridSearchCV(TextClassifier(random_state=1), grid, cv=2, n_jobs=2, error_score="raise")
    search.fit(news.pool[:80], labels[:80])
    here = GridSearchCV(TextClassifier(random_state=1), grid, cv=2, error_score="raise").fit(
        news.pool[:80], labels[:80]
    )
    assert search.best_params_ == here.best_params_
    assert len(search.cv_results_["params"]) == 2
    assert search.cv_results_["mean_test_score"].tolist() == here.cv_results_["mean_test_score"].tolist()


def test_grid_search_names_a_parameter_that_does_not_exist(classifier, news, labels):
    with pytest.raises(ValueError, match="'num_epochs' for the classifier 'sklearn'; allowed: estimator"):
        GridSearchCV(classifier, {"num_epochs": [1, 2]}, cv=2).fit(news.pool, labels)


def test_the_last_step_of_a_pipeline(classifier, news, labels):
    pipeline = Pipeline(
        [("lower", FunctionTransformer(lambda texts: [text.lower() for text in texts])), ("it", classifier)]
    )
    pipeline.set_params(it__multi_label_threshold=0.4)
    assert cross_val_score(pipeline, news.pool[:FEW], labels[:FEW], cv=2).mean() > 0.5


@pytest.mark.parametrize("method", ["sigmoid", "isotonic"])
def test_calibration(classifier, news, labels, method):
    calibrated = CalibratedClassifierCV(classifier, method=method, cv=3).fit(news.pool[:FEW], labels[:FEW])
    assert calibrated.score(news.test, [news.names[label] for label in news.test_labels]) > 0.6
    np.testing.assert_allclose(calibrated.predict_proba(news.test).sum(axis=1), 1, rtol=1e-5)


def test_voting_of_two_classifiers(classifier, news, labels):
    bayes = TextClassifier("sklearn", estimator="sklearn.naive_bayes.MultinomialNB")
    voting = VotingClassifier([("lr", classifier), ("nb", bayes)], voting="soft").fit(news.pool, labels)
    assert voting.score(news.pool, labels) > 0.8


def test_bagging_gives_each_its_random_state(news, labels):
    # A bag takes columns of features: the texts are one.
    column = np.array(news.pool, dtype=object)[:, None]
    numbers = FunctionTransformer(lambda rows: column[np.ravel(rows)])
    bag = BaggingClassifier(make_pipeline(numbers, TextClassifier()), n_estimators=2, random_state=0)
    bag.fit(np.arange(len(column))[:, None], labels)
    assert len({member[-1].random_state for member in bag.estimators_}) == 2


@pytest.mark.parametrize("routed", [True, False])
def test_weights_are_routed_if_they_are_asked_for(classifier, news, labels, routed):
    weights = np.random.default_rng(0).uniform(0.1, 5, size=len(labels))
    with sklearn.config_context(enable_metadata_routing=True):
        classifier.set_fit_request(sample_weight=routed).set_score_request(sample_weight=not routed)
        cv = [(np.arange(200), np.arange(200, 250))]
        found = cross_validate(
            classifier, news.pool, labels, cv=cv, return_estimator=True, params={"sample_weight": weights}
        )
    by_hand = clone(classifier).fit(news.pool[:200], labels[:200], weights[:200] if routed else None)
    expected = by_hand.predict_proba(news.test)
    np.testing.assert_array_equal(found["estimator"][0].predict_proba(news.test), expected)


def test_weights_go_to_calibration_without_routing(classifier, news, labels):
    calibrated = CalibratedClassifierCV(classifier, cv=2)
    calibrated.fit(news.pool, labels, sample_weight=np.linspace(0.5, 2, len(labels)))
    assert calibrated.score(news.pool, labels) > 0.8
