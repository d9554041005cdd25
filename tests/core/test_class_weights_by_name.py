"""Class weights apply to the named class, and numbers are not names."""

from __future__ import annotations

import numpy as np
import pytest

from smalltext_core import LabelNames, TextDataset, create_classifier
from smalltext_core.errors import InvalidInputError
from smalltext_core.validation import by_number, check_class_weight, class_weights

NAMES = LabelNames(("1", "2"))
Y = np.array([0, 1, 1])


def test_names_that_are_numbers_are_names():
    assert class_weights({"1": 50.0}, Y, 2, NAMES).tolist() == [50.0, 1.0]
    assert class_weights({" 2 ": 50}, Y, 2, NAMES).tolist() == [1.0, 50.0]


@pytest.mark.parametrize("names", [NAMES, LabelNames(("ham", "spam"))])
@pytest.mark.parametrize("wrong", [{"0": 50.0}, {0: 50.0}, {1: 50.0}, {"tea": 1.0}], ids=repr)
def test_where_classes_have_names_only_names_are_taken(names, wrong):
    with pytest.raises(InvalidInputError, match=r"^class_weight: got .*; allowed: .*'" + names.names[0]):
        by_number(wrong, 2, names)


def test_where_classes_have_no_names_only_numbers_are_taken():
    assert class_weights({0: 2.0}, Y, 2).tolist() == [2.0, 1.0]
    with pytest.raises(InvalidInputError, match=r"^class_weight: got the name 'ham'.*class numbers from 0 to 1"):
        by_number({"ham": 1.0}, 2, None)


@pytest.mark.parametrize(
    "wrong",
    [
        *(
            {"a": 0},
            {"a": -1},
            {"a": True},
            {"a": np.complex128(1)},
            {"a": float("nan")},
            {"a": 1e300},
            {"a": 1e-300},
            {"a": "2"},
            {"a": None},
            {2: 1.0},
        ),
        *({-1: 1.0}, {True: 1.0}, {1.0: 1.0}, {None: 1.0}, {"a": 1, 0: 1}, "balance", 3, [1, 2], {"x" * 10**6: 0}),
    ],
    ids=lambda wrong: repr(wrong)[:30],
)
def test_invalid_class_weights_are_refused_by_the_constructor(wrong):
    with pytest.raises(InvalidInputError, match=r"^class_weight: got ") as caught:
        check_class_weight(wrong, 2)
    assert len(str(caught.value)) < 500


def test_one_class_named_in_two_ways_is_refused():
    with pytest.raises(InvalidInputError, match="twice"):
        by_number({"1": 1.0, " 1": 2.0}, 2, NAMES)


def test_a_classifier_created_by_name_gets_weights_by_name():
    data = TextDataset.from_labels(["good film", "bad film", "dull film", "fine film"], [1, 2, 2, 1])
    plain = create_classifier("sklearn", 2).fit(data).predict_proba(data)
    heavy = create_classifier("sklearn", 2, class_weight={"1": 50.0}).fit(data).predict_proba(data)
    assert (heavy[:, 0] > plain[:, 0]).all()
    for wrong in ({"0": 50.0}, {0: 50.0}):
        with pytest.raises(InvalidInputError, match=r"^class_weight: got "):
            create_classifier("sklearn", 2, class_weight=wrong).fit(data)
