"""cleanlab finds wrong labels with the probabilities of `TextClassifier`."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.model_selection import cross_val_predict

from smalltext_sklearn import TextClassifier

cleanlab = pytest.importorskip("cleanlab")
filtering = pytest.importorskip("cleanlab.filter")
classification = pytest.importorskip("cleanlab.classification")

WRONG = np.arange(0, 250, 25)


@pytest.fixture
def spoiled(news):
    """Return labels of which ten are wrong."""
    labels = news.pool_labels.copy()
    labels[WRONG] = (labels[WRONG] + 1) % 5
    return labels


@pytest.mark.nightly
def test_find_label_issues_finds_most_of_the_wrong_labels(news, spoiled):
    classifier = TextClassifier("sklearn", random_state=1)
    proba = cross_val_predict(classifier, news.pool, spoiled, cv=5, method="predict_proba")
    ranked = filtering.find_label_issues(spoiled, proba, return_indices_ranked_by="self_confidence", n_jobs=1)
    assert len(set(WRONG) & set(ranked[:10])) >= 5


@pytest.mark.parametrize("calibration", ["none", pytest.param("auto", marks=pytest.mark.nightly)])
def test_clean_learning_trains_without_the_wrong_labels(news, spoiled, calibration):
    classifier = TextClassifier("sklearn", random_state=1, calibration=calibration)
    learning = classification.CleanLearning(classifier, cv_n_folds=3, seed=0)
    issues = learning.fit(np.array(news.pool), spoiled).get_label_issues()
    assert issues["is_label_issue"].to_numpy()[WRONG].sum() >= 5
    assert (learning.predict(news.test) == news.test_labels).mean() > 0.6
