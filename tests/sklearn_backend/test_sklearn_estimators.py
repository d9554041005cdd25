"""Any estimator gives a valid classifier, or is rejected with a clear message."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.calibration import CalibratedClassifierCV
from sklearn.cluster import KMeans
from sklearn.ensemble import RandomForestClassifier, StackingClassifier, StackingRegressor
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer
from sklearn.linear_model import LinearRegression, LogisticRegression, RidgeClassifier, SGDClassifier
from sklearn.naive_bayes import GaussianNB, MultinomialNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler
from sklearn.svm import SVC, LinearSVC

import smalltext_core as st
from smalltext_core.errors import InvalidInputError, UnsupportedError
from smalltext_sklearn import SklearnClassifier, SklearnDataset

WITH_PROBABILITIES = [
    LogisticRegression(),
    MultinomialNB(),
    RandomForestClassifier(n_estimators=20),
    KNeighborsClassifier(n_neighbors=3),
    SGDClassifier(loss="log_loss"),
    GaussianNB(),
    make_pipeline(MaxAbsScaler(), LogisticRegression()),
]
WITHOUT_PROBABILITIES = [LinearSVC(), RidgeClassifier(), SVC(), SGDClassifier(loss="hinge")]


def name(estimator):
    return type(estimator).__name__


@pytest.mark.parametrize("estimator", WITH_PROBABILITIES + WITHOUT_PROBABILITIES, ids=name)
def test_any_estimator_learns_topics(estimator, topics):
    labels, proba = SklearnClassifier(estimator, 3, seed=1).fit(topics).predict(topics, return_proba=True)
    assert_array_equal(labels, topics.y)
    assert_allclose(proba.sum(axis=1), 1, atol=1e-6)


@pytest.mark.parametrize("estimator", WITH_PROBABILITIES + WITHOUT_PROBABILITIES, ids=name)
def test_any_estimator_learns_several_labels(estimator, tagged):
    labels = SklearnClassifier(estimator, 6, multi_label=True, seed=1).fit(tagged).predict(tagged)
    assert_array_equal(labels.toarray(), tagged.y.toarray())


@pytest.mark.parametrize("estimator", [LogisticRegression(), GaussianNB()], ids=name)
def test_dense_and_sparse_features_give_the_same_probabilities(estimator, topics):
    sparse = SklearnDataset.from_texts(topics.x, topics.y, CountVectorizer())
    dense = SklearnDataset(sparse.x.toarray(), topics.y)
    proba = [SklearnClassifier(estimator, 3).fit(data).predict_proba(data) for data in (sparse, dense)]
    assert_allclose(proba[0], proba[1], atol=1e-4)


def test_a_dense_estimator_of_huge_sparse_features_is_refused_before_memory_runs_out(topics):
    classifier = SklearnClassifier(GaussianNB(), 3, vectorizer=HashingVectorizer(n_features=2**24))
    with pytest.raises(
        InvalidInputError, match=r"model: got GaussianNB, which takes dense features only \(4.5 GiB"
    ):
        classifier.fit(topics)


def test_stacking_with_its_default_final_estimator_has_probabilities(topics):
    estimators = [("lr", LogisticRegression()), ("nb", MultinomialNB())]
    default, explicit = (
        SklearnClassifier(StackingClassifier(estimators, **given), 3, seed=0).fit(topics).predict_proba(topics)
        for given in ({}, {"final_estimator": LogisticRegression()})
    )
    assert_allclose(default, explicit, atol=1e-4)
    with pytest.raises(InvalidInputError, match="StackingRegressor, which has neither"):
        SklearnClassifier(StackingRegressor([("lr", LinearRegression())]), 3)


def test_an_estimator_with_neither_probabilities_nor_scores_is_refused():
    with pytest.raises(InvalidInputError, match="KMeans, which has neither predict_proba nor"):
        SklearnClassifier(KMeans(), 3)


def test_a_class_instead_of_an_object_is_refused_with_advice():
    with pytest.raises(InvalidInputError, match=r"Give LogisticRegression\(\)"):
        SklearnClassifier(LogisticRegression, 3)


def test_calibration_is_that_of_scikit_learn(topics):
    classifier = SklearnClassifier(LinearSVC(random_state=0), 3).fit(topics)
    bare = CalibratedClassifierCV(LinearSVC(random_state=0), cv=5, ensemble=False)
    x = classifier.vectorizer_.transform(topics.x)
    assert_allclose(classifier.predict_proba(topics), bare.fit(x, topics.y).predict_proba(x), atol=1e-6)


def test_calibration_needs_two_texts_of_each_class(topics):
    train_set = st.TextDataset([*topics.x[:6], "a lonely song"], [*topics.y[:6], 2])
    with pytest.raises(InvalidInputError, match="one text of class 2; allowed: two or more of each class"):
        SklearnClassifier(LinearSVC(), 3).fit(train_set)


def test_defect_11_an_estimator_without_sample_weight_works_without_weights(topics):
    classifier = SklearnClassifier(KNeighborsClassifier(n_neighbors=1), 3).fit(topics)
    assert_array_equal(classifier.predict(topics), topics.y)


@pytest.mark.parametrize("multi_label", [False, True])
def test_defect_11_an_estimator_without_sample_weight_refuses_weights(multi_label, topics, tagged):
    data, num_classes = (tagged, 6) if multi_label else (topics, 3)
    classifier = SklearnClassifier(KNeighborsClassifier(), num_classes, multi_label)
    with pytest.raises(UnsupportedError, match=r"KNeighborsClassifier\.fit takes no sample_weight"):
        classifier.fit(data, weights=np.arange(1, len(data) + 1))


def test_weights_that_calibration_would_drop_silently_are_refused(topics):
    classifier = SklearnClassifier(CalibratedClassifierCV(KNeighborsClassifier(), cv=2), 3)
    with pytest.raises(UnsupportedError):
        classifier.fit(topics, weights=np.arange(1, len(topics) + 1))


def test_weights_reach_the_last_step_of_a_pipeline(topics):
    weights = np.linspace(0.5, 3, len(topics))
    pipeline = make_pipeline(MaxAbsScaler(), LogisticRegression())
    classifier = SklearnClassifier(pipeline, 3).fit(topics, weights=weights)
    x = classifier.vectorizer_.transform(topics.x)
    bare = make_pipeline(MaxAbsScaler(), LogisticRegression())
    bare.fit(x, topics.y, logisticregression__sample_weight=weights / weights.mean())
    assert_allclose(classifier.predict_proba(topics), bare.predict_proba(x), atol=1e-6)


def test_the_template_is_never_fitted(topics):
    estimator = LogisticRegression()
    SklearnClassifier(estimator, 3).fit(topics)
    assert not hasattr(estimator, "coef_")


def test_unset_random_states_are_seeded_and_set_ones_kept(topics):
    classifier = SklearnClassifier(RandomForestClassifier(n_estimators=5), 3, seed=7).fit(topics)
    assert isinstance(classifier.model_.random_state, int)
    fixed = SklearnClassifier(RandomForestClassifier(n_estimators=5, random_state=11), 3, seed=7).fit(topics)
    assert fixed.model_.random_state == 11


def test_defect_36_without_a_seed_the_global_generator_is_neither_read_nor_changed(topics):
    np.random.seed(3)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    classifier = SklearnClassifier(RandomForestClassifier(n_estimators=5), 3)
    first = classifier.fit(topics).model_.random_state
    assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002
    assert classifier.fit(topics).model_.random_state != first
