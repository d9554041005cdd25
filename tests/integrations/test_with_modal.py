"""The active learner of modAL over `TextClassifier`: lists and arrays of texts, labels as strings."""

from __future__ import annotations

import numpy as np
import pytest
import sklearn

from smalltext_sklearn import TextClassifier

pytest.importorskip("modAL")

from modAL.disagreement import vote_entropy_sampling
from modAL.models import ActiveLearner, Committee
from modAL.models import learners as learners_of_modal
from modAL.uncertainty import entropy_sampling, margin_sampling, uncertainty_sampling

NEEDS_THE_OLD_NAME = tuple(map(int, sklearn.__version__.split(".")[:2])) >= (1, 8)
"""modAL 0.4.2.1 says `force_all_finite`, an argument that scikit-learn 1.6 renamed and 1.8 dropped."""


@pytest.fixture
def old_name(monkeypatch):
    """Let modAL call `check_X_y` as it was when modAL was released."""
    if NEEDS_THE_OLD_NAME:
        check = learners_of_modal.check_X_y

        def renamed(*arguments, force_all_finite, **options):
            return check(*arguments, ensure_all_finite=force_all_finite, **options)

        monkeypatch.setattr(learners_of_modal, "check_X_y", renamed)


@pytest.fixture
def labels(news):
    return np.array([news.names[label] for label in news.pool_labels], dtype=object)


def curve(learner, news, labels, texts_of, rounds=3, texts_a_round=40):
    """Teach a learner round by round, and return its accuracy at the start and at the end."""
    test_labels = [news.names[label] for label in news.test_labels]
    pool, left = texts_of(news.pool), np.arange(len(news.pool))
    scores = [learner.score(texts_of(news.test), test_labels)]
    for _ in range(rounds):
        queried, _ = learner.query(texts_of([pool[row] for row in left]), n_instances=texts_a_round)
        rows = left[queried]
        learner.teach(texts_of([pool[row] for row in rows]), labels[rows])
        left = np.delete(left, queried)
        scores.append(learner.score(texts_of(news.test), test_labels))
    return scores[0], scores[-1]


STRATEGIES = (uncertainty_sampling, margin_sampling, entropy_sampling)
CONTAINERS = {"list": list, "str array": np.array, "object array": lambda texts: np.array(texts, dtype=object)}


@pytest.mark.parametrize(
    ("strategy", "texts_of"),
    [
        pytest.param(
            strategy,
            texts_of,
            id=f"{name}-{strategy.__name__}",
            marks=[] if column == row else pytest.mark.nightly,
        )
        for row, (name, texts_of) in enumerate(CONTAINERS.items())
        for column, strategy in enumerate(STRATEGIES)
    ],
)
@pytest.mark.usefixtures("old_name")
def test_the_learning_curve_rises(strategy, texts_of, news, labels):
    first = news.one_of_each()
    learner = ActiveLearner(
        TextClassifier("sklearn", random_state=1, calibration="none"),
        strategy,
        X_training=texts_of([news.pool[row] for row in first]),
        y_training=labels[first],
    )
    start, end = curve(learner, news, labels, texts_of)
    assert end >= start + 0.2


@pytest.mark.usefixtures("old_name")
def test_a_committee_learns_from_what_its_members_disagree_on(news):
    pool, labels = np.array(news.pool, dtype=object), news.pool_labels  # votes are counted as numbers
    estimators = ["sklearn.linear_model.LogisticRegression", "sklearn.naive_bayes.ComplementNB"]
    members = [
        ActiveLearner(
            TextClassifier("sklearn", random_state=1, estimator=estimator),
            X_training=pool[:20],
            y_training=labels[:20],
        )
        for estimator in estimators
    ]
    committee = Committee(members, vote_entropy_sampling)
    queried, _ = committee.query(pool, n_instances=10)
    committee.teach(pool[queried], labels[queried])
    assert len(committee.learner_list[0].X_training) == 30


def test_an_unfitted_learner_finds_every_text_uncertain(news):
    learner = ActiveLearner(TextClassifier("sklearn"), uncertainty_sampling)
    queried, _ = learner.query(np.array(news.pool), n_instances=7)
    assert len(queried) == 7


def test_a_new_learner_each_round_needs_nothing_of_what_scikit_learn_dropped(news, labels):
    pool = np.array(news.pool, dtype=object)
    labelled = news.one_of_each()
    for _ in range(2):
        learner = ActiveLearner(
            TextClassifier("sklearn", random_state=1), X_training=pool[labelled], y_training=labels[labelled]
        )
        left = np.setdiff1d(np.arange(len(pool)), labelled)
        queried, _ = learner.query(pool[left], n_instances=30)
        labelled = np.concatenate([labelled, left[queried]])
    assert len(labelled) == 65
