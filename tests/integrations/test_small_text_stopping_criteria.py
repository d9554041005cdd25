"""The stopping criteria of small-text, over predictions and probabilities of our classifiers."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_matrix

import smalltext_core as st
from robustness.backends import NAMES, parameters
from smalltext_testing.sample_data import training_texts

small_text = pytest.importorskip("small_text")

ROUNDS = 4

CRITERIA = {
    "ClassificationChange": lambda: small_text.ClassificationChange(2),
    "ClassificationChange, threshold": lambda: small_text.ClassificationChange(2, threshold=0.5),
    "DeltaFScore": lambda: small_text.DeltaFScore(2, window_size=2),
    "KappaAverage": lambda: small_text.KappaAverage(2, window_size=2),
    "OverallUncertainty": lambda: small_text.OverallUncertainty(2, threshold=0.5),
    "MaxIterations": lambda: small_text.MaxIterations(3),
}


@pytest.fixture(scope="module", params=NAMES)
def rounds(request):
    """Return predictions and probabilities of one classifier after each round of labelling."""
    name = request.param
    pool = training_texts(2, multi_label=False)
    factory = st.create_factory(name, 2, seed=1, **parameters(name))
    answers = []
    for known in range(4, 4 + 2 * ROUNDS, 2):
        classifier = factory.new().fit(pool[:known])
        answers.append(classifier.predict(pool, return_proba=True))
    return answers


def stops(criterion, rounds):
    """Return what a criterion says after each round."""
    everything = np.arange(len(rounds[0][1]))
    return [
        bool(criterion.stop(predictions=predictions, proba=proba, indices_stopping=everything))
        for predictions, proba in rounds
    ]


@pytest.mark.parametrize("criterion", CRITERIA)
@pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")
def test_a_criterion_decides_as_over_the_types_of_small_text(rounds, criterion):
    widened = [(predictions.astype(np.int64), proba.astype(np.float64)) for predictions, proba in rounds]
    assert stops(CRITERIA[criterion](), rounds) == stops(CRITERIA[criterion](), widened)


@pytest.mark.parametrize("criterion", CRITERIA)
def test_a_criterion_stops_once_nothing_changes(criterion):
    sure = (np.array([0, 1, 1, 0], dtype=np.int32), np.array([[1, 0], [0, 1], [0, 1], [1, 0]], dtype=np.float32))
    unsure = (1 - sure[0], np.full((4, 2), 0.5, dtype=np.float32))
    said = stops(CRITERIA[criterion](), [sure, unsure, sure, sure, sure, sure])
    assert said[-1]
    assert not all(said)


def test_predictions_of_several_labels_a_text_are_compared_row_by_row():
    pool = training_texts(2, multi_label=True)
    classifier = st.create_classifier("sklearn", 2, multi_label=True, seed=1).fit(pool)
    predictions = classifier.predict(pool)
    changed = csr_matrix(1 - predictions.toarray())
    criterion = small_text.ClassificationChange(2)
    assert [criterion.stop(predictions=one) for one in (predictions, changed, predictions, predictions)] == [
        False,
        False,
        False,
        True,
    ]
