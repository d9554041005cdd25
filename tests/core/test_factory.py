"""Factories and builders that pass keyword arguments to the class that declares them."""

from __future__ import annotations

import inspect
import pickle
from functools import partial

import pytest

import smalltext_core as st
from smalltext_core.errors import InvalidInputError
from smalltext_core.factory import checked_keywords, pop_keywords, with_parameters_of


class Tokens:
    def __init__(self, folder, *, lowercase=True, width=8, height=2): ...


class Loud(st.ProbabilisticClassifier):
    """A classifier that is never trained."""

    def __init__(self, model, num_classes, multi_label=False, *, volume=1, width=16):
        if volume < 0:
            raise InvalidInputError("volume", repr(volume), "0 or above")
        self.model, self.num_classes, self.multi_label = model, num_classes, multi_label
        self.volume, self.width = volume, width

    def fit(self, train_set, weights=None):
        return self

    def predict_proba(self, data_set):
        raise NotImplementedError


class LoudFactory(st.ConstructorFactory):
    def __init__(self, model, num_classes, kwargs=None):
        self.label = model
        super().__init__(partial(Loud, model), num_classes, **checked_keywords(Loud, kwargs))


@with_parameters_of(Loud, Tokens, without=["height"])
def build(num_classes, *, name, volume=2, **parameters):
    """Build it."""
    return LoudFactory((name, pop_keywords(Tokens, parameters)), num_classes, {"volume": volume, **parameters})


def test_a_subclass_passes_on_the_parameters_of_its_constructor():
    factory = LoudFactory("a-model", 2, {"volume": 3, "multi_label": True})
    made = factory.new()
    assert (made.model, made.num_classes, made.multi_label, made.volume) == ("a-model", 2, True, 3)
    assert repr(factory) == "LoudFactory('a-model', num_classes=2)"
    assert pickle.loads(pickle.dumps(factory)).new().volume == 3


def test_a_subclass_refuses_a_value_at_once():
    with pytest.raises(InvalidInputError, match="volume: got -1"):
        LoudFactory("a-model", 2, {"volume": -1})


@pytest.mark.parametrize("falsy", [0, "", None])
def test_whether_several_labels_apply_is_passed_on_unless_it_is_false(falsy):
    def given(num_classes, **parameters):
        return parameters

    assert st.ConstructorFactory(given, 2).new() == {}
    assert st.ConstructorFactory(given, 2, multi_label=falsy).new() == {"multi_label": falsy}


@pytest.mark.parametrize("given", [{"pitch": 1}, {"num_classes": 2}, {"model": "b"}, {1: 2}, [("volume", 1)], 7])
def test_unknown_keywords_are_refused_with_a_list_of_the_known_ones(given):
    allowed = "a mapping from parameters of Loud to values: multi_label, volume, width"
    with pytest.raises(InvalidInputError, match=f"^options: .*{allowed}"):
        checked_keywords(Loud, given, "options")


def test_keywords_are_copied():
    given = {"volume": 2}
    checked = checked_keywords(Loud, given)
    assert checked == given
    assert checked is not given
    assert checked_keywords(Loud, None) == {}


def test_a_builder_has_the_parameters_of_its_sources_and_its_own_before_them():
    parameters = inspect.signature(build).parameters
    assert list(parameters) == ["num_classes", "name", "volume", "multi_label", "width", "lowercase"]
    assert (parameters["volume"].default, parameters["width"].default) == (2, 16)
    assert parameters["multi_label"].kind is inspect.Parameter.KEYWORD_ONLY
    assert build.parameter_sources == {"multi_label": Loud, "width": Loud, "lowercase": Tokens}


def test_a_builder_passes_on_its_arguments():
    made = build(2, name="a", lowercase=False).new()
    assert made.model == ("a", {"lowercase": False})
    assert (made.volume, made.width) == (2, 16)


def test_a_builder_may_have_other_defaults_than_its_sources():
    @with_parameters_of(Loud, by_name={"width": 4})
    def loud(num_classes, *, name, **parameters):
        return LoudFactory(name, num_classes, parameters)

    assert inspect.signature(loud).parameters["width"].default == 4
    assert loud.by_name == {"width": 4}
    assert [loud(2, name="a").new().width, loud(2, name="a", width=8).new().width] == [4, 8]
