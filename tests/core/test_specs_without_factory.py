"""A plugin may provide only a class: the core creates the factory, and the class is the builder."""

from __future__ import annotations

import dataclasses
import pickle

import pytest

import smalltext_core as st
from smalltext_core.errors import InvalidInputError, UnsupportedError


class Shy(st.ProbabilisticClassifier):
    """Says nothing.

    Parameters
    ----------
    volume : int, default=0
    """

    multi_label = False

    def __init__(self, num_classes, *, volume=0):
        if volume < 0:
            raise InvalidInputError("volume", repr(volume), "0 or above")
        self.num_classes, self.volume = num_classes, volume

    def fit(self, train_set, weights=None):
        return self

    def predict_proba(self, data_set):
        raise NotImplementedError


SPEC = st.ClassifierSpec(name="shy", summary="Says nothing", protocol=1, classifier=f"{__name__}:Shy")


@pytest.fixture
def installed(monkeypatch):
    plugin = st.Plugin("shy", "smalltext-shy", "1.0", (SPEC,))
    monkeypatch.setattr("smalltext_core.registry.discover", lambda: [plugin])
    st.refresh()
    yield
    monkeypatch.undo()
    st.refresh()


def test_the_class_is_the_builder_and_the_factory_that_of_the_core():
    assert SPEC.resolve("builder").__name__ == "Shy"
    assert SPEC.resolve("factory") is st.ConstructorFactory


def test_explicit_parts_take_precedence():
    spec = dataclasses.replace(SPEC, factory="smalltext_core:TextDataset", builder="smalltext_core:load")
    assert (spec.resolve("factory"), spec.resolve("builder")) == (st.TextDataset, st.load)


@pytest.mark.usefixtures("installed")
def test_a_factory_is_made_by_name():
    factory = st.create_factory("shy", num_classes=3, volume=2)
    made = factory.new()
    assert (type(made).__name__, made.num_classes, made.volume) == ("Shy", 3, 2)
    assert factory.new() is not made
    assert repr(factory) == "ConstructorFactory(Shy, num_classes=3)"


@pytest.mark.usefixtures("installed")
def test_a_value_that_the_class_refuses_is_refused_at_once():
    with pytest.raises(InvalidInputError, match="volume: got -1"):
        st.create_factory("shy", num_classes=2, volume=-1)


@pytest.mark.usefixtures("installed")
def test_an_unknown_parameter_is_refused_with_a_similar_name():
    with pytest.raises(InvalidInputError, match="Did you mean 'volume'"):
        st.create_factory("shy", num_classes=2, volumes=1)


def test_a_parameter_that_is_missing_is_named_whichever_function_was_called():
    pytest.importorskip("smalltext_setfit")
    with pytest.raises(
        InvalidInputError, match=r"model: got nothing; .*Pass model=\.\.\.; `smalltext info setfit`"
    ):
        st.create_factory("setfit", num_classes=2)


@pytest.mark.usefixtures("installed")
def test_several_labels_are_refused_where_the_spec_does_not_declare_them():
    with pytest.raises(UnsupportedError, match="multi_label=True: the classifier 'shy' is for single-label"):
        st.create_factory("shy", num_classes=2, multi_label=True)


def test_a_single_label_class_needs_no_multi_label_parameter():
    assert st.ConstructorFactory(Shy, 2).new().multi_label is False
    with pytest.raises(TypeError, match="multi_label"):
        st.ConstructorFactory(Shy, 2, multi_label=True)


def test_the_factory_goes_to_another_process():
    factory = st.ConstructorFactory(st.LabelNames, ("a", "b"))  # any class that can be imported
    assert pickle.loads(pickle.dumps(factory)).new() == factory.new()
