"""Inference over overlapping windows of long texts."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from smalltext_core import TextDataset, list_to_csr
from smalltext_core.errors import InvalidInputError
from smalltext_torch.batching import Ragged
from smalltext_torch.tokenization import SpecialTokens
from smalltext_transformers import TransformersDataset
from transformers_backend.tiny_models import tiny_tokenizer

LONG = "the goal and the recipe " * 40


def test_windows_overlap_by_half_and_the_last_one_ends_with_the_text():
    texts = Ragged.from_sequences([[2, *range(10, 21), 3], [2, 3], [2, 10, 11, 12, 13, 3]])
    windows, counts = SpecialTokens(1, 1).windows(texts, 6)
    assert counts.tolist() == [5, 1, 1]
    assert [windows[number].tolist() for number in (0, 1, 4, 5)] == [
        [2, 10, 11, 12, 13, 3],
        [2, 12, 13, 14, 15, 3],
        [2, 17, 18, 19, 20, 3],
        [2, 3],
    ]


def test_a_long_text_has_the_mean_of_its_windows(make, topics):
    classifier = make(long_texts="window").fit(topics)
    windows, counts = SpecialTokens(1, 1).windows(
        TransformersDataset.from_texts([LONG], None, tiny_tokenizer()).x, 64
    )
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


@pytest.mark.parametrize("class_weight", [None, {"football": 3.0, "cooking": 1.0}])
def test_validation_scores_are_those_of_the_predictions(make, topics, class_weight):
    classifier = make(long_texts="window", class_weight=class_weight).fit(topics)
    texts = TextDataset([LONG, "goal", "butter onion " + LONG], [1, 0, 0])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loss, accuracy = classifier.validate(texts)
    proba = classifier.predict_proba(texts)
    weights = np.array([1.0, 3.0, 3.0]) if class_weight else np.ones(3)
    expected = -(weights * np.log(proba[np.arange(3), texts.y])).sum() / weights.sum()
    assert loss == pytest.approx(expected, rel=1e-5)
    assert accuracy == pytest.approx((classifier.predict(texts) == texts.y).mean())
    first = make(class_weight=class_weight).fit(topics)
    with pytest.warns(UserWarning, match="2 of 3"):
        assert first.validate(texts)[0] != pytest.approx(loss, rel=1e-5)


def test_multi_label_validation_scores_are_those_of_the_predictions(make, labelled_twice):
    classifier = make(long_texts="window", multi_label=True).fit(labelled_twice)
    texts = TextDataset([LONG, "goal"], list_to_csr([[0, 1], []], num_classes=2))
    loss, accuracy = classifier.validate(texts)
    proba, truth = classifier.predict_proba(texts), texts.y.toarray()
    assert loss == pytest.approx(-np.log(np.where(truth, proba, 1 - proba)).mean(), rel=1e-5)
    assert accuracy == pytest.approx(((proba > 0.5) == truth).mean())


def test_no_text_has_no_window(make, topics):
    assert make(long_texts="window").fit(topics).predict_proba(topics[:0]).shape == (0, 2)


def test_an_unknown_value_of_long_texts_is_refused(make):
    with pytest.raises(InvalidInputError, match="long_texts"):
        make(long_texts="summarise")
