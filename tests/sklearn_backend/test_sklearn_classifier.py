"""The features that SklearnClassifier adds to its estimator: class numbers, columns, weights, validation."""

from __future__ import annotations

from unittest import mock

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_matrix, issparse
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import MultinomialNB

import smalltext_core as st
from smalltext_core.errors import InvalidInputError, NotFittedError
from smalltext_sklearn import SklearnClassifier, SklearnClassifierFactory, SklearnDataset


def test_defect_10_predictions_are_class_numbers_not_column_numbers(topics):
    without_one = topics[topics.y != 1]
    classifier = SklearnClassifier(LogisticRegression(), num_classes=3).fit(without_one)
    labels, proba = classifier.predict(without_one, return_proba=True)
    assert_array_equal(labels, without_one.y)
    assert proba.shape == (len(without_one), 3)
    assert (proba[:, 1] == 0).all()


def test_labels_are_int32_and_probabilities_float32(topics):
    labels, proba = SklearnClassifier(LogisticRegression(), 3).fit(topics).predict(topics, return_proba=True)
    assert (labels.dtype, proba.dtype) == (np.int32, np.float32)


def test_defect_14_empty_single_label_result_has_shape_0(topics):
    labels, proba = SklearnClassifier(LogisticRegression(), 3).fit(topics).predict(st.TextDataset([]), True)
    assert labels.shape == (0,)
    assert labels.dtype == np.int32
    assert proba.shape == (0, 3)


def test_empty_multi_label_result_is_a_csr_matrix_of_all_classes(tagged):
    labels = SklearnClassifier(LogisticRegression(), 6, True).fit(tagged).predict(st.TextDataset([]))
    assert isinstance(labels, csr_matrix)
    assert (labels.shape, labels.dtype) == ((0, 6), np.int32)


def test_defect_15_multi_label_probabilities_are_the_same_dense_array_both_ways(tagged):
    classifier = SklearnClassifier(MultinomialNB(), 6, True).fit(tagged)
    _, proba = classifier.predict(tagged, return_proba=True)
    assert not issparse(proba)
    assert_array_equal(proba, classifier.predict_proba(tagged))


def test_labels_of_no_text_and_of_every_text_have_probabilities_zero_and_one(tagged):
    proba = SklearnClassifier(LogisticRegression(), 6, True).fit(tagged).predict_proba(tagged)
    assert (proba[:, 4] == 0).all()
    assert (proba[:, 5] == 1).all()


def test_the_threshold_determines_the_labels(tagged):
    classifier = SklearnClassifier(MultinomialNB(), 6, True, multi_label_threshold=0.2).fit(tagged)
    labels, proba = classifier.predict(tagged, return_proba=True)
    assert_array_equal(labels.toarray(), proba > 0.2)


def test_probabilities_are_computed_once_for_labels_and_probabilities(topics):
    classifier = SklearnClassifier(LogisticRegression(), 3).fit(topics)
    with mock.patch.object(classifier.vectorizer_, "transform", wraps=classifier.vectorizer_.transform) as spy:
        classifier.predict(topics, return_proba=True)
    assert spy.call_count == 1


def test_multi_label_weights_are_those_of_each_label(tagged):
    weights = np.linspace(0.2, 3, len(tagged))
    classifier = SklearnClassifier(LogisticRegression(), 6, True).fit(tagged, weights=weights)
    x = classifier.vectorizer_.transform(tagged.x)
    bare = LogisticRegression().fit(x, tagged.y.toarray()[:, 0], sample_weight=weights / weights.mean())
    assert_allclose(classifier.predict_proba(tagged)[:, 0], bare.predict_proba(x)[:, 1], atol=1e-6)


@pytest.mark.parametrize("class_weight", ["balanced", {0: 5.0}, {2: 0.1, 1: 3}])
def test_class_weight_has_the_meaning_of_scikit_learn(class_weight, topics):
    unequal = topics[np.arange(len(topics)) % 5 != 0]
    unequal = st.TextDataset(unequal.x, unequal.y)  # without names, so that classes are identified by number
    classifier = SklearnClassifier(LogisticRegression(), 3, class_weight=class_weight).fit(unequal)
    x = classifier.vectorizer_.transform(topics.x)
    bare = LogisticRegression(class_weight=class_weight).fit(
        classifier.vectorizer_.transform(unequal.x), unequal.y
    )
    assert_allclose(classifier.predict_proba(topics), bare.predict_proba(x), atol=1e-4)


def test_defect_13_balanced_weights_of_missing_classes_give_no_nan(topics):
    classifier = SklearnClassifier(LogisticRegression(), 9, class_weight="balanced").fit(topics)
    assert np.isfinite(classifier.predict_proba(topics)).all()


@pytest.mark.parametrize(
    "class_weight",
    ["balance", {3: 1.0}, {0: -1.0}, {0: float("nan")}, {0: 0}, {"a": "2"}, {"a": 1, 0: 1}, 2.0],
)
def test_class_weights_without_a_meaning_are_refused(class_weight):
    with pytest.raises(InvalidInputError, match="class_weight"):
        SklearnClassifier(LogisticRegression(), 3, class_weight=class_weight)


