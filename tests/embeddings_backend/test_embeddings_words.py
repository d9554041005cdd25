"""Static encoders tokenize each word once, and give the vectors of whole texts, and those of model2vec."""

from __future__ import annotations

import json

import numpy as np
import pytest

from smalltext_embeddings import as_encoder
from smalltext_embeddings.encoders import StaticEncoder

pytest.importorskip("model2vec")

import smalltext_tokenizers
from tokenizers_package.texts_of_words import TEXTS


@pytest.fixture
def encoder(static_model):
    return StaticEncoder({name: (static_model / name).read_bytes() for name in StaticEncoder.FILES}, "")


@pytest.mark.parametrize("most", [200_000, 3])
def test_vectors_are_those_of_tokenizing_whole_texts(static_model, encoder, monkeypatch, most):
    monkeypatch.setattr(smalltext_tokenizers.words, "_MAX_WORDS", most)
    assert smalltext_tokenizers.is_wordwise(json.loads((static_model / "tokenizer.json").read_text()))
    for _ in range(2):
        found = encoder.encode(TEXTS)
    monkeypatch.setattr(smalltext_tokenizers, "is_wordwise", lambda _: False)
    whole = type(encoder)(encoder.files(), "")
    np.testing.assert_array_equal(found, whole.encode(TEXTS))
    np.testing.assert_array_equal(found[:5], encoder.encode(TEXTS[:5]))


@pytest.mark.parametrize("dtype", ["float16", "int8", "float64"])
@pytest.mark.parametrize("quantised", [False, True])
def test_vectors_are_those_of_model2vec(static_model, tmp_path, dtype, quantised):
    from model2vec import StaticModel

    model = StaticModel.from_pretrained(static_model)
    rng = np.random.default_rng(0)
    model.embedding = (model.embedding * 100).astype(dtype)
    if quantised:
        model.token_mapping = rng.integers(0, len(model.embedding), len(model.tokens))
        model.weights = rng.uniform(0.1, 2.0, len(model.tokens))
    model.save_pretrained(tmp_path)
    expected = model.encode(TEXTS, normalize=False, max_length=512)
    found = as_encoder(tmp_path).encode(TEXTS)
    np.testing.assert_allclose(
        found, expected.astype(np.float32), rtol=2e-3 if dtype == "float16" else 1e-5, atol=0.02
    )


def test_as_encoder_finds_the_same_vectors(static_model, encoder):
    np.testing.assert_array_equal(as_encoder(static_model).encode(TEXTS), encoder.encode(TEXTS))
