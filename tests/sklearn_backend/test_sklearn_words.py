"""The tokens of the default vectorizer: in every script, in linear time, and for English as in scikit-learn."""

from __future__ import annotations

import random
import re
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

import smalltext_core
from smalltext_core import TextDataset, create_classifier
from smalltext_sklearn import SklearnDataset, TextClassifier
from smalltext_sklearn.token_pattern import TOKEN_PATTERN
from smalltext_sklearn.word_char_tfidf import WordCharTfidfVectorizer, normalized

BEFORE = re.compile(r"(?u)\b\w+\b")
"""The tokenization of the first version."""

words = WordCharTfidfVectorizer().set_params(ngram_range=(1, 1)).build_analyzer()
"""Returns the tokens of a text, without pairs of words."""


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("It isn't well_known, 3.5 of 10!", ["it", "isn", "t", "well_known", "3", "5", "of", "10"]),
        ("दिन दान", ["दिन", "दान"]),
        ("বাংলা ভাষা র\u200d্যাব", ["বাংলা", "ভাষা", "র\u200d্যাব"]),
        ("தமிழ் மொழி", ["தமிழ்", "மொழி"]),
        ("كَتَبَ الكِتَابَ", ["كَتَبَ", "الكِتَابَ"]),
        ("שָׁלוֹם עוֹלָם", ["שָׁלוֹם", "עוֹלָם"]),
        ("می\u200cخواهم", ["می\u200cخواهم"]),
        ("tiếng việt", ["tiếng", "việt"]),
        ("Grüße Straße", ["grüße", "straße"]),
        ("İstanbul", ["i\u0307stanbul"]),
        ("x\u0302 x", ["x\u0302", "x"]),
        ("我用Python写", ["我", "用", "python", "写"]),
        ("今天，天气", ["今", "天", "天", "气"]),
        ("コーヒー", ["コ", "ー", "ヒ", "ー"]),
        ("パンか\u3099", ["パ", "ン", "が"]),
        ("한국어 단어ㅋㅋ", ["한국어", "단어ㅋㅋ"]),
        ("ภาษาไทย ๑๒", ["ภ", "า", "ษ", "า", "ไ", "ท", "ย", "๑๒"]),
        ("กิน", ["กิ", "น"]),
        ("ພາສາລາວ", ["ພ", "າ", "ສ", "າ", "ລ", "າ", "ວ"]),
        ("ភាសា", ["ភា", "សា"]),
        ("မြန်မာ", ["မြ", "န်", "မာ"]),
        ("བོད་སྐད", ["བོད", "སྐད"]),
        ("ok😀!👍👍", ["ok", "😀", "👍", "👍"]),
        ("👍🏽👍", ["👍🏽", "👍"]),
        ("👩\u200d👩\u200d👧 👩", ["👩\u200d👩\u200d👧", "👩"]),
        ("🇩🇪🇫🇷", ["🇩🇪", "🇫🇷"]),
        ("1\ufe0f\u20e32\ufe0f\u20e3 #\ufe0f\u20e3 12", ["1\u20e3", "2\u20e3", "#\u20e3", "12"]),
        ("❤\ufe0f ❤ ❤\ufe0f\u200d🔥", ["❤", "❤", "❤\u200d🔥"]),
        ("🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f", None),
        ("☀\ufe0f rated ★★★", ["☀", "rated", "★", "★", "★"]),
        ("a\u200d \u0301 # * \ud800 \u200b", ["a"]),
    ],
)
def test_texts_are_split_into_words_characters_and_emoji(text, tokens):
    assert words(text) == (tokens or [text])


@given(st.text(st.characters(max_codepoint=127)))
def test_ascii_is_split_as_before(text):
    assert re.findall(TOKEN_PATTERN, text) == BEFORE.findall(text)


@given(st.text(st.sampled_from("aéßøñœ '’-_£€“”…\u00a0\n1½")))
def test_european_texts_are_split_as_before(text):
    assert re.findall(TOKEN_PATTERN, text) == BEFORE.findall(text)


@given(st.text(st.sampled_from("aé1日かกกิ\u0e34कि\u093f\u0301\u200c\u200d😀🏽🇩#*\u20e3\ufe0f\U000e0067 .\n")))
def test_no_character_is_lost_or_duplicated(text):
    cut = normalized(text)
    tokens, missed = re.findall(TOKEN_PATTERN, cut), "".join(re.split(TOKEN_PATTERN, cut))
    assert sorted("".join(tokens) + missed) == sorted(cut)
    assert not re.search(r"\w", missed)


@given(st.text())
def test_composed_and_decomposed_forms_have_the_same_words(text):
    forms = [unicodedata.normalize(form, text) for form in ("NFC", "NFD")]
    assert words(forms[0]) == words(forms[1])


def test_every_character_has_the_same_words_in_both_forms():
    for code in range(sys.maxunicode + 1):
        character = chr(code)
        decomposed = unicodedata.normalize("NFD", character)
        if decomposed != character:
            assert normalized(character.lower()) == normalized(decomposed.lower()), hex(code)


def test_every_combining_mark_stays_on_a_letter():
    # Marks of scripts without spaces stay with letters of these scripts; musical notation has no letters.
    others = re.compile("THAI|LAO|KHMER|MYANMAR|TAI|AHOM|KHITAN|VIETNAMESE|HIRAGANA|MUSICAL|KEYCAP|SELECTOR-1[56]")
    for mark in map(chr, range(sys.maxunicode + 1)):
        if unicodedata.category(mark) in {"Mn", "Mc", "Me"} and not others.search(unicodedata.name(mark, "")):
            assert re.findall(TOKEN_PATTERN, f"k{mark}k") == [f"k{mark}k"], hex(ord(mark))


