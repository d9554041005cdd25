"""Messages for the terminal are short and contain no control characters."""

from __future__ import annotations

import unicodedata
from collections import Counter, UserList

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smalltext_core import errors
from smalltext_core.messages import LIMIT, brief, one_line, printable, shown

anything = st.text(st.characters(codec=None, categories=None), max_size=400)
BIDIRECTIONAL = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


def is_harmless(text):
    return all(
        unicodedata.category(character) not in ("Cc", "Cs", "Zl", "Zp") and character not in BIDIRECTIONAL
        for character in text
    )


@given(anything)
def test_any_text_is_escaped_and_shortened(text):
    for made in (printable(text), one_line(text), shown(text), shown([text, {text: 1}])):
        assert is_harmless(made)
        assert len(made) <= LIMIT
        made.encode("utf-8")


@given(anything)
def test_a_text_of_letters_is_unchanged(text):
    plain = "".join(character for character in text if character.isprintable())[:LIMIT]
    assert printable(plain) == plain


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\x1b]0;title\x07", r"\x1b]0;title\x07"),
        ("a\nb", r"a\nb"),
        ("\x9b2J", r"\x9b2J"),
        ("exe.\u202egpj", r"exe.\u202egpj"),
        ("\ud800", r"\ud800"),
        ("non\xa0breaking", r"non\xa0breaking"),
        ("\u200bzero", r"\u200bzero"),
        ("दिन 中文 👩\u200d💻 é", "दिन 中文 👩\u200d💻 é"),
    ],
)
def test_special_characters_are_escaped(text, expected):
    assert printable(text) == expected


def test_both_ends_of_a_long_text_are_seen():
    made = printable("begin" + "x" * 10**6 + "end")
    assert made.startswith("begin")
    assert made.endswith("end")
    assert len(made) == LIMIT


def test_an_object_whose_repr_fails_is_named_by_its_type():
    class Broken:
        def __repr__(self):
            raise RuntimeError("no")

    assert shown(Broken()) == "a Broken"


NASTY = "\x1b[2J\u202e\ud800\r\n" + "x" * 10**6


@pytest.mark.parametrize(
    "error",
    [
        errors.InvalidInputError(NASTY, NASTY, NASTY, NASTY),
        errors.NotFittedError(NASTY),
        errors.ModelNotSavedError(28, NASTY, NASTY),
        *(
            kind(NASTY)
            for kind in (
                errors.SmallTextError,
                errors.ReadOnlyError,
                errors.UnsupportedError,
                errors.UnknownClassifierError,
                errors.AmbiguousNameError,
                errors.PluginError,
                errors.ProtocolVersionError,
                errors.ModelFolderError,
                errors.UntrustedModelError,
            )
        ),
    ],
    ids=lambda error: type(error).__name__,
)
def test_every_exception_shows_one_short_harmless_line(error):
    assert is_harmless(str(error))
    assert len(str(error)) <= 2000
    assert NASTY in error.args


class Raising:
    def __repr__(self):
        raise KeyError("not for users")


class Named(str):
    __slots__ = ()

    def __str__(self):
        raise KeyError("not for users")

    __repr__ = __str__


HUGE = {
    "string": "x" * 10**7,
    "bytes": b"x" * 10**7,
    "list": ["x" * 10**6] * 10**6,
    "tuple": (["x" * 10**6] * 10**6,),
    "range of a list": [range(10**9)] * 10**6,
    "mapping": {0: dict.fromkeys(range(10**5))},
    "keys": dict.fromkeys(range(10**5)).keys(),
    "set": set(range(10**5)),
    "counter": Counter(range(10**5)),
    "user list": UserList(["x" * 10**6] * 10**6),
    "array of objects": np.array([["x" * 10**6] * 1_000], dtype=object),
    "array of one object": np.array(None, dtype=object),
    "digits": 10**100_000,
    "digits in a list": [10**100_000, -(10**100_000)],
}
"""Values whose `repr` would take up to a terabyte, or raises an error."""
HUGE["array of one object"][()] = ["x" * 10**6] * 10**6


@pytest.mark.parametrize("value", HUGE.values(), ids=HUGE)
def test_a_huge_value_is_never_shown_in_full(value):
    for made in (shown(value), brief(value), shown([[value]]), shown({"a": value})):
        assert 0 < len(made) <= LIMIT


@pytest.mark.parametrize("value", [Raising(), [Raising()], {Raising(): Raising()}, Named("x"), {1: Named("x")}])
def test_a_value_whose_repr_fails_is_shown_by_its_type(value):
    assert "Raising" in shown(value) or "'x'" in shown(value)


@pytest.mark.parametrize(
    "value",
    [[], (), {}, set(), {1}, (1,), [1, (2, 3)], {"a": [None]}, frozenset(), frozenset({1}), b"x", 1.5, range(3)],
    ids=repr,
)
def test_short_values_are_shown_by_their_repr(value):
    assert shown(value) == brief(value) == repr(value)


def test_a_recursive_list_is_shown():
    own = []
    own.append(own)
    assert shown(own) == "[[[[...]]]]"
