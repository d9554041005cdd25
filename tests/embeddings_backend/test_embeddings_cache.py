"""A classifier encodes each text only once, and counts hits and misses of its cache."""

from __future__ import annotations

import numpy as np
import pytest

from embeddings_backend.tiny_encoders import HashedWords
from smalltext_cache.cache import memory_cache
from smalltext_core import TextDataset
from smalltext_core.errors import InvalidInputError
from smalltext_embeddings import EmbeddingClassifier

TEXTS = [f"text number {number}" for number in range(50)]
TRAIN_SET = TextDataset(TEXTS[:10], [0, 1] * 5)


class Counted(HashedWords):
    """An encoder without embeddings in memory from other tests."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.fingerprint = name

    @property
    def encoded(self) -> list[str]:
        return [text for call in self.calls for text in call if text in TEXTS]


@pytest.fixture
def encoder(request):
    return Counted(request.node.nodeid)


def test_cache_info_counts_the_texts_of_a_classifier(encoder):
    classifier = EmbeddingClassifier(encoder, 2).fit(TRAIN_SET)
    assert classifier.cache_info()[:2] == (0, 10)
    classifier.predict(TextDataset(TEXTS[:20]))
    info = classifier.cache_info()
    assert info[:2] == (10, 20)
    assert info.texts >= 20
    assert 20 * 256 < info.size <= info.limit == 512 * 2**20


def test_a_text_is_encoded_once_by_all_classifiers(encoder):
    for _ in range(3):
        EmbeddingClassifier(encoder, 2).fit(TRAIN_SET).predict(TextDataset(TEXTS * 2))
    assert encoder.encoded == TEXTS


def test_a_limit_of_zero_disables_the_cache(encoder):
    classifier = EmbeddingClassifier(encoder, 2, embedding_cache_size=0).fit(TRAIN_SET)
    proba = [classifier.predict_proba(TextDataset(TEXTS)) for _ in range(2)]
    np.testing.assert_array_equal(*proba)
    assert encoder.encoded == TEXTS[:10] + TEXTS * 2
    with pytest.raises(InvalidInputError, match="embedding_cache_size"):
        EmbeddingClassifier(encoder, 2, embedding_cache_size=-1)


def test_a_folder_is_read_by_later_processes(encoder, tmp_path):
    proba = []
    for _ in range(2):
        memory_cache.cache_clear()  # as in a new process
        classifier = EmbeddingClassifier(encoder, 2, seed=0, embedding_cache_dir=tmp_path).fit(TRAIN_SET)
        proba.append(classifier.predict_proba(TextDataset(TEXTS)))
    np.testing.assert_array_equal(*proba)
    assert encoder.encoded == TEXTS
