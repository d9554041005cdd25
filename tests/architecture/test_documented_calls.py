"""Methods of every backend can be called as documented: argument names, positions, and rejected values."""

from __future__ import annotations

import inspect

import numpy as np
import pandas as pd
import polars as pl
import pytest

from robustness import backends
from smalltext_core import AnyClassifier, Classifier, ProbabilisticClassifier, SavingClassifier, TextDataset
from smalltext_core.errors import InvalidInputError

TEXTS = TextDataset(["a stew with onions", "the striker scored"])
NETWORKS = backends.NETWORKS
WEIGHTS = np.ones(len(backends.TRAIN_SET))

each = pytest.mark.parametrize("name", backends.NAMES)
each_network = pytest.mark.parametrize("name", NETWORKS)


@pytest.fixture(scope="module")
def fitted():
    found = {}

    def of(name):
        if name not in found:
            found[name] = backends.fitted(name)
        return found[name]

    return of


def same(one, other):
    return np.array_equal(np.asarray(one), np.asarray(other))


@each
def test_data_set_is_the_name_that_every_classifier_takes(fitted, name):
    classifier = fitted(name)
    assert same(classifier.predict(data_set=TEXTS), classifier.predict(TEXTS))
    assert same(classifier.predict_proba(data_set=TEXTS), classifier.predict_proba(TEXTS))
    labels, proba = classifier.predict(data_set=TEXTS, return_proba=True)
    assert same(labels, classifier.predict(TEXTS))
    assert same(proba, classifier.predict_proba(TEXTS))


@each_network
def test_dataset_is_the_documented_name_of_networks(fitted, name):
    classifier = fitted(name)
    assert same(classifier.predict(dataset=TEXTS), classifier.predict(TEXTS))
    assert same(classifier.predict(dataset=TEXTS, return_proba=True)[1], classifier.predict_proba(dataset=TEXTS))
    assert classifier.predict_proba(dataset=TEXTS, dropout_sampling=2).shape == (2, 2, 3)
    assert classifier.predict_proba(data_set=TEXTS, dropout_sampling=2).shape == (2, 2, 3)


@each_network
@pytest.mark.parametrize("method", ["predict", "predict_proba"])
def test_both_names_at_once_and_neither_are_refused(fitted, name, method):
    call = getattr(fitted(name), method)
    with pytest.raises(InvalidInputError, match="data_set is another name of dataset"):
        call(dataset=TEXTS, data_set=TEXTS)
    with pytest.raises(InvalidInputError, match="data_set is another name of dataset"):
        call(TEXTS, data_set=TEXTS)
    with pytest.raises(TypeError, match="dataset"):
        call()


@each_network
def test_signatures_are_the_documented_ones(fitted, name):
    classifier = type(fitted(name))
    assert str(_bare(classifier.predict)) == "(self, dataset, return_proba=False)"
    assert str(_bare(classifier.predict_proba)) == "(self, dataset, dropout_sampling=1)"
    assert list(inspect.signature(classifier.fit).parameters)[:3] == ["self", "train_set", "validation_set"]


def _bare(function):
    parameters = inspect.signature(function).parameters.values()
    return inspect.Signature([one.replace(annotation=inspect.Parameter.empty) for one in parameters])


@each_network
@pytest.mark.parametrize(
    "weights",
    [WEIGHTS, WEIGHTS.tolist(), tuple(WEIGHTS), pd.Series(WEIGHTS), pl.Series(WEIGHTS), "tensor", 1.0, "none"],
    ids=lambda weights: type(weights).__name__,
)
def test_weights_passed_as_validation_set_are_refused_before_any_work(name, weights, monkeypatch):
    if isinstance(weights, str) and weights == "tensor":
        torch = pytest.importorskip("torch")
        weights = torch.ones(len(backends.TRAIN_SET))
    classifier = backends.factory(name).new()
    monkeypatch.setattr("smalltext_core.validation.training_data", lambda *_, **__: pytest.fail("work was done"))
    with pytest.raises(InvalidInputError, match="validation_set") as refused:
        classifier.fit(backends.TRAIN_SET, weights)
    assert "pass weights=..." in str(refused.value)


@pytest.mark.skipif("setfit" not in NETWORKS, reason="needs smalltext-setfit")
def test_weights_passed_as_keywords_of_setfit_are_refused():
    with pytest.raises(InvalidInputError, match="setfit_train_kwargs.*pass weights=..."):
        backends.factory("setfit").new().fit(backends.TRAIN_SET, None, WEIGHTS)


def test_a_validation_set_passed_as_weights_is_refused():
    with pytest.raises(InvalidInputError, match="validation_set=..."):
        backends.factory("sklearn").new().fit(backends.TRAIN_SET, backends.TRAIN_SET)


@each
def test_classifiers_are_of_the_types_that_callers_annotate_with(fitted, name):
    classifier = fitted(name)
    assert isinstance(classifier, AnyClassifier)
    assert isinstance(classifier, ProbabilisticClassifier)
    assert isinstance(classifier, Classifier)  # has its methods; only types tell positions apart
    for attribute in ("num_classes", "multi_label", "label_names_", "save"):
        assert hasattr(SavingClassifier, attribute)
        assert hasattr(classifier, attribute)
