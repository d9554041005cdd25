"""`SklearnClassifier.embed` returns vectors with meaningful distances."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import random_array
from sklearn.linear_model import LogisticRegression
from sklearn.metrics.pairwise import euclidean_distances

import smalltext_core as st
from smalltext_core.errors import NotFittedError
from smalltext_sklearn import SklearnClassifier
from smalltext_sklearn._estimators import EMBEDDING_DIMENSIONS, dense_embeddings


@pytest.fixture(scope="module")
def many_features():
    return random_array((40, 5_000), density=0.01, format="csr", rng=np.random.default_rng(0))


def test_few_features_are_the_vectors(topics):
    classifier = SklearnClassifier(LogisticRegression(), 3).fit(topics)
    features = classifier.vectorizer_.transform(topics.x).toarray()
    assert features.shape[1] <= EMBEDDING_DIMENSIONS
    vectors = classifier.embed(topics)
    assert vectors.dtype == np.float32
    assert_array_equal(vectors, features.astype(np.float32))


def test_probabilities_returned_with_the_vectors_are_those_of_predict_proba(topics):
    classifier = SklearnClassifier(LogisticRegression(), 3).fit(topics)
    vectors, proba = classifier.embed(topics, return_proba=True)
    assert_array_equal(vectors, classifier.embed(topics))
    assert_array_equal(proba, classifier.predict_proba(topics))


def test_many_features_become_512_numbers_that_keep_distances(many_features):
    vectors = dense_embeddings(many_features)
    assert (vectors.shape, vectors.dtype) == ((40, EMBEDDING_DIMENSIONS), np.float32)
    apart = ~np.eye(40, dtype=bool)
    far, near = euclidean_distances(many_features)[apart], euclidean_distances(vectors)[apart]
    assert_allclose(near / far, 1, atol=0.25)


def test_vectors_of_two_calls_can_be_compared(many_features):
    assert_allclose(dense_embeddings(many_features[7:9]), dense_embeddings(many_features)[7:9], rtol=1e-6)


def test_no_texts_give_no_vectors_of_the_same_width(topics):
    classifier = SklearnClassifier(LogisticRegression(), 3).fit(topics)
    vectors, proba = classifier.embed(st.TextDataset([]), return_proba=True)
    assert vectors.shape == (0, classifier.embed(topics).shape[1])
    assert proba.shape == (0, 3)


def test_an_unfitted_classifier_refuses_to_embed(topics):
    with pytest.raises(NotFittedError):
        SklearnClassifier(LogisticRegression(), 3).embed(topics)
