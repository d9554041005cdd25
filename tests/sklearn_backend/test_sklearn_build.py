"""The builder behind the name ``sklearn``."""

from __future__ import annotations

import pytest
from sklearn.feature_extraction.text import HashingVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import MultinomialNB
from sklearn.preprocessing import Normalizer

import smalltext_core as st
from smalltext_core.errors import InvalidInputError
from smalltext_sklearn import SklearnClassifierFactory


def test_the_default_is_tfidf_of_words_pairs_and_characters_into_logistic_regression(topics):
    classifier = st.create_classifier("sklearn", num_classes=3).fit(topics)
    assert isinstance(classifier.vectorizer_, TfidfVectorizer)
    assert classifier.vectorizer_.ngram_range == (1, 2)
    assert classifier.vectorizer_.char_ngram_range == (3, 5)
    assert isinstance(classifier.model_, LogisticRegression)


@pytest.mark.parametrize("estimator", ["sklearn.naive_bayes.MultinomialNB", MultinomialNB()])
def test_an_estimator_by_dotted_name_or_as_an_object(estimator, topics):
    classifier = st.create_classifier("sklearn", 3, estimator=estimator, estimator_parameters={"alpha": 0.5})
    assert classifier.fit(topics).model_.alpha == 0.5


@pytest.mark.parametrize("vectorizer", ["sklearn.feature_extraction.text.HashingVectorizer", HashingVectorizer()])
def test_a_vectorizer_by_dotted_name_or_as_an_object(vectorizer, topics):
    parameters = {"n_features": 64}
    classifier = st.create_classifier("sklearn", 3, vectorizer=vectorizer, vectorizer_parameters=parameters)
    assert classifier.fit(topics).n_features_ == 64


def test_an_object_that_is_passed_is_not_changed():
    estimator = MultinomialNB()
    st.create_classifier("sklearn", 3, estimator=estimator, estimator_parameters={"alpha": 0.5})
    assert estimator.alpha == 1.0


def test_parameters_of_the_default_vectorizer_can_be_set(topics):
    classifier = st.create_classifier("sklearn", 3, vectorizer_parameters={"max_features": 5}).fit(topics)
    assert classifier.n_features_ == 5


def test_a_list_is_converted_to_a_tuple_since_json_has_none(topics):
    classifier = st.create_classifier("sklearn", 3, vectorizer_parameters={"ngram_range": [1, 1]}).fit(topics)
    assert classifier.vectorizer_.ngram_range == (1, 1)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"estimator": "sklearn.svm.LinearSCV"}, "estimator: got 'sklearn.svm.LinearSCV'"),
        ({"estimator": "LinearSVC"}, "such as 'sklearn.svm.LinearSVC'.$"),
        ({"estimator": ""}, "such as 'sklearn.svm.LinearSVC'.$"),
        ({"estimator": "..svm.LinearSVC"}, "such as 'sklearn.svm.LinearSVC'.$"),
        ({"estimator": "os.system"}, "estimator: got 'os.system'"),
        ({"estimator": "sklearn.ensemble.VotingClassifier"}, "Give an object instead"),
        ({"estimator_parameters": {"c": 1}}, "parameters of LogisticRegression: C, "),
        ({"vectorizer": "sklearn.linear_model.Ridge"}, "vectorizer"),
        ({"vectorizer_parameters": {"ngrams": 1}}, "parameters of WordCharTfidfVectorizer"),
        ({"estimater": "x"}, "Did you mean 'estimator'"),
        ({"seed": -1}, "seed: got -1"),
        ({"multi_label_threshold": 1.5}, "multi_label_threshold: got 1.5"),
    ],
)
def test_invalid_parameters_are_refused_before_any_work(parameters, message):
    with pytest.raises(InvalidInputError, match=message):
        st.create_factory("sklearn", 3, **parameters)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"estimator": 3}, "^estimator: got 3; "),
        ({"estimator": MultinomialNB}, "^estimator: got the class MultinomialNB; "),
        ({"estimator": "sklearn.preprocessing.Normalizer"}, "^estimator: got Normalizer, which has neither"),
        ({"vectorizer": "tfidf"}, "such as 'sklearn.feature_extraction.text.TfidfVectorizer'"),
        ({"vectorizer": 3}, "^vectorizer: got 3; "),
    ],
)
def test_errors_name_the_parameter_that_was_given_by_name(parameters, message):
    with pytest.raises(InvalidInputError, match=message):
        st.create_factory("sklearn", 2, **parameters)


def test_errors_of_the_factory_name_its_parameter():
    for wrong in (3, Normalizer()):
        with pytest.raises(InvalidInputError, match="^base_estimator: got "):
            SklearnClassifierFactory(wrong, 2)
