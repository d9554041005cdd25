"""Normalisation of class names, the same for all sources, and class names that look alike."""

from __future__ import annotations

import pickle
import unicodedata
import warnings
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smalltext_core import LabelNames, TextDataset
from smalltext_core.errors import InvalidInputError
from smalltext_core.label_names import alike_names, alike_notices, class_name, shown_apart, shown_name

DECOMPOSED = unicodedata.normalize("NFD", "é")

RULE = [
    ("good", "good"),
    ("good ", "good"),
    ("\tgood\n", "good"),
    ("\u00a0good\u2003\u3000", "good"),
    (f"caf{DECOMPOSED}", "café"),
    ("a  b", "a  b"),
    (np.str_("x "), "x"),
    (1, "1"),
    (1.0, "1"),
    (np.float64(1), "1"),
    (np.float32(1.5), "1.5"),
    (np.uint8(7), "7"),
    (-0.0, "0"),
    (10**20, "1" + "0" * 20),
    (1e20, "1" + "0" * 20),
    (True, "true"),
    (np.False_, "false"),
    (Decimal("1.0"), "1"),
    (Decimal("0.50"), "0.5"),
]


@pytest.mark.parametrize(("label", "name"), RULE, ids=[ascii(label) for label, _ in RULE])
def test_a_label_of_any_kind_has_one_name(label, name):
    assert class_name(label) == name
    assert type(class_name(label)) is str
    assert LabelNames.of([label, "zz"]).names[0 if name < "zz" else 1] == name
    assert LabelNames([label]).names == (name,)
    assert LabelNames([name]).encode([label]).tolist() == [0]
    assert TextDataset.from_labels(["text"], [label]).label_names.names == (name,)
    assert TextDataset.from_labels(["text"], [[label]]).label_names.names == (name,)


@given(st.text())
def test_class_name_is_idempotent(text):
    try:
        name = class_name(text)
    except InvalidInputError:
        assert not text.strip() or any("\ud800" <= character <= "\udfff" for character in text)
    else:
        assert class_name(name) == name == name.strip() == unicodedata.normalize("NFC", name)


class Unwritable:
    def __repr__(self):
        raise RuntimeError("not the subject")


NO_NAMES = [
    *("", " ", "\u00a0\t", "\ud800", "a\udfffb", None, float("nan"), np.float32("inf"), Decimal("NaN")),
    *(
        b"ham",
        1j,
        object(),
        Unwritable(),
        np.datetime64("2024-01-01"),
        np.ma.masked,
        10**5000,
        Decimal("1e999999"),
    ),
]


@pytest.mark.parametrize("label", NO_NAMES, ids=lambda label: type(label).__name__)
def test_invalid_names_are_refused_with_their_row(label):
    with pytest.raises(InvalidInputError, match=r"^labels: got "):
        class_name(label)
    for labels in (["ham", "spam", label], [["ham"], ["spam"], ["ham", label]]):
        with pytest.raises(InvalidInputError, match=r"^labels: got .* at row 2; allowed: ") as caught:
            TextDataset.from_labels(["a", "b", "c"], labels)
        assert len(str(caught.value)) < 400
    with pytest.raises(InvalidInputError, match=r"^names: got "):
        LabelNames(["ham", label])


@pytest.mark.parametrize("pair", [("good", "good "), (f"caf{DECOMPOSED}", "café"), (1, "1"), (1, 1.0)], ids=ascii)
def test_explicit_names_that_are_equal_after_normalisation_are_refused(pair):
    with pytest.raises(InvalidInputError, match=r"^names: got .* and .*, the same name twice"):
        LabelNames(pair)


def test_labels_as_generator_array_and_series_give_the_same():
    import pandas as pd
    import polars as pl
    import pyarrow as pa

    labels = ["b", "a ", "b"]
    kinds = [
        (label for label in labels),
        np.array(labels),
        np.array(labels, dtype=object),
        pd.Series(labels),
        pd.Series(labels, dtype="category"),
        pl.Series(labels),
        pa.array(labels),
        pa.chunked_array([labels]),
        dict(enumerate(labels)).values(),
    ]
    for given_labels in kinds:
        dataset = TextDataset.from_labels(iter(["x", "y", "z"]), given_labels)
        assert (dataset.y.tolist(), dataset.label_names.names) == ([1, 0, 1], ("a", "b"))
    lists = [["b"], [], ["a", "b"]]
    for given_lists in (iter(lists), pd.Series(lists), pl.Series(lists), pa.array(lists)):
        assert TextDataset.from_labels(["x", "y", "z"], given_lists).y.toarray().tolist() == [
            [0, 1],
            [0, 0],
            [1, 1],
        ]