def test_every_emoji_is_one_token():
    regex = pytest.importorskip("regex", reason="it knows which characters are emoji")
    everything = "".join(chr(code) for code in range(128, sys.maxunicode + 1) if not 0xD800 <= code < 0xE000)
    emoji = regex.findall(r"\p{Emoji}", everything)
    assert len(emoji) > 1300
    modifiers = [chr(code) for code in [*range(0x1F1E6, 0x1F200), *range(0x1F3FB, 0x1F400)]]
    for character in set(emoji).difference(modifiers):
        once = "".join(words(character))
        assert once, hex(ord(character))
        assert words(f"a {character}\ufe0f a, {character}") == ["a", once, "a", once], hex(ord(character))
        if not character.isalnum():
            assert words(character * 2) == [once] * 2, hex(ord(character))


ADVERSARIAL = [
    *(
        "a",
        "x\u0302",
        "\u0302",
        "a\u200d",
        "\u200d",
        "👨\u200d",
        "🏻",
        "👍🏻",
        "🇩",
        "#",
        "#\u20e3",
        "1\u20e3",
        "日",
    ),
    *("กิ", "कि", "\U0001e900\U0001e944", "\U000e0062", " ", "é ", "\ud800", "a\u0300\u0316", "\u0300\u0316"),
    *("\u0f73\u0f75", "👍\U000e0062"),
]


LENGTHS = [200_000, pytest.param(1_000_000, marks=pytest.mark.nightly)]


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("unit", ADVERSARIAL, ids=ascii)
def test_many_characters_take_no_longer_than_their_length(unit, length):
    """A pattern or normalisation with quadratic time would need minutes or hours for one of these."""
    text = unit * (length // len(unit))
    for _ in re.finditer(TOKEN_PATTERN, normalized(f"a{text}")):
        pass


def test_marks_in_the_wrong_order_are_sorted_in_linear_time():
    text = "a" + "\u0301" * 500_000 + "\u0316" * 500_000
    assert normalized(text) == "\u00e1" + "\u0316" * 500_000 + "\u0301" * 499_999


@pytest.mark.parametrize("length", LENGTHS)
def test_random_mixtures_of_many_characters_are_split(length):
    rng = random.Random(0)
    text = "".join(rng.choices(ADVERSARIAL, k=length // 2))
    assert words(text)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("दिन", "दान"),
        ("👍", "👎"),
        ("我喜欢", "我讨厌"),
        ("cafe\u0301", "cafe"),
        ("好きだ", "嫌いだ"),
        ("ชอบ", "เกลียด"),
        ("❤\ufe0f", "💔"),
    ],
)
def test_texts_that_differ_in_marks_emoji_or_characters_are_distinguished(one, other):
    train_set = TextDataset([one, other] * 10, [0, 1] * 10)
    proba = create_classifier("sklearn", 2, seed=1).fit(train_set).predict_proba(TextDataset([one, other]))
    assert proba[0, 0] > 0.8
    assert proba[1, 1] > 0.8
    classifier = TextClassifier("sklearn", random_state=1).fit([one, other] * 10, ["first", "second"] * 10)
    assert classifier.predict([one, other]).tolist() == ["first", "second"]


def test_a_word_of_a_clause_without_spaces_is_recognised_in_another_clause():
    train_set = TextDataset(["我喜欢这部电影", "我讨厌这部电影"] * 10, [0, 1] * 10)
    classifier = create_classifier("sklearn", 2, seed=1).fit(train_set)
    assert classifier.predict(TextDataset(["她喜欢猫", "他讨厌狗"])).tolist() == [0, 1]


def test_datasets_are_vectorized_alike():
    texts = ["दिन 👍", "दान 👎"] * 5
    vectorizer = WordCharTfidfVectorizer()
    columns = SklearnDataset.from_texts(texts, [0, 1] * 5, vectorizer).x.shape[1]
    assert (len(vectorizer.vocabulary_), columns) == (6, 6 + len(vectorizer.char_vocabulary_))
    assert {"दिन", "दान", "👍", "👎"} <= set(vectorizer.vocabulary_)


def test_a_saved_classifier_is_loaded_without_trusting_anything(tmp_path):
    texts = TextDataset(["दिन 👍 cafe\u0301", "दान 👎 今天"] * 5, [0, 1] * 5)
    classifier = create_classifier("sklearn", 2, seed=1).fit(texts)
    classifier.save(tmp_path / "model")
    loaded = smalltext_core.load(tmp_path / "model")
    assert loaded.vectorizer_.token_pattern == TOKEN_PATTERN
    assert loaded.vectorizer_.strip_accents is normalized
    assert_array_equal(loaded.predict_proba(texts), classifier.predict_proba(texts))
    loaded.save(tmp_path / "again")
    assert_array_equal(
        smalltext_core.load(tmp_path / "again").predict_proba(texts), classifier.predict_proba(texts)
    )


def test_parameters_of_the_vectorizer_take_precedence():
    texts = TextDataset(["Cafe\u0301 x", "cafe y"] * 5, [0, 1] * 5)
    for parameters in (
        {"strip_accents": "unicode"},
        {"token_pattern": r"\S+"},
        {"analyzer": "char"},
        {"lowercase": False},
    ):
        classifier = create_classifier("sklearn", 2, vectorizer_parameters=parameters).fit(texts)
        assert {**classifier.vectorizer_.get_params(), **parameters} == classifier.vectorizer_.get_params()
