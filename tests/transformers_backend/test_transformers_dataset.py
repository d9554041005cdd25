"""Token ids from the tokenizer, without padding; and texts that are longer than the model allows."""

from __future__ import annotations

import numpy as np
import pytest

from smalltext_core import TextDataset
from smalltext_core.errors import InvalidInputError
from smalltext_torch import tokenization
from smalltext_transformers import TransformersDataset
from transformers_backend.tiny_models import tiny_tokenizer

TEXTS = ["the goal", "", "a recipe with butter and onion", "x" * 30]
LONG = "the goal and the recipe " * 40


def test_ids_are_those_that_the_tokenizer_gives():
    tokenizer = tiny_tokenizer()
    dataset = TransformersDataset.from_texts(TEXTS, [0, 1, 0, 1], tokenizer)
    assert [ids.tolist() for ids in map(dataset.x.__getitem__, range(4))] == tokenizer(TEXTS)["input_ids"]


def test_t14_a_pool_costs_its_tokens_and_little_more():
    dataset = TransformersDataset.from_texts(["the goal"] * 1000, None, tiny_tokenizer())
    assert dataset.x.tokens.dtype == np.int32
    assert dataset.x.tokens.nbytes + dataset.x.offsets.nbytes < 1000 * (4 * 4 + 8) + 100


@pytest.mark.parametrize("max_length", [None, 10])
@pytest.mark.filterwarnings("ignore:.* have more than 10 tokens")
def test_the_tokenizer_is_not_changed(max_length):
    tokenizer = tiny_tokenizer()
    tokenizer.backend_tokenizer.enable_truncation(3)
    tokenizer.backend_tokenizer.enable_padding(length=9)
    dataset = TransformersDataset.from_texts(TEXTS, None, tokenizer, max_length=max_length)
    assert dataset.x.lengths.max() > 9
    assert tokenizer.backend_tokenizer.truncation["max_length"] == 3
    assert tokenizer.backend_tokenizer.padding["length"] == 9


def test_longer_texts_are_cut_as_the_tokenizer_cuts_them():
    tokenizer = tiny_tokenizer()
    with pytest.warns(UserWarning, match=r"1 of 2 texts \(50.0%\) have more than 8 tokens"):
        dataset = TransformersDataset.from_texts(["goal", LONG], None, tokenizer, max_length=8)
    expected = tokenizer(["goal", LONG], truncation=True, max_length=8)["input_ids"]
    assert [dataset.x[0].tolist(), dataset.x[1].tolist()] == expected


def test_the_share_of_one_long_text_among_many_is_not_zero():
    with pytest.warns(UserWarning, match=r"1 of 3000 texts \(less than 0.1%\) have"):
        TransformersDataset.from_texts(["a b c"] + ["a"] * 2999, None, tiny_tokenizer(), max_length=4)


def test_a_lone_surrogate_is_an_unknown_character():
    dataset = TransformersDataset.from_texts(["goal \ud83d goal"], None, tiny_tokenizer())
    assert dataset.x.lengths.tolist() == [5]


def test_a_tokenizer_that_gives_no_token_gives_one():
    bare = tiny_tokenizer()
    bare.backend_tokenizer.post_processor = None
    assert TransformersDataset.from_texts([""], None, bare).x.lengths.tolist() == [1]


def test_many_texts_are_encoded_in_order():
    texts = [f"goal {number}" for number in range(2 * tokenization.AT_ONCE + 1)]
    dataset = TransformersDataset.from_texts(texts, None, tiny_tokenizer())
    last = TransformersDataset.from_texts(texts[-1:], None, tiny_tokenizer())
    assert len(dataset) == len(texts)
    assert dataset.x[-1].tolist() == last.x[0].tolist()


def test_views_and_clones_know_the_tokenizer():
    dataset = TransformersDataset.from_texts(TEXTS, None, tiny_tokenizer())
    assert dataset[[1, 2]].clone().tokenizer_id == dataset.tokenizer_id


@pytest.mark.parametrize(
    ("x", "message"), [([[1], []], "no token at row 1"), ([[-1]], "token id -1"), ([[1], [2]], "labels")]
)
def test_invalid_token_ids_are_refused(x, message):
    with pytest.raises(InvalidInputError, match=message):
        TransformersDataset(x, [0])


@pytest.mark.parametrize("wrong", [None, "bert-base-uncased", 3])
def test_an_invalid_tokenizer_is_refused(wrong):
    with pytest.raises(InvalidInputError, match="tokenizer"):
        TransformersDataset.from_texts(TEXTS, None, wrong)


def test_a_length_that_leaves_no_room_is_refused():
    with pytest.raises(InvalidInputError, match="3 or above"):
        TransformersDataset.from_texts(TEXTS, None, tiny_tokenizer(), max_length=2)


def test_ids_of_another_tokenizer_are_refused(fitted):
    other = tiny_tokenizer()
    other.add_tokens(["offside"])
    with pytest.raises(InvalidInputError, match="another tokenizer"):
        fitted.predict(TransformersDataset.from_texts(TEXTS, None, other))


def test_ids_that_the_model_does_not_know_are_refused(fitted):
    with pytest.raises(InvalidInputError, match="token id 99999"):
        fitted.predict(TransformersDataset([[2, 99999, 3]]))


def test_a_dataset_is_tokenized_once(make, topics, monkeypatch):
    calls = []
    tokenize = tokenization.tokenize
    monkeypatch.setattr(tokenization, "tokenize", lambda x, by: calls.append(len(x)) or tokenize(x, by))
    classifier = make().fit(topics)
    classifier.predict_proba(topics)
    make(num_classes=2, seed=2).fit(topics)
    assert calls.count(len(topics)) == 1


def test_texts_that_were_changed_are_tokenized_again(fitted):
    texts = TextDataset(["goal"])
    before = fitted.predict_proba(texts)
    texts.x[0] = "recipe butter onion"
    np.testing.assert_array_equal(fitted.predict_proba(texts), fitted.predict_proba(TextDataset(texts.x)))
    assert (fitted.predict_proba(texts) != before).any()


def test_texts_beyond_the_models_window_are_counted(fitted):
    with pytest.warns(UserWarning, match=r"2 of 5 texts \(40.0%\) have more than 64 tokens"):
        fitted.predict(TextDataset(["goal", LONG, "", LONG, "recipe"]))


def test_raw_and_tokenized_long_texts_are_truncated_equally(fitted):
    tokenized = TransformersDataset.from_texts(["goal", LONG], None, tiny_tokenizer())
    with pytest.warns(UserWarning, match="1 of 2"):
        np.testing.assert_array_equal(
            fitted.predict_proba(tokenized), fitted.predict_proba(TextDataset(["goal", LONG]))
        )


def test_a_shorter_length_can_be_set(make, topics):
    with pytest.warns(UserWarning, match="more than 6 tokens"):
        classifier = make(max_seq_len=6, num_epochs=1).fit(topics)
    assert classifier.predict(topics[:2]).shape == (2,)


@pytest.mark.parametrize("wrong", [2, 65, 0, "many"])
def test_a_length_that_does_not_fit_the_model_is_refused(make, topics, wrong):
    with pytest.raises(InvalidInputError, match="max_seq_len"):
        make(max_seq_len=wrong).fit(topics)
