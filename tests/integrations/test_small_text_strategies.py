"""Every query strategy of small-text in its active learner, over `sklearn` and `kimcnn`."""

from __future__ import annotations

import sys
from functools import partial
from importlib.util import find_spec

import numpy as np
import pytest

import smalltext_core as st
from integrations import exact_neighbours

small_text = pytest.importorskip("small_text")
over_torch = pytest.importorskip("small_text.integrations.pytorch.query_strategies")

BACKENDS = {
    "sklearn": {"calibration": "none"},
    "kimcnn": {
        "num_epochs": 2,
        "embedding_dim": 8,
        "out_channels": 4,
        "max_seq_len": 30,
        "calibration": "none",
    },
}
"""Without the folds of calibration, which each of many trainings would train anew."""
CLASSES, POOL, FIRST, QUERIED = 5, 90, 20, 8

# hnswlib finds fewer than k neighbours where most elements are deleted, so k stays far below the pool.
STRATEGIES = {
    "RandomSampling": lambda: small_text.RandomSampling(),
    "LeastConfidence": lambda: small_text.LeastConfidence(),
    "PredictionEntropy": lambda: small_text.PredictionEntropy(),
    "BreakingTies": lambda: small_text.BreakingTies(),
    "EmbeddingKMeans": lambda: small_text.EmbeddingKMeans(),
    "GreedyCoreset": lambda: small_text.GreedyCoreset(),
    "GreedyCoreset, cosine": lambda: small_text.GreedyCoreset(distance_metric="cosine"),
    "LightweightCoreset": lambda: small_text.LightweightCoreset(),
    "ContrastiveActiveLearning": lambda: small_text.ContrastiveActiveLearning(k=5, pbar=None),
    "DiscriminativeActiveLearning": lambda: small_text.DiscriminativeActiveLearning(
        st.create_factory("sklearn", 2, seed=1, calibration="none"), num_iterations=2
    ),
    "SubsamplingQueryStrategy": lambda: small_text.SubsamplingQueryStrategy(
        small_text.EmbeddingKMeans(), subsample_size=40
    ),
    "SEALS": lambda: small_text.SEALS(small_text.LeastConfidence(), k=15),
    "AnchorSubsampling": lambda: small_text.AnchorSubsampling(
        small_text.BreakingTies(), subsample_size=30, num_anchors=3, k=15
    ),
    "BALD": lambda: small_text.BALD(dropout_samples=3),
    "BADGE": lambda: over_torch.BADGE(CLASSES),
}
IMPOSSIBLE = {("sklearn", "BALD"): (TypeError, "dropout_sampling")}
"""What cannot work: there is no dropout in scikit-learn's estimators."""

OVER_NETWORKS = {
    "ExpectedGradientLength": lambda: small_text.ExpectedGradientLength(CLASSES),
    "ExpectedGradientLengthLayer": lambda: small_text.ExpectedGradientLengthLayer(CLASSES, "last"),
    "ExpectedGradientLengthMaxWord": lambda: small_text.ExpectedGradientLengthMaxWord(CLASSES, "embedding"),
}


@pytest.fixture(autouse=True)
def neighbours(monkeypatch):
    """Let small-text find hnswlib, or what takes its place where it is not installed."""
    if find_spec("hnswlib") is None:
        monkeypatch.setitem(sys.modules, "hnswlib", exact_neighbours)


@pytest.fixture(params=BACKENDS)
def name(request):
    if request.param not in st.classifiers():
        pytest.skip(f"the classifier {request.param!r} is not installed")
    return request.param


@pytest.fixture
def begin(name, news):
    """Return a function that makes a learner which was given labels for the first texts of the pool."""
    np.random.seed(0)  # noqa: NPY002 - where the strategies draw from
    first = np.union1d(news.one_of_each(), np.arange(FIRST))

    def learner(strategy):
        factory = st.create_factory(name, CLASSES, seed=1, **BACKENDS[name])
        begun = small_text.PoolBasedActiveLearner(factory, strategy, st.TextDataset(news.pool[:POOL]))
        begun.initialize_data(first, news.pool_labels[first])
        return begun

    return learner


