"""The active learner of small-text over our factories and datasets, without any adapter."""

from __future__ import annotations

import numpy as np
import pytest

import smalltext_core as st
from integrations.backends import BACKENDS
from integrations.page import says
from robustness.backends import NAMES, parameters
from robustness.backends import factory as small_factory
from smalltext_kimcnn import PytorchTextClassificationDataset
from smalltext_sklearn import SklearnDataset
from smalltext_testing.sample_data import training_texts

small_text = pytest.importorskip("small_text")

MARGIN = 0.15
"""How much better than at the start it has to be: over three standard errors of an accuracy over 120 texts."""

STRATEGIES = {
    "random": small_text.RandomSampling,
    "least confidence": small_text.LeastConfidence,
    "breaking ties": small_text.BreakingTies,
    "embedding k-means": small_text.EmbeddingKMeans,
}


def begun(factory, strategy, news, pool=None, classes=5):
    """Return an active learner that was given one text of each class, or of so many of them."""
    np.random.seed(0)  # noqa: NPY002 - where its strategies draw from
    learner = small_text.PoolBasedActiveLearner(
        factory, strategy, st.TextDataset(news.pool) if pool is None else pool
    )
    first = news.one_of_each()[:classes]
    learner.initialize_data(first, news.pool_labels[first])
    return learner


def accuracy(learner, news):
    return (learner.classifier.predict(st.TextDataset(news.test)) == news.test_labels).mean()


CURVES = [
    pytest.param(
        backend,
        strategy,
        id=f"{backend.name}-{strategy}",
        marks=[] if backend.name == "sklearn" else pytest.mark.nightly,  # networks train for many seconds
    )
    for backend in BACKENDS
    for strategy in STRATEGIES
]


@pytest.mark.slow
@pytest.mark.parametrize(("backend", "strategy"), CURVES, indirect=["backend"])
def test_the_learning_curve_rises(backend, strategy, news, record_property):
    learner = begun(backend.factory(len(news.names)), STRATEGIES[strategy](), news, classes=2)
    at_first = accuracy(learner, news)
    for _ in range(backend.rounds):
        queried = learner.query(num_samples=backend.texts_a_round)
        learner.update(news.pool_labels[queried])
    assert len(learner.indices_labeled) == 2 + backend.rounds * backend.texts_a_round
    at_last = accuracy(learner, news)
    record_property("accuracies", [round(float(at_first), 3), round(float(at_last), 3)])
    assert at_last >= at_first + MARGIN


@pytest.fixture
def quick():
    """Return a factory of the classifier that is there at once."""
    return st.create_factory("sklearn", 5, seed=1, calibration="none")


@pytest.mark.parametrize("name", NAMES)
def test_a_saved_learner_resumes(name, tmp_path):
    pytest.importorskip("dill")
    texts = training_texts(3, multi_label=False)
    pool, truth = st.TextDataset(texts.x), texts.y.copy()
    np.random.seed(0)  # noqa: NPY002
    learner = small_text.PoolBasedActiveLearner(small_factory(name), small_text.LeastConfidence(), pool)
    learner.initialize_data(np.arange(6), truth[:6])
    learner.save(tmp_path / "learner")
    loaded = small_text.PoolBasedActiveLearner.load(tmp_path / "learner")
    proba = learner.classifier.predict_proba(pool)
    np.testing.assert_array_equal(loaded.classifier.predict_proba(pool), proba)
    for one in (learner, loaded):
        np.random.seed(1)  # noqa: NPY002
        one.update(truth[one.query(num_samples=2)])
    assert loaded.indices_labeled.tolist() == learner.indices_labeled.tolist()
    np.testing.assert_array_equal(loaded.classifier.predict_proba(pool), learner.classifier.predict_proba(pool))


@pytest.mark.parametrize("reuse_model", [False, True])
@pytest.mark.parametrize("warm_start", [False, True])
def test_a_model_that_is_used_again_starts_again_unless_it_starts_warm(reuse_model, warm_start):
    assert says("unless the factory makes classifiers with `warm_start=True`")
    texts = training_texts(3, multi_label=False)
    factory = st.create_factory("kimcnn", 3, seed=1, warm_start=warm_start, **parameters("kimcnn"))
    learner = small_text.PoolBasedActiveLearner(
        factory, small_text.RandomSampling(), st.TextDataset(texts.x), reuse_model=reuse_model
    )
    learner.initialize_data(np.arange(6), texts.y[:6])
    first = learner.classifier
    learner.update(texts.y[learner.query(num_samples=3)])
    assert (learner.classifier is first) == reuse_model
    labelled = st.TextDataset(texts.x)[learner.indices_labeled].clone()
    labelled.y = learner.y
    from_the_start = factory.new().fit(labelled).predict_proba(texts)
    started_again = (learner.classifier.predict_proba(texts) == from_the_start).all()
    assert started_again == (not (reuse_model and warm_start))


def test_texts_can_be_ignored(quick, news):
    learner = begun(quick, small_text.RandomSampling(), news)
    queried = learner.query(num_samples=10)
    labels = news.pool_labels[queried].astype(float)
    labels[:4] = small_text.LABEL_IGNORED
    learner.update(labels)
    assert learner.indices_ignored.tolist() == queried[:4].tolist()
    assert len(learner.indices_labeled) == len(news.names) + 6
    learner.update_label_at(queried[5], 0, retrain=True)
    learner.remove_label_at(queried[6], retrain=True)


def test_a_validation_set_can_be_set_aside(news):
    factory = st.create_factory("kimcnn", 5, num_epochs=2, embedding_dim=8, out_channels=4, seed=1)
    learner = begun(factory, small_text.RandomSampling(), news)
    queried = learner.query(num_samples=20)
    learner.update(news.pool_labels[queried], indices_validation=np.arange(5, 15))
    assert accuracy(learner, news) >= 0


def test_several_labels_a_text(news):
    rows = [[label] if label else [0, 1] for label in news.pool_labels.tolist()]
    labels = st.list_to_csr(rows, num_classes=5)
    factory = st.create_factory("sklearn", 5, multi_label=True, seed=1)
    np.random.seed(0)  # noqa: NPY002
    strategy = small_text.CategoryVectorInconsistencyAndRanking(pbar=None)
    learner = small_text.PoolBasedActiveLearner(factory, strategy, st.TextDataset(news.pool))
    learner.initialize_data(np.arange(20), labels[:20])
    everything = st.TextDataset(news.pool)
    mistakes = (learner.classifier.predict(everything) != labels).sum()
    for _ in range(2):
        queried = learner.query(num_samples=30)
        learner.update(labels[queried])
    assert (learner.classifier.predict(everything) != labels).sum() < 0.8 * mistakes


@pytest.mark.parametrize("encode", ["SklearnDataset", "PytorchTextClassificationDataset"])
def test_a_pool_that_a_backend_encoded_once(encode, news):
    if encode == "SklearnDataset":
        from sklearn.feature_extraction.text import TfidfVectorizer

        pool, factory = (
            SklearnDataset.from_texts(news.pool, None, TfidfVectorizer()),
            st.create_factory("sklearn", 5),
        )
    else:
        pool = PytorchTextClassificationDataset.from_texts(news.pool)
        factory = st.create_factory("kimcnn", 5, num_epochs=2, embedding_dim=8, out_channels=4, seed=1)
    learner = begun(factory, small_text.EmbeddingKMeans(), news, pool)
    learner.update(news.pool_labels[learner.query(num_samples=20)])
    assert len(learner.classifier.predict(pool)) == len(news.pool)
