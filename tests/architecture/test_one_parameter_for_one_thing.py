"""`precision` and `warm_start` have the same form in every backend that trains a network, by name and by class."""

from __future__ import annotations

import numpy as np
import pytest

import smalltext_core as st
from robustness import backends
from smalltext_core.errors import InvalidInputError

NETWORKS = backends.NETWORKS

each_network = pytest.mark.parametrize("name", NETWORKS)


def factory(name, **parameters):
    return st.create_factory(name, num_classes=3, seed=1, **backends.parameters(name), **parameters)


def moved(one, other):
    return float(np.abs(one - other).max())


@each_network
def test_precision_has_the_same_values_and_the_same_errors(name):
    assert factory(name).new().precision == "float32"
    assert factory(name, precision="auto").new().precision == "auto"
    for wrong in ("bfloat16", True, 16, ["auto"], None):
        with pytest.raises(InvalidInputError, match="precision.*'float32' or 'auto'"):
            factory(name, precision=wrong)


@each_network
def test_precision_is_saved(name, tmp_path):
    classifier = factory(name, precision="auto").new().fit(backends.TRAIN_SET)
    classifier.save(tmp_path / "model")
    assert st.load(tmp_path / "model").precision == "auto"


@each_network
def test_precision_has_no_other_name(name):
    with pytest.raises(InvalidInputError, match="mixed_precision"):
        factory(name, mixed_precision=True)


@each_network
def test_a_warm_start_continues_from_the_previous_fit_and_every_new_classifier_starts_from_scratch(name):
    warm = factory(name, warm_start=True)
    cold = factory(name).new().fit(backends.TRAIN_SET)
    classifier = warm.new()
    first = classifier.fit(backends.TRAIN_SET).predict_proba(backends.TRAIN_SET)
    assert np.array_equal(first, cold.predict_proba(backends.TRAIN_SET))
    second = classifier.fit(backends.TRAIN_SET).predict_proba(backends.TRAIN_SET)
    assert moved(first, second) > 0
    assert np.array_equal(cold.fit(backends.TRAIN_SET).predict_proba(backends.TRAIN_SET), first)
    assert np.array_equal(warm.new().fit(backends.TRAIN_SET).predict_proba(backends.TRAIN_SET), first)


@each_network
def test_a_warm_start_does_not_change_copies_of_the_previous_model(name):
    classifier = factory(name, warm_start=True).new().fit(backends.TRAIN_SET)
    network = classifier.model
    before = {key: value.clone() for key, value in network.state_dict().items()}
    classifier.fit(backends.TRAIN_SET)
    assert classifier.model is not network
    assert all(bool((network.state_dict()[key] == before[key]).all()) for key in before)


@each_network
def test_an_estimator_over_raw_texts_starts_warm_while_nothing_else_changes(name):
    from smalltext_sklearn import TextClassifier

    texts, y = backends.TRAIN_SET.x, backends.TRAIN_SET.y
    estimator = TextClassifier(name, random_state=1, warm_start=True, **backends.parameters(name))
    first = estimator.fit(texts, y).predict_proba(texts)
    assert moved(first, estimator.fit(texts, y).predict_proba(texts)) > 0
    with pytest.raises(InvalidInputError, match="warm_start"):
        estimator.fit(texts, ["another" if label else "one" for label in y])
    estimator.set_params(warm_start=False)
    assert np.array_equal(estimator.fit(texts, y).predict_proba(texts), first)


@each_network
def test_a_failed_warm_start_keeps_the_previous_model(name):
    classifier = factory(name, warm_start=True).new().fit(backends.TRAIN_SET)
    before = classifier.predict_proba(backends.TRAIN_SET)
    with pytest.raises(InvalidInputError):
        classifier.fit(st.TextDataset(["a"], [9]))
    assert np.array_equal(classifier.predict_proba(backends.TRAIN_SET), before)