def queried_by(learner):
    """Return what the learner's strategy chooses, which has to be texts without a label, each once."""
    queried = learner.query(num_samples=QUERIED)
    assert len(set(queried.tolist())) == QUERIED
    assert not set(queried.tolist()) & set(learner.indices_labeled.tolist())
    return queried


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.filterwarnings("ignore:Default distance metric has changed")
@pytest.mark.filterwarnings("ignore:invalid value encountered in arccos")
def test_a_strategy_is_asked_twice(begin, name, strategy, news):
    learner = begin(STRATEGIES[strategy]())
    if (name, strategy) in IMPOSSIBLE:
        error, message = IMPOSSIBLE[name, strategy]
        with pytest.raises(error, match=message):
            learner.query(num_samples=QUERIED)
        return
    before = len(learner.indices_labeled)
    for _ in range(2):
        learner.update(news.pool_labels[queried_by(learner)])
    assert len(learner.indices_labeled) == before + 2 * QUERIED


@pytest.mark.parametrize("strategy", ["LeastConfidence", "PredictionEntropy", "BreakingTies"])
def test_what_is_chosen_is_what_the_probabilities_are_least_sure_of(begin, strategy):
    learner = begin(STRATEGIES[strategy]())
    queried = queried_by(learner)
    proba = np.sort(learner.classifier.predict_proba(learner.dataset), axis=1)
    sureness = {
        "LeastConfidence": proba[:, -1],
        "PredictionEntropy": (proba * np.log(proba)).sum(axis=1),
        "BreakingTies": proba[:, -1] - proba[:, -2],
    }[strategy]
    left = np.setdiff1d(np.arange(POOL), learner.indices_labeled)
    expected = left[np.argsort(sureness[left])[:QUERIED]]
    assert sorted(sureness[queried]) == pytest.approx(sorted(sureness[expected]), abs=1e-6)


@pytest.mark.parametrize("encode", [True, False], ids=["encoded once", "texts"])
@pytest.mark.parametrize("strategy", ["EmbeddingKMeans", "SEALS", "DiscriminativeActiveLearning"])
def test_a_strategy_takes_a_pool_that_the_backend_encoded(name, strategy, encode, news):
    np.random.seed(0)  # noqa: NPY002
    texts = news.pool[:POOL]
    pool = st.TextDataset(texts)
    if encode and name == "sklearn":
        from sklearn.feature_extraction.text import TfidfVectorizer

        from smalltext_sklearn import SklearnDataset

        pool = SklearnDataset.from_texts(texts, None, TfidfVectorizer())
    elif encode:
        from smalltext_kimcnn import PytorchTextClassificationDataset

        pool = PytorchTextClassificationDataset.from_texts(texts)
    factory = partial(st.create_factory, name, seed=1, **BACKENDS[name])
    chosen = STRATEGIES[strategy]()
    if strategy == "DiscriminativeActiveLearning":
        chosen = small_text.DiscriminativeActiveLearning(factory(2), num_iterations=2)
    learner = small_text.PoolBasedActiveLearner(factory(CLASSES), chosen, pool)
    learner.initialize_data(np.arange(FIRST), news.pool_labels[:FIRST])
    learner.update(news.pool_labels[queried_by(learner)])
    assert len(learner.indices_labeled) == FIRST + QUERIED


def test_the_strategy_for_several_labels_a_text(name, news):
    labels = st.list_to_csr([[label] if label else [0, 1] for label in news.pool_labels.tolist()], CLASSES)
    factory = st.create_factory(name, CLASSES, multi_label=True, seed=1, **BACKENDS[name])
    strategy = small_text.CategoryVectorInconsistencyAndRanking(pbar=None)
    learner = small_text.PoolBasedActiveLearner(factory, strategy, st.TextDataset(news.pool[:POOL]))
    learner.initialize_data(np.arange(FIRST), labels[:FIRST])
    for _ in range(2):
        learner.update(labels[queried_by(learner)])
    assert learner.y.shape == (FIRST + 2 * QUERIED, CLASSES)


@pytest.mark.parametrize("strategy", OVER_NETWORKS)
def test_gradient_lengths_need_a_private_method_of_the_classifiers_of_small_text(news, strategy):
    factory = st.create_factory("kimcnn", CLASSES, seed=1, **BACKENDS["kimcnn"])
    chosen = OVER_NETWORKS[strategy]()
    chosen.device = "cpu"
    learner = small_text.PoolBasedActiveLearner(factory, chosen, st.TextDataset(news.pool[:POOL]))
    learner.initialize_data(np.arange(FIRST), news.pool_labels[:FIRST])
    with pytest.raises(AttributeError, match="_create_collate_fn"):
        learner.query(num_samples=QUERIED)
