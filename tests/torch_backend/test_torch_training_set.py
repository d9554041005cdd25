from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smalltext_core import list_to_csr
from smalltext_core.errors import InvalidInputError
from smalltext_torch.training_set import split_rows

LABELS = st.lists(st.integers(0, 4), min_size=1, max_size=60)
MULTI_LABELS = st.lists(st.sets(st.integers(0, 4)), min_size=1, max_size=60)
SIZES = st.floats(0.01, 0.99)


def wanted(count: int, size: float) -> int:
    return min(max(1, int(count * size + 0.5)), count - 1)


def random(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@given(LABELS, SIZES)
def test_every_text_is_on_one_side(y: list[int], size: float) -> None:
    train, validation = split_rows(np.array(y), size, random())

    assert sorted([*train, *validation]) == list(range(len(y)))
    assert len(train) >= 1


@given(MULTI_LABELS, SIZES)
def test_every_multi_label_text_is_on_one_side(y: list[set[int]], size: float) -> None:
    train, validation = split_rows(list_to_csr(y, 5), size, random())

    assert sorted([*train, *validation]) == list(range(len(y)))


@given(LABELS, SIZES)
def test_the_size_is_rounded_and_kept_as_far_as_single_texts_allow(y: list[int], size: float) -> None:
    counts = np.bincount(y)

    _, validation = split_rows(np.array(y), size, random())

    assert len(validation) == min(wanted(len(y), size), counts[counts > 1].sum())


@given(LABELS, st.floats(0.01, 0.5))
def test_every_class_is_trained_on(y: list[int], size: float) -> None:
    labels = np.array(y)

    train, _ = split_rows(labels, size, random())

    if len(y) - wanted(len(y), size) >= len(set(y)):
        assert set(labels[train]) == set(y)


@given(LABELS, SIZES)
def test_a_class_with_one_text_is_trained_on(y: list[int], size: float) -> None:
    labels = np.array(y)

    train, _ = split_rows(labels, size, random())

    assert set(np.flatnonzero(np.bincount(y) == 1)) <= set(labels[train])


@given(MULTI_LABELS, SIZES)
def test_a_label_with_one_text_is_trained_on(y: list[set[int]], size: float) -> None:
    labels = list_to_csr(y, 5)

    train, _ = split_rows(labels, size, random())

    single = labels.sum(axis=0).A1 == 1
    assert (labels[train].sum(axis=0).A1[single] == 1).all()


def test_classes_keep_their_shares() -> None:
    y = random().choice(4, 10_000, p=[0.5, 0.3, 0.15, 0.05])

    _, validation = split_rows(y, 0.1, random())

    assert np.abs(np.bincount(y[validation]) - np.bincount(y) / 10).max() <= 1


def test_labels_keep_their_shares() -> None:
    y = list_to_csr([np.flatnonzero(row).tolist() for row in random().random((5000, 20)) < 0.1], 20)

    _, validation = split_rows(y, 0.1, random())

    assert len(validation) == 500
    assert np.abs(y[validation].sum(axis=0).A1 - y.sum(axis=0).A1 / 10).max() <= 5


def test_a_class_number_that_does_not_occur_does_not_matter() -> None:
    train, validation = split_rows(np.array([0, 0, 5, 5]), 0.5, random())

    assert len(train) == len(validation) == 2


def test_the_same_generator_gives_the_same_split() -> None:
    y = random().integers(0, 3, 100)

    assert split_rows(y, 0.2, random(1))[1].tolist() == split_rows(y, 0.2, random(1))[1].tolist()
    assert split_rows(y, 0.2, random(1))[1].tolist() != split_rows(y, 0.2, random(2))[1].tolist()


@pytest.mark.parametrize("size", [1, 1.0, -0.1, 1.5, float("nan"), None, "0.1", True])
def test_a_size_that_is_not_from_0_to_below_1_is_refused(size: object) -> None:
    with pytest.raises(InvalidInputError, match="validation_set_size"):
        split_rows(np.array([0, 1]), size, random())  # type: ignore[arg-type]


@pytest.mark.parametrize("size", [0, 0.0])
def test_a_size_of_0_holds_out_nothing(size: float) -> None:
    train, validation = split_rows(np.arange(40) % 2, size, random())

    assert (train.tolist(), validation.tolist()) == (list(range(40)), [])


@pytest.mark.parametrize(("texts", "held_out"), [(400, 40), (200, 20), (194, 0), (40, 0)])
def test_the_size_auto_holds_out_a_tenth_if_that_is_20_texts(texts: int, held_out: int) -> None:
    train, validation = split_rows(np.arange(texts) % 2, "auto", random())

    assert (len(train), len(validation)) == (texts - held_out, held_out)


def test_the_size_auto_holds_out_nothing_where_a_class_would_have_none(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    y = np.where(np.arange(400) == 7, 1, 0)

    assert len(split_rows(y, "auto", random())[1]) == 0
    assert len(split_rows(y, 0.1, random())[1]) == 40
    assert "no texts are held out: a class has too few of them" in caplog.text


def test_the_size_auto_holds_out_texts_even_if_a_rare_label_has_none() -> None:
    y = list_to_csr([[0]] * 399 + [[1]], 2)

    assert len(split_rows(y, "auto", random())[1]) == 40


def test_the_size_is_rounded_rightly() -> None:
    train, validation = split_rows(np.zeros(10, dtype=int), 0.9, random())

    assert (len(train), len(validation)) == (1, 9)


def test_the_size_is_rounded_rightly_with_several_classes() -> None:
    train, validation = split_rows(np.arange(10) % 2, 0.9, random())

    assert (len(train), len(validation)) == (1, 9)


def test_a_tiny_minority_is_on_both_sides() -> None:
    y = np.array([0] * 18 + [1] * 2)

    for seed in range(20):
        train, validation = split_rows(y, 0.1, random(seed))
        assert set(y[train]) == set(y[validation]) == {0, 1}
        assert len(validation) == 2


def test_the_only_text_of_a_class_is_never_moved_to_validation() -> None:
    y = np.array([0] * 9 + [1])

    for seed in range(20):
        assert 1 in y[split_rows(y, 0.5, random(seed))[0]]


def test_splitting_takes_time_in_proportion_to_the_texts() -> None:
    """A split of a million texts; creating a set for each of them, as before, would never end."""
    y = random().integers(0, 50, 1_000_000)

    _, validation = split_rows(y, 0.1, random())

    assert len(validation) == 100_000