def test_one_class_only_is_refused_by_name(topics):
    with pytest.raises(InvalidInputError, match="one class only, 1; allowed: texts of two or more classes"):
        SklearnClassifier(LogisticRegression(), 3).fit(topics[topics.y == 1])


def test_texts_without_a_word_are_refused_in_training_and_scored_afterwards(topics):
    classifier = SklearnClassifier(LogisticRegression(), 3)
    with pytest.raises(InvalidInputError, match="no word"):
        classifier.fit(st.TextDataset(["", "!?", "..."], [0, 1, 2]))
    assert classifier.fit(topics).predict_proba(st.TextDataset(["", "!?"])).shape == (2, 3)


def test_a_failed_fit_keeps_the_previous_model(topics):
    classifier = SklearnClassifier(LogisticRegression(), 3).fit(topics)
    before = classifier.predict_proba(topics)
    with pytest.raises(InvalidInputError):
        classifier.fit(st.TextDataset(["!", "?"], [0, 1]))
    assert_array_equal(classifier.predict_proba(topics), before)


def test_predicting_before_fitting_is_refused_even_for_no_text():
    with pytest.raises(NotFittedError, match="This SklearnClassifier is not fitted yet"):
        SklearnClassifier(LogisticRegression(), 3).predict(st.TextDataset([]))


def test_nan_probabilities_are_never_returned(topics):
    classifier = SklearnClassifier(LogisticRegression(), 3).fit(topics)
    classifier.model_.coef_[:] = np.nan
    with pytest.raises(InvalidInputError, match="LogisticRegression, whose predict_proba gave NaN at row 0"):
        classifier.predict_proba(topics)


def test_texts_and_their_features_give_equal_probabilities(topics):
    vectorizer = TfidfVectorizer()
    features = SklearnDataset.from_texts(topics.x, topics.y, vectorizer)
    from_features = SklearnClassifier(LogisticRegression(), 3).fit(features)
    from_texts = SklearnClassifier(LogisticRegression(), 3, vectorizer=TfidfVectorizer()).fit(topics)
    assert_array_equal(from_features.predict_proba(features), from_texts.predict_proba(topics))


def test_features_of_another_vectorizer_are_refused(topics):
    classifier = SklearnClassifier(LogisticRegression(), 3).fit(topics)
    other = SklearnDataset.from_texts(topics.x, vectorizer=CountVectorizer(max_features=3))
    with pytest.raises(InvalidInputError, match="3 features; allowed: "):
        classifier.predict(other)


def test_texts_for_a_classifier_of_features_are_refused(topics):
    features = SklearnDataset.from_texts(topics.x, topics.y, CountVectorizer())
    with pytest.raises(InvalidInputError, match="a TextDataset; allowed: a SklearnDataset, as in training"):
        SklearnClassifier(LogisticRegression(), 3).fit(features).predict(topics)


def test_a_single_character_is_a_word():
    texts = st.TextDataset(["a", "b"], [0, 1])
    assert st.create_classifier("sklearn", 2).fit(texts).predict(texts).tolist() == [0, 1]


def test_defect_48_the_parameters_of_a_factory_are_its_own():
    kwargs = {"multi_label": True}
    factory = SklearnClassifierFactory(LogisticRegression(), 3, kwargs)
    kwargs["multi_label"] = False
    assert factory.new().multi_label
    assert not SklearnClassifierFactory(LogisticRegression(), 3).new().multi_label


def test_a_factory_gives_each_classifier_its_own_estimator():
    factory = SklearnClassifierFactory(LogisticRegression(C=3), 3)
    one, other = factory.new(), factory.new()
    assert one.model is not other.model
    assert one.model.C == other.model.C == 3


class TrainsMeanwhile(TfidfVectorizer):
    """Lets the classifier be trained again, as another thread would, between the vectorizer and the estimator."""

    meanwhile = None

    def transform(self, raw_documents):
        features = super().transform(raw_documents)
        train, TrainsMeanwhile.meanwhile = TrainsMeanwhile.meanwhile, None
        if train is not None:
            train()
        return features


@pytest.mark.parametrize("calibration", ["none", "auto"])
@pytest.mark.parametrize(
    "result",
    [
        lambda classifier, texts: classifier.predict_proba(texts),
        lambda classifier, texts: classifier.predict(texts, return_proba=True)[1],
        lambda classifier, texts: classifier.embed(texts, return_proba=True)[1],
    ],
    ids=["predict_proba", "predict", "embed"],
)
def test_predictions_are_of_one_model_if_it_is_trained_meanwhile(topics, result, calibration, monkeypatch):
    vectorizer = TrainsMeanwhile(max_features=5)  # as many features for any texts, so that no check fails
    model = LogisticRegression()
    classifier = SklearnClassifier(model, 3, vectorizer=vectorizer, calibration=calibration, seed=1)
    every_other = topics[np.arange(0, len(topics), 2)]
    later = result(classifier.fit(topics), topics)
    before = result(classifier.fit(every_other), topics)
    monkeypatch.setattr(TrainsMeanwhile, "meanwhile", lambda: classifier.fit(topics))
    assert_array_equal(result(classifier, topics), before)
    assert_array_equal(result(classifier, topics), later)
    assert not np.array_equal(before, later)
