"""Engines give the results of a single process, and lose or duplicate no rows if a worker dies."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import smalltext_core as st
from engines import engines, scored_models
from engines.killed import KilledOnce
from smalltext_scale import BatchScorer

LIGHT = ("datasets", "dask", "distributed")
"""The engines of the default test environment; the others are in that of `hatch run engines:nightly`."""
NETWORKS = ("kimcnn", "transformers", "setfit")
TEXTS, MANY_TEXTS = 300, 50_000


def cases():
    """Yield pairs of engine and backend: two backends per engine, and two engines per backend."""
    for engine in engines.ENGINES:
        for backend in scored_models.BACKENDS:
            if backend not in NETWORKS or engine in ("datasets", "ray"):
                yield engine, backend


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """Return a function that returns the folder of a model of a backend."""
    saved = {}

    def folder(backend):
        if backend == "embeddings":
            pytest.importorskip("model2vec")
        if backend not in saved:
            saved[backend] = scored_models.save_model(backend, tmp_path_factory.mktemp(backend))
        return saved[backend]

    return folder


def check(scored, alone):
    """Compare the result of an engine with that of a single process, row by row."""
    scored = scored.sort_values("id").reset_index(drop=True)
    assert scored["id"].tolist() == alone["id"].tolist()
    assert scored["text"].tolist() == alone["text"].tolist()
    assert list(scored.columns) == list(alone.columns)
    numbers = [name for name in alone.columns if name.startswith("proba_")]
    assert len(numbers) == 5
    given, expected = (frame[numbers].to_numpy(dtype=np.float64) for frame in (scored, alone))  # ray: objects
    np.testing.assert_allclose(given, expected, rtol=0, atol=2e-6)
    two_highest = np.sort(alone[numbers], axis=1)[:, -2:]
    clear = two_highest[:, 1] - two_highest[:, 0] > 1e-5  # smaller differences may be rounded either way
    assert scored["label"][clear].tolist() == alone["label"][clear].tolist()
    assert clear.mean() > 0.99


@pytest.mark.parametrize("backend", ["sklearn", "embeddings"])
@pytest.mark.parametrize("engine", LIGHT)
def test_an_engine_labels_as_one_process_does(engine, backend, model, tmp_path):
    module, run = engines.ENGINES[engine]
    pytest.importorskip(module)
    file = scored_models.write_texts(tmp_path, TEXTS)
    scorer = BatchScorer(model(backend), proba=True)
    check(run(scorer, file, 1), engines.in_one_process(scorer, file, 1))


@pytest.mark.nightly
@pytest.mark.parametrize(("engine", "backend"), list(cases()))
def test_an_engine_labels_many_texts_as_one_process_does(engine, backend, model, tmp_path, record_property):
    module, run = engines.ENGINES[engine]
    pytest.importorskip(module)
    file = scored_models.write_texts(tmp_path, MANY_TEXTS)
    scorer = BatchScorer(model(backend), proba=True)
    check(run(scorer, file, 2), engines.in_one_process(scorer, file, 1))
    record_property("texts", MANY_TEXTS)


@pytest.mark.nightly
def test_dask_loses_and_duplicates_no_rows_when_a_worker_is_killed(model, tmp_path):
    dd = pytest.importorskip("dask.dataframe")
    distributed = pytest.importorskip("distributed")
    alone = engines.in_one_process(
        BatchScorer(model("sklearn"), proba=True), scored_models.write_texts(tmp_path, 5_000), 1
    )
    marker = tmp_path / "killed"
    cluster = distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None)
    with cluster, distributed.Client(cluster):
        frame = dd.from_pandas(alone[["id", "text"]], npartitions=20)
        scored = frame.map_partitions(KilledOnce(model("sklearn"), str(marker)), meta=alone.iloc[:0]).compute()
    assert marker.exists()
    check(scored, alone)


@pytest.mark.nightly
def test_ray_loses_and_duplicates_no_rows_when_an_actor_is_killed(model, tmp_path):
    ray = pytest.importorskip("ray")
    pytest.importorskip("ray.data")
    alone = engines.in_one_process(
        BatchScorer(model("sklearn"), proba=True), scored_models.write_texts(tmp_path, 5_000), 1
    )
    marker = tmp_path / "killed"
    with engines.ray_running(2):
        texts = ray.data.from_pandas(alone[["id", "text"]]).repartition(20)
        scored = texts.map_batches(
            KilledOnce,
            fn_constructor_args=(model("sklearn"), str(marker)),
            batch_size=250,
            batch_format="pandas",
            compute=ray.data.ActorPoolStrategy(size=2),
        ).to_pandas()
    assert marker.exists()
    check(scored, alone)


def test_lost_duplicated_and_changed_rows_are_detected():
    alone = pd.DataFrame({"id": [0, 1], "text": ["a", "b"], "label": ["x", "y"]})
    proba = {f"proba_{k}": [[0.1, 0.6][k == 0], [0.1, 0.6][k == 1]] for k in range(5)}
    alone = alone.assign(**proba)
    check(alone[::-1], alone)
    for wrong in (alone[:1], pd.concat([alone, alone[:1]]), alone.assign(label="x"), alone.assign(proba_3=0.2)):
        with pytest.raises(AssertionError):
            check(wrong, alone)


@pytest.fixture(scope="module")
def multi_label_scorer(tmp_path_factory):
    """A scorer that gives no label to the first of the texts below."""
    labels = {"goal": ["sport"], "recipe": ["food"], "weather": []}
    texts = [f"{word} {number}" for word in labels for number in range(15)]
    train_set = st.TextDataset.from_labels(texts, [labels[text.split()[0]] for text in texts])
    folder = tmp_path_factory.mktemp("multi_label") / "model"
    st.create_classifier("sklearn", num_classes=2, multi_label=True, seed=1).fit(train_set).save(folder)
    return BatchScorer(folder)


UNLABELLED_FIRST = pd.DataFrame({"id": range(6), "text": ["weather"] * 3 + ["goal"] * 3})


def test_datasets_keep_lists_of_labels_in_the_format_arrow(multi_label_scorer):
    datasets = pytest.importorskip("datasets")
    expected = multi_label_scorer(UNLABELLED_FIRST)
    assert [len(labels) for labels in expected["label"]] == [0, 0, 0, 1, 1, 1]
    texts = datasets.Dataset.from_pandas(UNLABELLED_FIRST).with_format("arrow")
    scored = texts.map(multi_label_scorer, batched=True, batch_size=3, writer_batch_size=3)
    assert scored.with_format(None)["label"][:] == expected["label"].tolist()
    assert scored.features["score"] == datasets.List(datasets.Value("float32"))


def test_dask_writes_lists_of_labels_with_a_schema(multi_label_scorer, tmp_path):
    dd = pytest.importorskip("dask.dataframe")
    pyarrow = pytest.importorskip("pyarrow")
    frame = dd.from_pandas(UNLABELLED_FIRST, npartitions=2)
    scored = frame.map_partitions(multi_label_scorer, meta=multi_label_scorer(frame._meta))
    names, numbers = pyarrow.list_(pyarrow.string()), pyarrow.list_(pyarrow.float32())
    schema = {"id": pyarrow.int64(), "text": pyarrow.string(), "label": names, "score": numbers}
    scored.to_parquet(tmp_path, schema=pyarrow.schema(schema))
    read = [list(labels) for labels in pd.read_parquet(tmp_path)["label"]]
    assert read == multi_label_scorer(UNLABELLED_FIRST)["label"].tolist()
