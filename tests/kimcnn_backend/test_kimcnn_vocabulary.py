import pickle

import pytest

from smalltext_core.errors import InvalidInputError
from smalltext_kimcnn.vocabulary import Vocabulary


def words_of(text, **parameters):
    return set(Vocabulary.from_texts([text], **parameters).words) - {"[PAD]", "[UNK]"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("It isn't, they've said", {"it", "is", "n't", ",", "they", "'ve", "said"}),
        ("rated 3.5 of 1,000", {"rated", "3.5", "of", "1,000"}),
        ("naïve café", {"naïve", "café"}),
        ("日本語", {"日", "本", "語"}),
        ("ok😀!", {"ok", "😀", "!"}),
        ("e\u0301", {"é"}),
    ],
)
def test_texts_are_split_as_for_common_word_vectors(text, words):
    assert words_of(text) == words


def test_words_that_differ_only_in_case_are_equal_by_default():
    assert words_of("Film film") == {"film"}
    assert words_of("Film film", lowercase=False) == {"Film", "film"}


def test_padding_is_0_and_unknown_words_are_1():
    vocabulary = Vocabulary.from_texts(["film"])
    assert vocabulary.words == ("[PAD]", "[UNK]", "film")
    assert vocabulary.encode(["film noir"])[0].tolist() == [2, 1]


def test_padding_and_unknown_can_change_places():
    vocabulary = Vocabulary.from_texts(["film"], padding_idx=1)
    assert vocabulary.words == ("[UNK]", "[PAD]", "film")
    assert vocabulary.encode(["film noir"])[0].tolist() == [2, 0]


def test_a_text_that_spells_a_reserved_word_does_not_get_its_number():
    vocabulary = Vocabulary.from_texts(["film"])
    assert 0 not in vocabulary.encode(["[PAD] [UNK] film"])[0]


def test_frequent_words_come_first_and_equally_frequent_ones_in_alphabetical_order():
    vocabulary = Vocabulary.from_texts(["b a c", "c"])
    assert vocabulary.words[2:] == ("c", "a", "b")


def test_rare_words_can_be_left_out():
    assert Vocabulary.from_texts(["a a b"], min_frequency=2).words[2:] == ("a",)
    assert Vocabulary.from_texts(["a a b b c"], max_words=2).words[2:] == ("a", "b")


@pytest.mark.parametrize("argument", ["min_frequency", "max_words"])
def test_a_frequency_or_size_below_1_is_refused(argument):
    with pytest.raises(InvalidInputError, match=argument):
        Vocabulary.from_texts(["a"], **{argument: 0})


def test_every_text_has_its_place_in_the_offsets_the_empty_ones_too():
    vocabulary = Vocabulary.from_texts(["a b"])
    ids, offsets = vocabulary.encode(["", "a b", "  ", "b"])
    assert offsets.tolist() == [0, 0, 2, 2, 3]
    assert (ids.dtype, offsets.dtype) == ("int32", "int64")


def test_no_texts_give_no_ids():
    ids, offsets = Vocabulary.from_words(["a"]).encode([])
    assert ids.tolist() == []
    assert offsets.tolist() == [0]


def test_a_lone_surrogate_is_a_text():
    assert len(Vocabulary.from_words(["a"]).encode(["a \ud800"])[0]) == 2


def test_many_texts_are_encoded_like_few():
    vocabulary = Vocabulary.from_texts(["a b c"])
    ids, offsets = vocabulary.encode(["c a"] * 5_000)
    assert ids.tolist() == [*vocabulary.encode(["c a"])[0]] * 5_000
    assert offsets[-1] == 10_000


def test_a_mapping_from_words_to_numbers_is_taken_over():
    vocabulary = Vocabulary.from_numbers({"film": 0, "[PAD]": 2, "[UNK]": 1})
    assert (vocabulary.padding_idx, vocabulary.unknown_idx) == (2, 1)
    assert vocabulary.encode(["film noir"])[0].tolist() == [0, 1]


@pytest.mark.parametrize("numbers", [{"a": 0}, {"[PAD]": 0, "[UNK]": 2}])
def test_a_mapping_without_the_reserved_words_or_with_holes_is_refused(numbers):
    with pytest.raises(InvalidInputError, match="vocabulary"):
        Vocabulary.from_numbers(numbers)


def test_a_word_that_occurs_twice_is_refused():
    with pytest.raises(InvalidInputError, match="'a' more than once"):
        Vocabulary.from_words(["a", "a"])


def test_an_extended_vocabulary_begins_with_the_former_one():
    vocabulary = Vocabulary.from_words(["a", "b"])
    extended = vocabulary.extended(["b", "c", "c"])
    assert extended.words == (*vocabulary.words, "c")
    assert extended.begins_with(vocabulary)
    assert not vocabulary.begins_with(extended)


def test_a_pickled_vocabulary_encodes_the_same():
    vocabulary = Vocabulary.from_texts(["a fine film"])
    again = pickle.loads(pickle.dumps(vocabulary))
    assert again == vocabulary
    assert again.encode(["fine"])[0].tolist() == vocabulary.encode(["fine"])[0].tolist()


@pytest.mark.parametrize("padding_idx", [2, -1, True, 0.0, [0], "0"])
def test_only_the_first_two_numbers_can_be_padding(padding_idx):
    with pytest.raises(InvalidInputError, match="padding_idx"):
        Vocabulary.from_words(["a"], padding_idx=padding_idx)
