"""Long texts in overlapping windows."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from smalltext_core import TextDataset
from smalltext_core.errors import InvalidInputError
from smalltext_torch.batching import Ragged
from smalltext_torch.tokens import Frame
from smalltext_transformers import TransformersDataset
from transformers_backend.tiny_models import tiny_tokenizer

LONG = "the goal and the recipe " * 40


def test_windows_overlap_by_half_and_the_last_one_ends_with_the_text():
    texts = Ragged.from_sequences([[2, *range(10, 21), 3], [2, 3], [2, 10, 11, 12, 13, 3]])
    windows, counts = Frame(1, 1).windows(texts, 6)
    assert counts.tolist() == [5, 1, 1]
    assert [windows[number].tolist() for number in (0, 1, 4, 5)] == [
        [2, 10, 11, 12, 13, 3],
        [2, 12, 13, 14, 15, 3],
        [2, 17, 18, 19, 20, 3],
        [2, 3],
    ]


def test_a_long_text_has_the_mean_of_its_windows(make, topics):
    classifier = make(long_texts="window").fit(topics)
    windows, counts = Frame(1, 1).windows(TransformersDataset.from_texts([LONG], None, tiny_tokenizer()).x, 64)
    assert counts.tolist() == [-(-(200 - 62) // 31) + 1]
    texts = TextDataset(["goal", LONG, ""])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        proba = classifier.predict_proba(texts)
    expected = classifier.predict_proba(TransformersDataset(windows)).mean(axis=0)
    np.testing.assert_allclose(proba[1], expected, atol=1e-6)
    np.testing.assert_allclose(proba[::2], classifier.predict_proba(TextDataset(["goal", ""])), atol=1e-6)


def test_samples_and_embeddings_are_pooled_too(make, topics):
    classifier = make(long_texts="window").fit(topics)
    texts = TextDataset([LONG, "goal"])
    assert classifier.predict_proba(texts, dropout_sampling=3).shape == (2, 3, 2)
    embeddings, proba = classifier.embed(texts, return_proba=True)
    assert embeddings.shape == (2, 32)
    np.testing.assert_allclose(proba, classifier.predict_proba(texts), atol=1e-6)


def test_no_text_has_no_window(make, topics):
    assert make(long_texts="window").fit(topics).predict_proba(topics[:0]).shape == (0, 2)


def test_an_unknown_way_is_refused(make):
    with pytest.raises(InvalidInputError, match="long_texts"):
        make(long_texts="summarise")
