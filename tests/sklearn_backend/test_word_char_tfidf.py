"""The default vectorizer: TF-IDF of words and of the character n-grams within words."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import hstack
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

import smalltext_core as st
from smalltext_core.errors import InvalidInputError, ModelFolderError
from smalltext_sklearn import SklearnClassifier, _saving, word_char_tfidf
from smalltext_sklearn.word_char_tfidf import WordCharTfidfVectorizer

TEXTS = ["a fine film", "the finest films", "dull acting", "a dull, dull plot", "no", "filming"]
NEW_TEXTS = ["filmed finely", "", "plots"]


def parts(vectorizer, x):
    words = len(vectorizer.vocabulary_)
    return x[:, :words], x[:, words:]


@pytest.mark.parametrize("char_ngram_range", [(3, 5), (1, 2), (2, 5), (4, 12)])
def test_counts_equal_those_of_scikit_learn_for_words_and_ngrams(char_ngram_range):
    vectorizer = WordCharTfidfVectorizer(char_ngram_range=char_ngram_range, char_weight=1.0)
    settings = {"sublinear_tf": True, "token_pattern": r"\b\w+\b"}
    words = TfidfVectorizer(ngram_range=(1, 2), **settings)
    chars = TfidfVectorizer(analyzer="char_wb", ngram_range=char_ngram_range, sublinear_tf=True)
    plain = [text.replace(",", "") for text in TEXTS]  # scikit-learn's n-grams include punctuation
    expected = hstack([words.fit_transform(TEXTS), chars.fit_transform(plain)]) / np.sqrt(2)
    assert_allclose(vectorizer.fit_transform(TEXTS).toarray(), expected.toarray(), atol=1e-7)
    assert list(vectorizer.char_vocabulary_) == sorted(chars.vocabulary_)
    new = hstack([words.transform(NEW_TEXTS), chars.transform(NEW_TEXTS)]) / np.sqrt(2)
    assert_allclose(vectorizer.transform(NEW_TEXTS).toarray(), new.toarray(), atol=1e-7)
    assert_array_equal(
        vectorizer.get_feature_names_out(), [*words.get_feature_names_out(), *chars.get_feature_names_out()]
    )


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"ngram_range": (1, 1)},
        {"ngram_range": (2, 3)},
        {"binary": True, "sublinear_tf": False},
        {"use_idf": False, "norm": None},
        {"stop_words": ["dull"]},
        {"min_df": 2},
        {"vocabulary": ["film", "a dull", "none"]},
        {"dtype": np.float32},
        {"lowercase": False, "token_pattern": r"[a-z]+"},
    ],
    ids=str,
)
@pytest.mark.parametrize(
    "texts",
    [TEXTS, ["", " ", "!"], ["a", "dull a dull a dull"], ["unknown words", "", "Film fılm 电影电影"]],
    ids=["trained on", "no words", "repeated", "unknown"],
)
def test_new_texts_have_the_bits_of_scikit_learn(parameters, texts):
    vectorizer = WordCharTfidfVectorizer(**parameters).fit(TEXTS)
    expected = TfidfVectorizer.transform(vectorizer, texts)
    expected.data /= np.hypot(1.0, vectorizer.char_weight)
    words, characters = parts(vectorizer, vectorizer.transform(texts))
    assert (words.dtype, characters.dtype) == (
        expected.dtype,
        np.float64 if words.dtype == np.float64 else np.float32,
    )
    assert_array_equal(words.toarray(), expected.toarray())
    assert words.has_sorted_indices


@pytest.mark.parametrize(
    "parameters", [{}, {"use_idf": False}, {"smooth_idf": False}, {"dtype": np.float32}], ids=str
)
@pytest.mark.parametrize("at_once", [1, 4, 6, 100])
def test_features_of_training_texts_are_those_of_the_same_texts_later(monkeypatch, parameters, at_once):
    monkeypatch.setattr(word_char_tfidf, "_TEXTS_AT_ONCE", at_once)
    vectorizer = WordCharTfidfVectorizer(**parameters)
    learned, later = vectorizer.fit_transform(TEXTS), vectorizer.transform(TEXTS)
    assert learned.dtype == later.dtype
    assert_array_equal(learned.toarray(), later.toarray())


@pytest.mark.parametrize(
    ("vocabulary", "count"), [(1_000, 800), pytest.param(5_000, 2_000, marks=pytest.mark.nightly)]
)
def test_training_takes_at_most_twice_the_memory_of_words_alone(vocabulary, count):
    rng = np.random.default_rng(0)
    words = np.array(["".join(rng.choice(list("etaoinshrdlu"), 3 + number % 7)) for number in range(vocabulary)])
    texts = [" ".join(words[rng.zipf(1.1, 100) % len(words)]) for _ in range(count)]
    peaks = []
    for weight in (0.0, 0.7):
        tracemalloc.start()
        WordCharTfidfVectorizer(char_weight=weight).fit_transform(texts)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] <= 2 * peaks[0]


def test_before_training_there_are_no_features():
    with pytest.raises(NotFittedError):
        WordCharTfidfVectorizer().transform(TEXTS)


@pytest.mark.parametrize("char_weight", [0.25, 0.7, 1, 2.0])
def test_texts_have_length_one_and_the_weight_is_that_of_characters_relative_to_words(char_weight):
    vectorizer = WordCharTfidfVectorizer(char_weight=char_weight)
    words, characters = parts(vectorizer, vectorizer.fit_transform(TEXTS))
    lengths = [np.sqrt(part.multiply(part).sum(axis=1)) for part in (words, characters)]
    assert_allclose(lengths[1] / lengths[0], char_weight, rtol=1e-6)
    assert_allclose(np.hypot(*lengths), 1, rtol=1e-6)


def test_an_unknown_word_has_features_from_its_characters():
    vectorizer = WordCharTfidfVectorizer().fit(TEXTS)
    words, characters = parts(vectorizer, vectorizer.transform(["filmed"]))
    assert words.nnz == 0
    assert characters.nnz > 0


def test_the_order_of_texts_does_not_matter():
    x = WordCharTfidfVectorizer().fit_transform(TEXTS)
    assert_allclose(WordCharTfidfVectorizer().fit_transform(TEXTS[::-1]).toarray()[::-1], x.toarray(), atol=1e-7)


@pytest.mark.parametrize(
    "parameters", [{"char_weight": 0}, {"analyzer": "char"}, {"max_features": 5}], ids=lambda one: next(iter(one))
)
def test_ngrams_can_be_disabled(parameters):
    vectorizer = WordCharTfidfVectorizer(**parameters)
    assert vectorizer.fit_transform(TEXTS).shape[1] == len(vectorizer.vocabulary_)
    assert_array_equal(vectorizer.transform(TEXTS).shape[1], len(vectorizer.get_feature_names_out()))


def test_parameters_are_those_of_scikit_learn_and_two_more():
    parameters = WordCharTfidfVectorizer().get_params()
    assert parameters.keys() - TfidfVectorizer().get_params().keys() == {"char_ngram_range", "char_weight"}
    assert clone(WordCharTfidfVectorizer(char_weight=0.1)).char_weight == 0.1


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("char_ngram_range", (0, 3)),
        ("char_ngram_range", (4, 3)),
        ("char_ngram_range", (3, 51)),
        ("char_ngram_range", "35"),
        ("char_weight", -0.1),
        ("char_weight", float("nan")),
        ("char_weight", "high"),
    ],
)
def test_other_values_are_refused(parameter, value):
    with pytest.raises(InvalidInputError, match=f"{parameter}: got"):
        WordCharTfidfVectorizer(**{parameter: value}).fit(TEXTS)


def test_a_very_long_word_has_few_characters():
    vectorizer = WordCharTfidfVectorizer().fit(["".join(map(str, range(50_000))), "a"])
    assert len(vectorizer.char_vocabulary_) < 400


def test_it_is_saved_and_loaded_with_its_characters(topics, tmp_path):
    classifier = st.create_classifier("sklearn", 3).fit(topics)
    classifier.save(tmp_path / "model")
    loaded = st.load(tmp_path / "model")
    assert loaded.vectorizer_.char_vocabulary_ == classifier.vectorizer_.char_vocabulary_
    assert_array_equal(loaded.predict_proba(topics), classifier.predict_proba(topics))


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param({"char_ngram_range": (3, 10**6)}, id="endless n-grams"),
        pytest.param({"char_weight": float("inf")}, id="an infinite weight"),
        pytest.param({"char_tfidf_": None}, id="no weights"),
        pytest.param({"char_vocabulary_": {" a ": 10**9}}, id="a column out of range"),
    ],
)
def test_a_damaged_vectorizer_is_not_loaded(damage, topics, tmp_path, monkeypatch):
    monkeypatch.setattr(_saving, "sample_proba", lambda *_: None)  # no predictions after loading
    vectorizer = WordCharTfidfVectorizer()
    classifier = SklearnClassifier(LogisticRegression(), 3, vectorizer=vectorizer).fit(topics)
    vars(classifier.vectorizer_).update(damage)
    classifier.save(tmp_path / "model")
    with pytest.raises(ModelFolderError, match="is not sound"):
        st.load(tmp_path / "model")
