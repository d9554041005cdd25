"""The part that is held out."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smalltext_cli.console import UsageError
from smalltext_cli.splitting import folds_of_rows, held_out_rows

labels = st.one_of(st.sampled_from("abc"), st.lists(st.sampled_from("abcd"), max_size=3, unique=True).map(tuple))
tables = st.lists(st.tuples(st.text("xyz", max_size=3), labels), max_size=60)


def names(label):
    return (label,) if isinstance(label, str) else label


@given(table=tables, share=st.floats(0, 0.9), seed=st.integers(0, 3))
def test_copies_stay_together_and_every_class_is_trained_on(table, share, seed):
    texts, given_labels = [text for text, _ in table], [label for _, label in table]
    held = set(held_out_rows(texts, given_labels, share, seed).tolist())
    rest = set(range(len(table))) - held
    assert not {texts[row] for row in held} & {texts[row] for row in rest}
    trained = {name for row in rest for name in names(given_labels[row])}
    assert trained == {name for label in given_labels for name in names(label)}


def test_each_class_gives_its_share():
    given_labels = ["a"] * 100 + ["b"] * 50 + ["c"] * 10 + ["d"]
    held = held_out_rows([str(n) for n in range(161)], given_labels, 0.2, 1)
    assert Counter(given_labels[row] for row in held) == {"a": 20, "b": 10, "c": 2}


def test_many_classes_of_one_text_do_not_take_from_the_large_one():
    given_labels = [*map(str, range(100)), *["large"] * 100]
    held = held_out_rows([str(n) for n in range(200)], given_labels, 0.2, 1)
    assert 20 <= len(held) <= 21


def test_the_same_seed_gives_the_same_rows():
    texts = [str(n) for n in range(50)]
    one, same, other = (held_out_rows(texts, ["a", "b"] * 25, 0.2, seed).tolist() for seed in (1, 1, 2))
    assert one == same != other


def test_a_few_texts_are_enough_to_hold_one_out_unless_every_class_has_one():
    assert len(held_out_rows(["a", "b", "c", "d"], ["x", "y", "x", "y"], 0.2, 0)) == 1
    assert len(held_out_rows(["a", "b"], ["x", "y"], 0.2, 0)) == 0


def test_defects_42_and_43_no_class_is_lost_from_training_and_large_sets_are_split_at_once():
    given_labels = ["common"] * 19_998 + ["rare", "other"]
    held = held_out_rows([str(n) for n in range(20_000)], given_labels, 0.1, 0)
    assert {given_labels[row] for row in held} == {"common"}
    assert len(held) == 2_000


@given(table=tables, count=st.integers(2, 5), seed=st.integers(0, 3))
def test_folds_keep_copies_together_and_every_class_in_training(table, count, seed):
    texts, given_labels = [text for text, _ in table], [label for _, label in table]
    if len(set(texts)) < count:
        with pytest.raises(UsageError, match=f"--cv {count}: DATA has only {len(set(texts))} different text"):
            folds_of_rows(texts, given_labels, count, seed)
        return
    every = {name for label in given_labels for name in names(label)}
    try:
        folds = folds_of_rows(texts, given_labels, count, seed)
    except UsageError:
        assert len(set(texts)) <= len(every) + 1  # a text of each class, and one of none
        return
    assert folds
    rows = [row for fold in folds for row in fold.tolist()]
    assert len(rows) == len(set(rows))
    for fold in folds:
        held = set(fold.tolist())
        rest = set(range(len(table))) - held
        assert not {texts[row] for row in held} & {texts[row] for row in rest}
        trained = {name for row in rest for name in names(given_labels[row])}
        assert trained == every


def test_folds_are_stratified_and_of_one_size():
    given_labels = ["a"] * 50 + ["b"] * 23 + ["c"]
    folds = folds_of_rows([str(n) for n in range(74)], given_labels, 5, 1)
    counts = [Counter(given_labels[row] for row in fold) for fold in folds]
    assert [count["a"] for count in counts] == [10] * 5
    assert sorted(count["b"] for count in counts) == [4, 4, 5, 5, 5]
    assert [count["c"] for count in counts] == [0] * 5


def test_copies_that_differ_in_case_or_whitespace_are_copies():
    texts = [f"{text}{space}now" for text in ("buy", "BUY", "win", "see", "go", "do") for space in (" ", "\t")]
    held = set(held_out_rows(texts, ["x", "y"] * 6, 0.5, 0).tolist())
    assert len(held & {0, 1, 2, 3}) in (0, 4)
