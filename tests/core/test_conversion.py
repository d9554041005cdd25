"""Booleans, timedeltas, complex numbers and numbers that are too large for a float are rejected as settings."""

from __future__ import annotations

import math

import numpy as np
import pytest

from smalltext_core import LabelNames, TextDataset, create_factory, list_to_csr
from smalltext_core.conversion import are_whole, is_number, is_whole
from smalltext_core.errors import InvalidInputError
from smalltext_core.validation import check_num_classes, check_seed, check_thresholds, check_weights

SPANS = (np.timedelta64(2, "s"), np.timedelta64("NaT"))
WHOLE = (0, -1, 10**400, np.int8(3), np.uint64(3))
FLOATS = (0.5, math.nan, math.inf, np.float32(0.5), np.float16(1))
NONE = (True, np.bool_(True), None, "1", 1j, np.complex64(1), [1], np.array([1]), *SPANS)


@pytest.mark.parametrize("value", WHOLE, ids=repr)
def test_whole_numbers(value):
    assert is_whole(value)
    assert is_number(value) == (value != 10**400)


@pytest.mark.parametrize("value", FLOATS, ids=repr)
def test_floats_are_numbers_and_none_is_whole(value):
    assert is_number(value)
    assert not is_whole(value)


@pytest.mark.parametrize("value", NONE, ids=repr)
def test_nothing_else_is_a_number(value):
    assert not is_number(value)
    assert not is_whole(value)


@pytest.mark.parametrize("span", SPANS, ids=repr)
@pytest.mark.parametrize(
    "check",
    [lambda span: check_num_classes(span, multi_label=False), check_seed, lambda span: check_thresholds(span, 2)],
)
def test_timedeltas_are_refused_as_settings(check, span):
    with pytest.raises(InvalidInputError):
        check(span)


@pytest.mark.parametrize("span", SPANS, ids=repr)
@pytest.mark.parametrize(
    "given",
    [
        lambda span: TextDataset(["a"], [span]),
        lambda span: TextDataset(["a"], np.array([span])),
        lambda span: TextDataset(["a"], [0], target_labels=[span]),
        lambda span: TextDataset.from_labels(["a"], [span]),
        lambda span: list_to_csr([[0]], span),
        lambda span: list_to_csr([[span]], 3),
        lambda span: create_factory("sklearn", 2, class_weight={span: 1.0}),
        lambda span: create_factory("sklearn", 2, class_weight={0: span}),
    ],
    ids=["list", "array", "target_labels", "from_labels", "num_classes", "class", "class_weight", "weight"],
)
def test_timedeltas_are_refused_as_labels_and_weights(given, span):
    with pytest.raises(InvalidInputError):
        given(span)


@pytest.mark.parametrize("span", SPANS, ids=repr)
def test_timedeltas_are_refused_as_rows(span):
    for rows in (np.array([span]), [span]):
        with pytest.raises((InvalidInputError, IndexError)):
            TextDataset(["a", "b", "c"])[rows]


def test_arrays_of_whole_numbers():
    assert all(are_whole(np.zeros(2, dtype=kind)) for kind in ("i1", "u8", ">i4"))
    assert not any(are_whole(np.zeros(2, dtype=kind)) for kind in ("f4", "?", "m8[s]", "O", "U1"))


MASKED = np.ma.array([0, 1, 1], mask=[0, 0, 1])
TEXTS = ["a fine film", "dull", "a film"]


@pytest.mark.parametrize(
    ("argument", "call"),
    {
        "y": lambda: TextDataset(TEXTS, MASKED),
        "target_labels": lambda: TextDataset(TEXTS, [0, 1, 1], MASKED),
        "x": lambda: TextDataset(np.ma.array(TEXTS, mask=MASKED.mask)),
        "labels": lambda: TextDataset.from_labels(TEXTS, MASKED),
        "indices": lambda: TextDataset(TEXTS)[MASKED],
        "names": lambda: LabelNames(MASKED),
        "weights": lambda: check_weights(MASKED, 3),
    }.items(),
)
def test_masked_values_are_refused(argument, call):
    with pytest.raises(InvalidInputError, match=f"^{argument}: got .*(at row 2|MaskedConstant)"):
        call()


def test_a_mask_of_nothing_is_accepted():
    array = np.ma.array([0, 1, 1])
    dataset = TextDataset(TEXTS, array)[array]
    assert (dataset.x, dataset.y.tolist()) == (["a fine film", "dull", "dull"], [0, 1, 1])
