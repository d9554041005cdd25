"""Texts in many scripts: for backends with their own tokens, both normal forms of Unicode are the same text."""

from __future__ import annotations

import unicodedata

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from robustness import backends
from smalltext_core import TextDataset, create_classifier
from smalltext_core.errors import InvalidInputError

TOKENIZED_BY_US = [name for name in ("sklearn", "kimcnn") if name in backends.NAMES]
"""The other backends use the tokenizer of the pretrained model."""

SCRIPTS = {
    "Hindi": ("यह दिन अच्छा है", "यह दान ख़राब है"),
    "Bengali": ("এই ছবিটা ভালো", "এই ছবিটা বাজে"),
    "Tamil": ("படம் மிகவும் நன்று கொ", "படம் மோசம்"),
    "Arabic with harakat": ("الكِتَابُ جَيِّدٌ أحمد", "الفِيلْمُ سَيِّئٌ إبن"),
    "Hebrew with niqqud": ("שָׁלוֹם טוֹב", "סֵפֶר רַע"),
    "Vietnamese": ("phim này rất hay và tuyệt vời", "phim này quá tệ và dở"),
    "German": ("schöne Grüße, großer Spaß", "üble Öde, schlechte Gefühle"),
    "Chinese": ("我喜欢这部电影", "我讨厌这部电影"),
    "Japanese": ("この映画が大好きです ガギグ", "この映画はひどかったです パピプ"),
    "Korean": ("이 영화는 정말 좋아요", "이 영화는 너무 나빠요"),
    "Thai": ("หนังเรื่องนี้ดีมาก", "หนังเรื่องนี้แย่มาก"),
    "emoji": ("👍🏽 ❤️ 👩‍👩‍👧 🇩🇪 1️⃣", "👎🏿 💔 👨‍👦 🇫🇷 2️⃣"),
    "Turkish": ("İyi bir film, çok güzel", "Kötü bir film, ışık yok"),
    "Greek": ("Ωραία ταινία, τέλειος", "Άσχημη ταινία, χάλια"),
}


SMALL = {"sklearn": {}, "kimcnn": {"num_epochs": 1, "embedding_dim": 4, "out_channels": 2, "kernel_heights": (2,)}}


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize("name", TOKENIZED_BY_US)
def test_composed_and_decomposed_texts_have_equal_probabilities(name, script):
    one, other = SCRIPTS[script]
    train_set = TextDataset([one, other] * 8, [0, 1] * 8)
    classifier = create_classifier(name, 2, seed=1, **SMALL[name]).fit(train_set)
    texts = [one, other, f"{one} {other}", one.upper(), other[: len(other) // 2]]
    proba = [
        classifier.predict_proba(TextDataset([unicodedata.normalize(form, text) for text in texts]))
        for form in ("NFC", "NFD")
    ]
    assert_array_equal(*proba)


@pytest.mark.parametrize("name", TOKENIZED_BY_US)
def test_the_form_of_the_training_texts_does_not_matter(name):
    texts = [text for pair in SCRIPTS.values() for text in pair]
    proba = []
    for form in ("NFC", "NFD"):
        train_set = TextDataset([unicodedata.normalize(form, text) for text in texts], [0, 1] * len(SCRIPTS))
        classifier = create_classifier(name, 2, seed=1, **SMALL[name]).fit(train_set)
        proba.append(classifier.predict_proba(TextDataset(texts)))
    assert_array_equal(*proba)


@pytest.mark.parametrize("name", TOKENIZED_BY_US)
@pytest.mark.parametrize("unit", ["a\u0300\u0316", "か\u3099", "👨\u200d", "日本", "n't", "क\u093f"], ids=ascii)
def test_long_texts_in_any_script_are_labelled(name, unit, fitted):
    proba = fitted(name).predict_proba(TextDataset([unit * 20_000]))
    assert proba.shape == (1, 3)


@pytest.mark.parametrize("name", backends.NAMES)
@pytest.mark.parametrize("weights", [None, [1, 2, 3, 4]], ids=["equal", "weighted"])
@pytest.mark.parametrize("text", ["", "  ", "\u200b", "!", "\N{COMBINING ACUTE ACCENT}"], ids=ascii)
def test_training_texts_without_a_word_are_learned_from_or_refused(name, weights, text):
    classifier = backends.factory(name).new()
    try:
        classifier.fit(TextDataset([text] * 4, [0, 1, 2, 0]), weights=weights)
    except InvalidInputError:
        assert name == "sklearn", "the others have no need of words"
    else:
        assert np.isfinite(classifier.predict_proba(TextDataset([text, "a word"]))).all()
