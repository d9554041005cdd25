"""The initial word vectors: random, or a mixture with those of latent semantic analysis."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse

from smalltext_core import TextDataset, create_factory
from smalltext_core.errors import InvalidInputError
from smalltext_kimcnn import KimCNNClassifier
from smalltext_kimcnn.network import (
    RANDOM_RANGE,
    _left_singular_vectors,
    mix_with_lsa,
    random_vectors,
)
from smalltext_kimcnn.vectors import Vectors
from smalltext_kimcnn.vocabulary import Vocabulary
from smalltext_torch.batching import Ragged

SEA = ["ship harbour wave sail", "harbour wave storm", "sail ship storm wave", "storm ship harbour sail"]
LAND = ["field plough wheat barn", "wheat barn tractor", "plough field tractor barn", "tractor wheat field"]
TEXTS = [*SEA, *LAND, "only once"]
VOCABULARY = Vocabulary.from_texts(TEXTS)
NUMBERS = VOCABULARY.numbers


def encoded():
    return Ragged(*VOCABULARY.encode(TEXTS))


def random():
    return random_vectors(VOCABULARY, 100, RANDOM_RANGE, np.random.default_rng(0))


def mixed():
    matrix = random()
    mix_with_lsa(matrix, encoded(), np.random.default_rng(1))
    return matrix


def cosine(matrix, one, other):
    vectors = matrix[[NUMBERS[one], NUMBERS[other]]]
    return float(np.prod(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), axis=0).sum())


@pytest.mark.parametrize(("one", "other"), [("ship", "harbour"), ("wave", "storm"), ("wheat", "barn")])
def test_words_of_the_same_texts_are_nearer_than_words_of_different_ones(one, other):
    matrix = mixed()
    assert cosine(matrix, one, other) > 0.25
    assert abs(cosine(matrix, one, "tractor" if one in SEA[0] + SEA[1] else "ship")) < 0.2
    assert abs(cosine(random(), one, other)) < 0.25


def test_words_of_a_single_text_and_the_padding_keep_their_vectors():
    matrix = mixed()
    kept = [NUMBERS["only"], NUMBERS["once"], VOCABULARY.padding_idx, VOCABULARY.unknown_idx]
    assert np.array_equal(matrix[kept], random()[kept])
    assert not np.array_equal(matrix[NUMBERS["ship"]], random()[NUMBERS["ship"]])


def test_the_mixture_has_the_variance_of_random_vectors():
    changed = [NUMBERS[word] for word in " ".join(SEA + LAND).split()]
    assert mixed()[changed].std() == pytest.approx(RANDOM_RANGE / np.sqrt(3), rel=0.1)


def test_the_texts_are_left_as_they_are():
    texts = encoded()
    mix_with_lsa(random(), texts, np.random.default_rng(1))
    assert np.array_equal(texts.tokens, encoded().tokens)


@pytest.mark.parametrize("texts", [[], [[]], [[2, 2, 2]], [[2], [3]]])
def test_without_a_word_in_two_texts_all_vectors_stay_random(texts):
    matrix = random()
    mix_with_lsa(matrix, Ragged.from_sequences(texts), np.random.default_rng(1))
    assert np.array_equal(matrix, random())


@pytest.mark.parametrize("shape", [(200, 90), (90, 200), (40, 30)])
def test_the_decomposition_is_that_of_numpy(shape):
    rng = np.random.default_rng(0)
    matrix = scipy.sparse.random(*shape, density=0.2, random_state=rng, dtype=np.float32).tocsr()
    found = _left_singular_vectors(matrix, np.random.default_rng(1))
    left, values, _ = np.linalg.svd(matrix.toarray(), full_matrices=False)
    rank = min(64, *shape)
    expected = (left * values)[:, :rank]
    expected /= np.linalg.norm(expected, axis=1, keepdims=True).clip(1e-30)
    assert found.shape == (shape[0], rank)
    # Singular vectors are unique only up to sign, and up to rotations for close values; cosines are unaffected.
    assert np.abs(found @ found.T - expected @ expected.T).max() < 0.05


def test_latent_semantic_analysis_is_the_default_only_by_name():
    assert create_factory("kimcnn", num_classes=2).new().embedding_init == "lsa"
    assert KimCNNClassifier(2).embedding_init == "random"


def test_fit_begins_with_them():
    train_set = TextDataset(["ship wave sail", "harbour wave sail", "wheat barn field", "plough barn field"] * 6)
    train_set.y = [0, 0, 1, 1] * 6
    settings = {"num_epochs": 1, "validation_set_size": 0.0, "lr": 1e-9, "seed": 1}
    matrix = KimCNNClassifier(2, embedding_init="lsa", **settings).fit(train_set).model.embedding.weight.detach()
    words = Vocabulary.from_texts(train_set.x).numbers
    wave, sail, barn = (matrix[words[word]] for word in ("wave", "sail", "barn"))
    assert float(wave @ sail) > 2 * abs(float(wave @ barn))


def test_only_texts_that_are_trained_on_are_analysed(monkeypatch):
    seen = []
    monkeypatch.setattr(KimCNNClassifier, "initialize", lambda self, network, texts: seen.append(len(texts)))
    train_set = TextDataset(TEXTS[:8] * 5, [0, 1] * 20)
    KimCNNClassifier(2, embedding_init="lsa", num_epochs=1, validation_set_size=0.25).fit(train_set)
    assert seen == [30]


def test_pretrained_vectors_are_used_unchanged():
    vectors = Vectors(("ship", "wave"), np.eye(2, 5, dtype=np.float32))
    settings = {"embeddings": vectors, "static": True, "num_epochs": 1, "seed": 1}
    train_set = TextDataset(["ship wave", "field barn"] * 10, [0, 1] * 10)
    matrix = KimCNNClassifier(2, embedding_init="lsa", **settings).fit(train_set).model.embedding.weight
    words = Vocabulary.from_texts(train_set.x).numbers
    assert np.array_equal(matrix[[words["ship"], words["wave"]]].detach(), vectors.matrix)


def test_a_warm_start_keeps_what_was_learned(monkeypatch):
    train_set = TextDataset(TEXTS[:8] * 5, [0, 1] * 20)
    classifier = KimCNNClassifier(2, embedding_init="lsa", num_epochs=1, warm_start=True).fit(train_set)
    monkeypatch.setattr(
        KimCNNClassifier, "initialize", lambda *_: pytest.fail("the weights were initialized again")
    )
    classifier.fit(train_set)


@pytest.mark.parametrize("given", ["LSA", None, True, "svd"])
def test_another_initialization_is_refused(given):
    with pytest.raises(InvalidInputError, match="embedding_init"):
        KimCNNClassifier(2, embedding_init=given)
