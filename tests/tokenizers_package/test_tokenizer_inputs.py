"""Tokenizers that would exhaust memory are refused in every form, those of well-known models are not."""

from __future__ import annotations

import base64
import json

import pytest

from security.attacks import LENGTHENING_NORMALIZERS, LENGTHENING_PROCESSORS, SOUND_NORMALIZERS
from smalltext_tokenizers import TokenizerError, check_added_token, check_token_ids, check_tokenizer, encodable

WRONG_IDS = [2**31, 10_000_001, -1, 1.0, True, None, "1", [1], "9" * 10_000]

BYTES = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}


def replacing(*contents):
    steps = [{"type": "Replace", "pattern": {"String": "a"}, "content": content} for content in contents]
    return {"normalizer": {"type": "Sequence", "normalizers": steps}}


@pytest.mark.parametrize("normalizer", LENGTHENING_NORMALIZERS.values(), ids=LENGTHENING_NORMALIZERS)
def test_a_normalizer_that_makes_texts_longer_is_refused(normalizer):
    with pytest.raises(TokenizerError, match="a normalizer makes texts longer by a factor of"):
        check_tokenizer({"normalizer": normalizer})


@pytest.mark.parametrize("contents", [["a" * 5001], ["a" * 100] * 2, ["a" * 71] * 2], ids=len)
def test_five_thousand_times_as_long_is_the_limit(contents):
    check_tokenizer(replacing("a" * 50, "a" * 100))
    with pytest.raises(TokenizerError, match=r"by a factor of \d+; allowed: up to 5000"):
        check_tokenizer(replacing(*contents))


@pytest.mark.parametrize("normalizer", SOUND_NORMALIZERS.values(), ids=SOUND_NORMALIZERS)
def test_normalizers_of_well_known_models_are_not_refused(normalizer):
    check_tokenizer({"normalizer": normalizer})


@pytest.mark.parametrize(("replacement", "allowed"), [("\N{BLACK STAR}" * 5000, True), ("a" * 5001, False)])
def test_a_map_of_characters_is_measured_in_characters(replacement, allowed):
    content = (0).to_bytes(4, "little") + b"b\0" + replacement.encode() + b"\0c\0"
    charsmap = {"type": "Precompiled", "precompiled_charsmap": base64.b64encode(content).decode()}
    if allowed:
        check_tokenizer({"normalizer": charsmap})
    else:
        with pytest.raises(TokenizerError, match="by a factor of 5001"):
            check_tokenizer({"normalizer": charsmap})


@pytest.mark.parametrize("processor", LENGTHENING_PROCESSORS.values(), ids=LENGTHENING_PROCESSORS)
def test_special_tokens_that_make_texts_longer_are_refused(processor):
    for part in (processor, {"type": "Sequence", "processors": [BYTES, processor]}):
        with pytest.raises(TokenizerError, match=r"of tokens around a text is \d+; allowed: up to 10000"):
            check_tokenizer({"post_processor": part})


@pytest.mark.parametrize("number", WRONG_IDS, ids=lambda number: repr(number)[:12])
def test_a_token_id_for_which_a_table_would_take_all_memory_is_refused(number):
    for content in ({"model": {"vocab": {"a": 0, "b": number}}}, {"added_tokens": [{"id": 0}, {"id": number}]}):
        with pytest.raises(
            TokenizerError, match="a token has the id .{1,50}; allowed: whole numbers up to 10000000$"
        ):
            check_tokenizer(content)
    with pytest.raises(TokenizerError):
        check_token_ids([0, number])


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"model": {"vocab": {"a": 0, "b": 10_000_000}}, "added_tokens": [{"id": 10_000_000}]},
        {"model": {"type": "Unigram", "vocab": [["a", -1.0]]}, "added_tokens": None},
        {"model": None, "added_tokens": [None, "a"]},
        {"normalizer": None, "post_processor": {"type": "TemplateProcessing", "single": [], "pair": []}},
        {"post_processor": {"type": "BertProcessing", "sep": ["[SEP]", 1], "cls": ["[CLS]", 2]}},
    ],
    ids=str,
)
def test_other_tokenizers_are_left_to_the_library(content):
    content = {**content}
    if "post_processor" in content and "single" in content["post_processor"]:
        content["post_processor"]["special_tokens"] = {}
    check_tokenizer(content)


@pytest.mark.parametrize("part", [{"normalizer": {"type": "Evil"}}, {"normalizer": 5}, {"post_processor": []}])
def test_a_part_that_the_library_cannot_read_is_refused(part):
    with pytest.raises(TokenizerError, match="the tokenizers library cannot read it"):
        check_tokenizer(part)


def test_sequences_in_sequences_are_limited_by_the_library():
    deep = {"type": "Lowercase"}
    for _ in range(500):
        deep = {"type": "Sequence", "normalizers": [deep]}
    with pytest.raises(TokenizerError, match="the tokenizers library cannot read it"):
        check_tokenizer({"normalizer": deep})


@pytest.mark.parametrize("text", ["", "film", "caf\u00e9 \u4f60\u597d \U0001f600", "\ufeff\ufffd\0\u202e"])
def test_texts_without_lone_surrogates_stay_as_they_are(text):
    assert encodable(text) is text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a \ud800 b", "a \ufffd b"),
        ("\udfff", "\ufffd"),
        ("caf\u00e9 \udc00\ud800", "caf\u00e9 \ufffd\ufffd"),
        ("\ufeff\ud800", "\ufeff\ufffd"),
        ("\ud83d\ude00", "\U0001f600"),
        ("\ud83d\ud83d\ude00\ude00", "\ufffd\U0001f600\ufffd"),
    ],
    ids=ascii,
)
def test_lone_surrogates_become_replacement_characters(text, expected):
    assert encodable(text) == expected


@pytest.mark.parametrize("key", ["\x1b]0;title\x07", "Content", "", "unknown"], ids=ascii)
def test_an_unknown_key_of_a_token_is_refused_since_the_library_prints_it(key, capfd):
    token = {"id": 0, "content": "a", key: True}
    for check in (lambda: check_added_token(token), lambda: check_tokenizer({"added_tokens": [token]})):
        with pytest.raises(TokenizerError, match="a token has the key") as error:
            check()
        assert "\x1b" not in str(error.value)
    assert capfd.readouterr() == ("", "")


def test_the_keys_of_tokens_are_those_that_the_library_writes():
    tokenizers = pytest.importorskip("tokenizers")
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel({"a": 0}, "a"))
    token = tokenizers.AddedToken("b", single_word=True, special=True)
    tokenizer.add_tokens([token])
    check_tokenizer(json.loads(tokenizer.to_str()))
    check_added_token({"__type": "AddedToken", **token.__getstate__()})