def test_saved_models_keep_old_names_which_are_found_after_normalisation():
    names = LabelNames.saved(["good ", "bad", f"caf{DECOMPOSED}"])
    assert names.names == ("good ", "bad", f"caf{DECOMPOSED}")
    assert names.encode(["good ", "good", " bad", "café", f"caf{DECOMPOSED}"]).tolist() == [0, 0, 1, 2, 2]
    assert pickle.loads(pickle.dumps(names)) == names
    both = LabelNames.saved(["good ", "good"])
    assert both.encode(["good ", "good", " good"]).tolist() == [0, 1, 1]
    assert TextDataset.from_labels(["x", "y"], ["good ", "good"], label_names=both).y.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("a b", "'a b'"),
        ("a\u00a0b", r"'a\xa0b'"),
        ("a\tb", r"'a\tb'"),
        ("a\u200bb", r"'a\u200bb'"),
        (f"caf{DECOMPOSED}", r"'cafe\u0301'"),
        (unicodedata.normalize("NFD", "한"), r"'\u1112\u1161\u11ab'"),
        ("a\ufe0fb", r"'a\ufe0fb'"),
        ("\x1b[2J", r"'\x1b[2J'"),
        ("\u202eabc", r"'\u202eabc'"),
        ("दिन café 한 👍", "'दिन café 한 👍'"),
        ("\ud800", r"'\ud800'"),
    ],
    ids=ascii,
)
def test_a_message_shows_invisible_characters(name, shown):
    assert shown_name(name) == shown


def test_a_long_name_is_shown_in_part():
    assert len(shown_name("x" * 10_000)) < 70


ALIKE = [
    ("spam", "Spam"),
    ("straße", "STRASSE"),
    ("a b", "a\u00a0b"),
    ("a b", "a  b"),
    ("ab", "a\u200bb"),
    ("cat", "\u0441at"),
    ("it's", "it\u2019s"),
    ("fine", "\ufb01ne"),
    ("e-mail", "e\u2011mail"),
]


@pytest.mark.parametrize("pair", ALIKE, ids=ascii)
def test_names_that_look_alike_get_a_warning_with_counts_that_shows_what_differs(pair):
    one, other = pair
    assert alike_names(pair) == [tuple(sorted(pair))]
    shown = shown_apart(pair)
    assert shown[0] != shown[1]
    with pytest.warns(
        UserWarning, match=r"\(2 texts\) and .* \(1 text\) |\(1 text\) and .* \(2 texts\) "
    ) as caught:
        TextDataset.from_labels(["x", "y", "z", "w"], [one, one, other, "zzz"])
    assert all(name in str(caught[0].message) for name in shown)
    assert caught[0].filename == __file__


def test_names_that_look_different_get_no_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        TextDataset.from_labels(["x"] * 6, ["ham", "hams", "1", "10", "दिन", "दान"])
    assert alike_notices({"a": 1, "b": 2}) == []


def test_a_name_that_looks_like_a_known_one_is_distinguished_from_it():
    names = LabelNames(["good film", "bad"])
    with pytest.raises(InvalidInputError) as caught:
        names.number("good\u00a0film")
    assert r"got 'good\xa0film'" in str(caught.value)
    assert "looks like 'good film'" in str(caught.value)


def given_that_hold_no_labels_in_an_order():
    import pandas as pd
    import polars as pl
    import pyarrow as pa

    columns = {"a": ["a", "b"], "b": ["b", "a"]}
    tables = [pd.DataFrame(columns), pl.DataFrame(columns), pl.LazyFrame(columns), pa.table(columns)]
    return [*tables, columns, "ab", b"ab", None, 5, np.array("a")]


def test_names_are_collected_and_looked_up_in_labels_and_not_in_tables():
    names = LabelNames(("a", "b"))
    for wrong in given_that_hold_no_labels_in_an_order():
        for call in (LabelNames.of, names.encode, names.encode_multi_label):
            with pytest.raises(InvalidInputError, match=r"^labels: got "):
                call(wrong)
    assert LabelNames.of({"b", "a"}) == names
    assert LabelNames.of(iter(["b", ["a", "b"]])) == names
    with pytest.raises(InvalidInputError, match=r"^labels: got a set, which has no order"):
        names.encode({"b", "a"})
