"""Training on ten thousand classes fits in memory; results for fewer classes are unchanged."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.linear_model import LogisticRegression

import smalltext_core as st
from smalltext_sklearn import _estimators
from smalltext_sklearn._estimators import default_estimator, exceeds_memory

CLASSES = 12


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(CLASSES), 4)
    texts = [f"topic{k} word{k} {' '.join(f'w{i}' for i in rng.integers(30, size=6))}" for k in y]
    return st.TextDataset(texts, y)


@pytest.fixture
def small_memory(monkeypatch):
    monkeypatch.setattr(_estimators, "MANY_CLASSES", 10)
    monkeypatch.setattr(_estimators, "MEMORY_LIMIT", 1000)


def fitted(data, **parameters):
    return st.create_classifier("sklearn", CLASSES + 1, seed=1, **parameters).fit(data)


@pytest.mark.usefixtures("small_memory")
def test_too_large_problems_use_class_means_with_a_warning(data, tmp_path):
    with pytest.warns(UserWarning, match="too many for logistic regression") as caught:
        classifier = fitted(data)
    assert caught[0].filename == __file__
    labels, proba = classifier.predict(data, return_proba=True)
    assert (labels == data.y).mean() > 0.9
    assert_allclose(proba.sum(axis=1), 1, atol=1e-5)
    assert (proba[:, CLASSES] == 0).all()
    classifier.save(tmp_path / "model")
    assert_array_equal(st.load(tmp_path / "model").predict_proba(data), proba)


@pytest.mark.usefixtures("small_memory")
@pytest.mark.filterwarnings("ignore:.*too many for logistic regression")
def test_probabilities_of_means_are_those_of_texts_left_out(data):
    rng = np.random.default_rng(1)
    y = data.y.copy()
    wrong = rng.random(len(y)) < 0.3
    y[wrong] = rng.integers(CLASSES, size=int(wrong.sum()))
    noisy = fitted(st.TextDataset(data.x, y)).predict_proba(data).max(axis=1).mean()
    clean = fitted(data).predict_proba(data).max(axis=1).mean()
    assert noisy < clean


@pytest.mark.usefixtures("small_memory")
@pytest.mark.filterwarnings("ignore:.*too many for logistic regression")
def test_weights_count_in_means(data):
    weights = np.where(data.y == 3, 50.0, 1.0)
    texts = st.TextDataset(["w1 w2", "w3", "nothing"])
    heavy, even = (one.predict_proba(texts)[:, 3] for one in (fitted_with(data, weights), fitted(data)))
    assert (heavy > even).all()
    once = st.TextDataset([*data.x, "other"], [*data.y, 0])
    absent = fitted_with(once, [*np.ones(len(data)), 0]).predict_proba(data)
    assert_allclose(absent, fitted(data).predict_proba(data), atol=1e-6)


def fitted_with(data, weights):
    return st.create_classifier("sklearn", CLASSES + 1, seed=1).fit(data, weights=weights)


@pytest.mark.usefixtures("small_memory")
def test_an_explicit_estimator_is_kept(data):
    classifier = fitted(data, estimator=LogisticRegression(C=2.0))
    assert isinstance(classifier.model_.coef_, np.ndarray)


def test_few_classes_are_always_learned_by_logistic_regression():
    assert not exceeds_memory(default_estimator(), 999, 10**6, 10**7)
    assert not exceeds_memory(default_estimator(), 1000, 2000, 20_000)
    assert exceeds_memory(default_estimator(), 10_000, 20_000, 1000)
    assert exceeds_memory(default_estimator().set_params(random_state=3), 10_000, 20_000, 300_000)


def test_scores_computed_in_parts_are_the_same_ones(data, monkeypatch):
    classifier = fitted(data)
    whole = classifier.predict_proba(data)
    monkeypatch.setattr("smalltext_sklearn.classifier._MAX_SCORES", 3 * (CLASSES + 1))
    assert_allclose(classifier.predict_proba(data), whole, atol=1e-7)


@pytest.mark.nightly
def test_ten_thousand_classes_of_two_texts_are_trained_within_four_gibibytes(record_property):
    program = """
        import resource, warnings
        import numpy as np
        import smalltext_core as st
        warnings.simplefilter("ignore")
        words = np.random.default_rng(0).integers(20_000, size=(20_000, 12)).tolist()
        texts = [" ".join(f"w{i}" for i in row) + f" topic{n // 2}" for n, row in enumerate(words)]
        data = st.TextDataset(texts, np.repeat(np.arange(10_000), 2))
        classifier = st.create_classifier("sklearn", 10_000).fit(data)
        assert (classifier.predict(data[:200]) == data.y[:200]).mean() > 0.9
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    record_property("MiB", int(done.stdout) >> 20)
    assert int(done.stdout) < 4 * 2**30


def test_classes_with_few_texts_are_not_taken_for_a_regression_problem(recwarn):
    texts = [f"word{row % 30} thing{row}" for row in range(40)]
    st.create_classifier("sklearn", 30, seed=1).fit(st.TextDataset(texts, np.arange(40) % 30))
    assert not [warning for warning in recwarn if "regression problem" in str(warning.message)]
