"""Texts are encoded only once with the same sentence transformer, and again after it has changed."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
import torch

import smalltext_core as st
from cache.hashed_texts import HashedTexts
from setfit_backend.tiny_sentence_transformers import tiny_sentence_transformer
from smalltext_cache import EmbeddingCache
from smalltext_cache.cache import key_of, memory_cache
from smalltext_core import TextDataset
from smalltext_core.errors import InvalidInputError
from smalltext_setfit import SetFitClassification
from smalltext_testing.sample_data import training_texts

OF_FIT = training_texts(2, multi_label=False).x
TEXTS = TextDataset([text for text in training_texts(6, multi_label=False).x if text not in OF_FIT])
COUNT = len(set(TEXTS.x))


@pytest.fixture(autouse=True)
def _forgetful():
    """Start every test with an empty memory cache."""
    memory_cache.cache_clear()


@pytest.fixture
def classifier(fitted):
    """Return a copy of a fitted classifier with an empty cache, which a test may change."""
    return copy.deepcopy(fitted)


def encoded(classifier, call):
    """Return the number of texts that a call encodes."""
    before = classifier.cache_info().misses
    call()
    return classifier.cache_info().misses - before


def counted_forward_passes(classifier):
    """Return a list to which the number of texts of each forward pass is appended."""
    passes = []
    body = classifier.model.body
    forward = body.forward
    body.forward = lambda features: passes.append(len(features["input_ids"])) or forward(features)
    return passes


def test_every_prediction_and_refit_head_use_the_cache(classifier, topics):
    passes = counted_forward_passes(classifier)
    proba = classifier.predict_proba(TEXTS)
    assert sum(passes) == COUNT
    np.testing.assert_array_equal(classifier.predict_proba(TEXTS), proba)
    np.testing.assert_array_equal(classifier.embed(TEXTS, return_proba=True)[1], proba)
    np.testing.assert_array_equal(classifier.predict_proba(TEXTS[[2, 0, 2]]), proba[[2, 0, 2]])
    classifier.predict(TEXTS)
    classifier.validate(TextDataset(TEXTS.x, np.arange(len(TEXTS)) % 2))
    classifier.refit_head(TextDataset([*topics.x, *TEXTS.x[:2]], [*topics.y, 0, 1]))
    classifier.predict_proba(TEXTS)
    assert sum(passes) == COUNT
    info = classifier.cache_info()
    assert info.misses == COUNT
    assert info.limit == 512 * 2**20
    assert info.texts == COUNT


@pytest.mark.parametrize("return_proba", [False, True])
def test_cached_results_equal_uncached_ones_bit_for_bit(make, topics, return_proba):
    cached, uncached = (make(**given).fit(topics) for given in ({}, {"embedding_cache_size": 0}))
    for _ in range(2):
        np.testing.assert_array_equal(cached.predict_proba(TEXTS), uncached.predict_proba(TEXTS))
        np.testing.assert_array_equal(cached.embed(TEXTS), uncached.embed(TEXTS))
    assert uncached.cache_info()[1:] == (4 * COUNT, 0, 0, 0)
    assert uncached.model is not cached.model


def test_a_loaded_classifier_uses_the_cache_of_the_saved_one(classifier, tmp_path):
    proba = classifier.predict_proba(TEXTS)
    classifier.save(tmp_path / "model")
    loaded = st.load(tmp_path / "model")
    assert loaded.cache_info()[:2] == (0, 0)
    assert encoded(loaded, lambda: np.testing.assert_array_equal(loaded.predict_proba(TEXTS), proba)) == 0
    assert loaded.embedding_cache_size == classifier.embedding_cache_size


def test_copies_and_pickles_do_not_contain_the_cache(make, topics, tmp_path):
    classifier = make(embedding_cache_size=2**20, embedding_cache_dir=tmp_path).fit(topics)
    classifier.predict_proba(TEXTS)
    for again in (copy.deepcopy(classifier), pickle.loads(pickle.dumps(classifier))):
        assert again.cache_info()[:2] == (0, 0)
        assert (again.embedding_cache_size, again.embedding_cache_dir) == (2**20, tmp_path)
        assert encoded(again, lambda again=again: again.predict_proba(TEXTS)) == 0


def scaled_in_place(classifier):
    next(classifier.model.body.parameters()).data.mul_(1.5)


def one_number_of_the_last_tensor(classifier):
    list(classifier.model.body.parameters())[-1].data.reshape(-1)[-1] += 1.0


def assigned(classifier):
    layer = classifier.model.word_embedding
    layer.weight = torch.nn.Parameter(layer.weight * 2, requires_grad=False)


def loaded_from_a_state_dict(classifier):
    body = classifier.model.body
    body.load_state_dict({name: tensor + 0.1 for name, tensor in body.state_dict().items()})


def rows_in_another_order(classifier):
    weight = classifier.model.word_embedding.weight
    weight.data.copy_(weight.data.flip(0))


def normalized(classifier):
    classifier.model.normalize = True


def pooled_otherwise(classifier):
    classifier.model.body[1].pooling_mode = "cls"


CHANGES = [
    *(scaled_in_place, one_number_of_the_last_tensor, assigned, loaded_from_a_state_dict, rows_in_another_order),
    *(normalized, pooled_otherwise),
]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_a_changed_network_does_not_use_previous_embeddings(classifier, change):
    classifier.predict_proba(TEXTS)
    change(classifier)
    found = []
    assert encoded(classifier, lambda: found.append(classifier.embed(TEXTS))) == COUNT
    memory_cache.cache_clear()
    np.testing.assert_array_equal(copy.deepcopy(classifier).embed(TEXTS), found[0])


@pytest.mark.filterwarnings("ignore:.* more than 5 tokens")
@pytest.mark.parametrize(
    "other", [{"max_seq_len": 5}, {"precision": "auto"}, {"seed": 2}], ids=lambda given: next(iter(given))
)
def test_another_classifier_does_not_use_the_embeddings_of_this_one(make, topics, other, monkeypatch):
    monkeypatch.setattr("smalltext_torch.device._cpu_multiplies_bfloat16", lambda: True)
    make().fit(topics).predict_proba(TEXTS)
    classifier = make(**other).fit(topics)
    assert encoded(classifier, lambda: classifier.predict_proba(TEXTS)) == COUNT


def test_fit_neither_reads_nor_fills_the_cache(make, topics):
    first = make().fit(topics)
    head = first.model.head.weight.clone()
    assert first.cache_info()[:3] == (0, 0, 0)
    first.embed(TextDataset(topics.x[:3]))  # in another batch than in fit
    second = make().fit(topics, TextDataset(topics.x[:5], topics.y[:5]))
    assert second.cache_info()[:2] == (0, 0)
    assert torch.equal(second.model.head.weight, head)


def test_each_round_of_fit_has_its_own_embeddings(make, topics):
    classifier = make(warm_start=True)
    for _ in range(2):
        classifier.fit(topics)
        assert encoded(classifier, lambda: classifier.predict_proba(TEXTS)) == COUNT
        assert encoded(classifier, lambda: classifier.predict_proba(TEXTS)) == 0


@pytest.mark.filterwarnings("ignore:all 3 samples")  # the tiny model has no dropout
def test_dropout_samples_are_never_cached(classifier):
    def draw():
        return classifier.predict_proba(TEXTS, dropout_sampling=3)

    passes = counted_forward_passes(classifier)
    first = draw()
    count = sum(passes)
    np.testing.assert_array_equal(draw(), first)
    assert sum(passes) == 2 * count > 0
    assert classifier.cache_info()[:3] == (0, 0, 0)


def test_the_least_recently_used_texts_are_evicted_first(fitted):
    limit = 100_000
    classifier = SetFitClassification(tiny_sentence_transformer(), 2, embedding_cache_size=limit, seed=1)
    classifier.fit(training_texts(2, multi_label=False), None, {"num_iterations": 1})
    for number in range(40):
        classifier.predict_proba(TextDataset([f"{text} {number}" for text in TEXTS.x] * 2))
        assert classifier.cache_info().size <= limit
    assert encoded(classifier, lambda: classifier.predict_proba(TextDataset([f"{TEXTS.x[0]} 39"]))) == 0
    assert encoded(classifier, lambda: classifier.predict_proba(TextDataset([f"{TEXTS.x[0]} 0"]))) == 1


@pytest.fixture
def filled(classifier, tmp_path):
    """Return a saved model, the probabilities of texts, and a folder with their embeddings."""
    classifier.save(tmp_path / "model")
    caching = SetFitClassification.load(tmp_path / "model", embedding_cache_dir=tmp_path / "cache")
    return tmp_path / "model", caching.predict_proba(TEXTS), tmp_path / "cache"


def in_a_new_process(filled):
    """Return a classifier with the cache folder of another process, and an empty memory cache."""
    memory_cache.cache_clear()
    return SetFitClassification.load(filled[0], embedding_cache_dir=filled[2])


def test_a_folder_is_read_by_later_processes(filled):
    model, proba, folder = filled
    later = in_a_new_process(filled)
    assert encoded(later, lambda: np.testing.assert_array_equal(later.predict_proba(TEXTS), proba)) == 0
    assert str(folder) not in (model / "smalltext.json").read_text()


DAMAGES = {
    "a changed byte": lambda data: bytes([*data[:300], data[300] ^ 1, *data[301:]]),
    "a changed count": lambda data: data[:55] + b"\xff" + data[56:],
    "cut short": lambda data: data[:-100],
    "empty": lambda data: b"",
    "longer": lambda data: data + b"\0" * 16,
    "something else": lambda data: b"not embeddings",
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_cache_file_is_ignored(filled, damage):
    (file,) = filled[2].rglob("*.embeddings")
    file.write_bytes(damage(file.read_bytes()))
    later = in_a_new_process(filled)
    with pytest.warns(UserWarning, match="damaged"):
        np.testing.assert_array_equal(later.predict_proba(TEXTS), filled[1])
    assert later.cache_info().misses == COUNT


def test_a_cache_file_of_another_encoder_is_ignored(filled):
    (file,) = filled[2].rglob("*.embeddings")
    dimensions = in_a_new_process(filled).embed(TEXTS).shape[1]
    foreign = HashedTexts("another encoder", dimensions)
    EmbeddingCache(0, filled[2]).vectors(TEXTS.x, foreign)
    (other,) = set(filled[2].rglob("*.embeddings")) - {file}
    other.replace(file)
    later = in_a_new_process(filled)
    with pytest.warns(UserWarning, match="another encoder"):
        np.testing.assert_array_equal(later.predict_proba(TEXTS), filled[1])
    assert key_of(TEXTS.x[0]) in file.read_bytes()


@pytest.mark.parametrize(
    ("argument", "wrong"),
    [("embedding_cache_size", -1), ("embedding_cache_size", "all"), ("embedding_cache_dir", 3)],
)
def test_arguments_of_the_cache_are_checked(make, argument, wrong):
    with pytest.raises(InvalidInputError, match=argument):
        make(**{argument: wrong})
