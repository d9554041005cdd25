"""The strategies of scikit-activeml over `TextClassifier`: texts as a column, or by their numbers."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from smalltext_sklearn import TextClassifier

pytest.importorskip("skactiveml")

from skactiveml.classifier import SklearnClassifier
from skactiveml.pool import CoreSet, RandomSampling, UncertaintySampling
from skactiveml.utils import MISSING_LABEL


def learner_by_numbers(news, **parameters):
    """Return a classifier of the numbers of texts in the pool, and after it in the test set."""
    texts = np.array(news.pool + news.test, dtype=object)
    look_up = FunctionTransformer(lambda rows: texts[np.ravel(rows).astype(int)])
    pipeline = make_pipeline(look_up, TextClassifier("sklearn", random_state=1, calibration="none"))
    return SklearnClassifier(pipeline, classes=range(len(news.names)), random_state=1, **parameters)


@pytest.mark.parametrize(
    ("strategy", "needs_classifier"),
    [
        (RandomSampling(random_state=0), False),
        (UncertaintySampling(method="least_confident", random_state=0), True),
        (UncertaintySampling(method="margin_sampling", random_state=0), True),
        (UncertaintySampling(method="entropy", random_state=0), True),
    ],
    ids=["random", "least confident", "margin", "entropy"],
)
def test_the_learning_curve_rises(strategy, needs_classifier, news):
    numbers = np.arange(len(news.pool))[:, None]
    unseen = len(news.pool) + np.arange(len(news.test))[:, None]
    y = np.full(len(news.pool), MISSING_LABEL)
    first = news.one_of_each()
    y[first] = news.pool_labels[first]
    classifier = learner_by_numbers(news)
    start = classifier.fit(numbers, y).score(unseen, news.test_labels)
    for _ in range(3):
        options = {"clf": classifier} if needs_classifier else {}
        queried = strategy.query(X=numbers, y=y, batch_size=40, **options)
        y[queried] = news.pool_labels[queried]
    assert classifier.fit(numbers, y).score(unseen, news.test_labels) >= start + 0.2


def test_unlabelled_texts_are_left_out_of_training(news):
    column = np.array(news.pool, dtype=object)[:, None]
    y = news.pool_labels.astype(float)
    y[60:] = MISSING_LABEL
    wrapped = SklearnClassifier(TextClassifier("sklearn", random_state=1), classes=range(5)).fit(column, y)
    alone = TextClassifier("sklearn", random_state=1).fit(news.pool[:60], news.pool_labels[:60])
    assert (wrapped.predict(column) == alone.predict(news.pool)).all()


def test_embeddings_are_features_to_choose_by(news):
    import smalltext_core as st

    classifier = TextClassifier("sklearn", random_state=1).fit(news.pool[:60], news.pool_labels[:60])
    vectors = classifier.classifier_.embed(st.TextDataset(news.pool))
    y = news.pool_labels.astype(float)
    y[60:] = MISSING_LABEL
    queried = CoreSet(random_state=0).query(X=vectors, y=y, batch_size=10)
    assert (queried >= 60).all()
