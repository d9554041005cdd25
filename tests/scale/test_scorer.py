"""A scorer stores only its arguments; a process loads its model once; streams are labelled in order."""

from __future__ import annotations

import copy
import os
import pickle
import shutil
import tracemalloc
from dataclasses import FrozenInstanceError
from itertools import count, islice
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import smalltext_core as st
from scale.conftest import save_model
from smalltext_core.errors import InvalidInputError, ModelFolderError
from smalltext_scale import BatchScorer, Prediction, models

BATCH = {"text": ["good", "dull"]}


@pytest.fixture
def loads(monkeypatch):
    """The folders from which models are loaded, with an empty cache at the beginning."""
    folders = []

    def load(folder, **options):
        folders.append(folder)
        return st.load(folder, **options)

    monkeypatch.setattr(models, "load", load)
    models._forget()
    return folders


def test_arguments_cannot_be_changed(model):
    scorer = BatchScorer(model)
    with pytest.raises(FrozenInstanceError):
        scorer.text = "body"
    assert scorer == BatchScorer(model)
    assert len({scorer, BatchScorer(model), BatchScorer(model, proba=True)}) == 2
    assert "_model" not in repr(scorer)


def test_the_model_is_loaded_by_the_first_call(model, loads):
    scorer = BatchScorer(model)
    assert loads == []
    scorer(BATCH)
    scorer(BATCH)
    assert loads == [model]


@pytest.mark.parametrize("library", ["pickle", "cloudpickle"])
def test_the_model_is_not_pickled(library, model):
    pickler = pytest.importorskip(library)
    scorer = BatchScorer(model, proba=True)
    before = pickler.dumps(scorer)
    scored = scorer(BATCH)
    assert pickler.dumps(scorer) == before
    assert len(before) < 1_000
    assert pickle.loads(before)(BATCH) == scored
    assert copy.deepcopy(scorer) == scorer


def test_engines_that_unpickle_a_scorer_for_each_task_do_not_load_it_again(model, loads):
    pickled = pickle.dumps(BatchScorer(model))
    for _ in range(3):
        pickle.loads(pickled)(BATCH)
    assert loads == [model]


def test_a_relative_folder_is_found_from_anywhere(model, tmp_path, monkeypatch):
    monkeypatch.chdir(Path(model).parent)
    pickled = pickle.dumps(BatchScorer("model"))
    monkeypatch.chdir(tmp_path)
    assert pickle.loads(pickled)(BATCH)["label"] == ["good", "bad"]


def test_the_folder_is_read_by_workers_only(tmp_path):
    scorer = pickle.loads(pickle.dumps(BatchScorer(tmp_path / "later")))
    with pytest.raises(ModelFolderError, match="is not a saved model"):
        scorer(BATCH)
    save_model(tmp_path / "later")
    assert scorer(BATCH)["label"] == ["good", "bad"]


def test_workers_refuse_another_model_than_the_one_that_was_meant(tmp_path):
    pickled = pickle.dumps(BatchScorer(save_model(tmp_path / "model")))
    save_model(tmp_path / "model", good="great")
    with pytest.raises(ModelFolderError, match="another model than when the scorer was pickled"):
        pickle.loads(pickled)(BATCH)
    assert BatchScorer(tmp_path / "model")(BATCH)["label"] == ["great", "bad"]


@pytest.mark.parametrize("called", ["before", "at first", "in the middle"])
def test_labels_have_the_names_of_the_model_that_predicted_them(called, tmp_path):
    scorer = BatchScorer(save_model(tmp_path / "model"))
    if called == "before":
        scorer(BATCH)
    found = scorer.predict_iter(BATCH["text"] * 20, 1)
    labels = [next(found).label] if called == "in the middle" else []
    if called != "at first":
        save_model(tmp_path / "model", good="great")
    labels += [one.label for one in found]
    assert labels == ["good", "bad"] * 20


def test_a_model_that_is_saved_while_names_are_read_is_loaded(tmp_path, monkeypatch):
    folder, class_names, calls = save_model(tmp_path / "model"), models.class_names, []

    def replaced(*arguments):
        if not calls:
            save_model(folder, good="great")
        calls.append(arguments)
        return class_names(*arguments)

    monkeypatch.setattr(models, "class_names", replaced)
    loaded = models.loaded_model(models.ModelSource(folder))
    assert loaded.names == loaded.classifier.label_names_


def test_names_of_another_model_than_workers_have_loaded_are_refused(tmp_path, monkeypatch):
    folder = save_model(tmp_path / "model")
    model = st.load(folder)

    def predict(predictors, batches):
        for batch in batches:
            scores = model.predict(st.TextDataset(batch), return_proba=True)
            save_model(folder, good="great")
            yield batch, scores

    monkeypatch.setattr("smalltext_scale.scorer.predict_in_processes", predict)
    with pytest.raises(ModelFolderError, match="another model"):
        next(BatchScorer(folder).predict_iter(["good"], workers=2))


def test_results_of_another_model_in_the_folder_are_not_taken_from_a_cache(tmp_path):
    """Dask and datasets cache results by a hash of the function, which is that of its pickle."""
    tokenize = pytest.importorskip("dask.tokenize").tokenize
    scorer = BatchScorer(save_model(tmp_path / "model"))
    tokens = {tokenize(scorer), tokenize(BatchScorer(tmp_path / "model"))}
    scorer(BATCH)
    tokens.add(tokenize(scorer))
    assert len(tokens) == 1
    before = pickle.dumps(scorer)
    save_model(tmp_path / "model", good="great")
    again = BatchScorer(tmp_path / "model")
    assert tokenize(again) not in tokens
    assert pickle.dumps(again) != before


def test_a_copied_folder_is_the_same_model(tmp_path):
    folder = save_model(tmp_path / "model")
    pickled = pickle.dumps(BatchScorer(folder))
    shutil.copytree(folder, tmp_path / "copy")
    shutil.rmtree(folder)
    (tmp_path / "copy").rename(folder)
    assert pickle.loads(pickled)(BATCH)["label"] == ["good", "bad"]


def test_memory_holds_few_models(model, tmp_path, loads):
    for number in range(10):
        shutil.copytree(model, tmp_path / str(number))
        BatchScorer(tmp_path / str(number))(BATCH)
    assert len(models._loaded) == 8


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")
def test_a_forked_process_loads_its_model_itself(model):
    BatchScorer(model)(BATCH)
    with models._lock:
        child = os.fork()
        if child == 0:
            os._exit(0 if not models._loaded and BatchScorer(model)(BATCH)["label"] == ["good", "bad"] else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


WRONG = {
    "text": ({"text": 0}, "text: got 0; allowed: the name of a column, a string"),
    "one output": ({"output": ["label"]}, r"output: got \['label'\]; allowed: two names"),
    "a string": ({"output": "ab"}, "output: got one string"),
    "twice": ({"output": ("a", "a")}, r"output: got \('a', 'a'\) with text='text'"),
    "the texts": ({"output": ("text", "score")}, "distinct"),
    "no texts at a time": ({"batch_size": 0}, "batch_size: got 0; allowed: an int, 1 or above, or None"),
    "a fraction": ({"batch_size": 1.5}, "batch_size: got 1.5"),
    "a word as a flag": ({"proba": "no"}, "proba: got 'no'; allowed: True or False"),
    "trusted": ({"trusted": "a.type"}, "trusted: got one string"),
    "folder": ({"folder": None}, "folder: got None; allowed: a path"),
}


@pytest.mark.parametrize("what", WRONG)
def test_wrong_arguments_are_refused(what):
    arguments, message = WRONG[what]
    with pytest.raises(InvalidInputError, match=message):
        BatchScorer(**{"folder": "model", **arguments})


def test_a_device_is_refused_by_a_backend_without_the_choice(model):
    with pytest.raises(InvalidInputError, match="device: got 'cpu'; allowed: None for the classifier 'sklearn'"):
        BatchScorer(model, device="cpu")(BATCH)


@pytest.mark.parametrize("batch_size", [None, 1, 3, 1000])
def test_a_stream_is_labelled_in_order(batch_size, model, multi_label_model):
    texts = [f"{'very ' * (number * 7 % 5)}{('good', 'bad')[number % 2]} film" for number in range(100)]
    for folder in (model, multi_label_model):
        scored = BatchScorer(folder)({"text": texts})
        found = list(BatchScorer(folder).predict_iter(iter(texts), batch_size))
        assert found == [Prediction(*row) for row in zip(scored["label"], scored["score"], strict=True)]


def test_a_stream_has_probabilities_on_request(model):
    (found,) = BatchScorer(model, proba=True).predict_iter(["good"])
    assert sorted(found.proba) == ["bad", "good"]
    assert found.proba["good"] == found.score


@pytest.mark.parametrize("batch_size", [None, 4])
def test_an_infinite_stream_is_read_no_further_than_a_window(batch_size, model):
    numbers = count()
    found = BatchScorer(model).predict_iter((f"good {number}" for number in numbers), batch_size)
    assert [one.label for one in islice(found, 10)] == ["good"] * 10
    assert next(numbers) == (1_024 if batch_size is None else 64)


def test_batches_of_a_window_are_of_similar_length(model, monkeypatch):
    seen = []
    predict = models.LoadedModel._predict
    monkeypatch.setattr(
        models.LoadedModel, "_predict", lambda self, texts: seen.append(list(texts)) or predict(self, texts)
    )
    list(BatchScorer(model).predict_iter(("good " * (number % 16) for number in range(64)), 8))
    assert [len(batch) for batch in seen] == [8] * 8
    lengths = [len(text) for batch in seen for text in batch]
    assert lengths == sorted(lengths)


def test_no_texts_give_no_predictions(model):
    assert list(BatchScorer(model).predict_iter([])) == []


def test_long_texts_are_predicted_a_few_at_a_time(model, monkeypatch):
    monkeypatch.setattr(models, "BATCH_CHARACTERS", 100)
    seen = []
    predict = models.LoadedModel._predict
    monkeypatch.setattr(
        models.LoadedModel, "_predict", lambda self, texts: seen.append(list(texts)) or predict(self, texts)
    )
    texts = ["good " * 30, "bad", *["good " * 8] * 5]
    assert BatchScorer(model)({"text": texts})["label"] == ["good", "bad", *["good"] * 5]
    assert max(sum(map(len, batch)) for batch in seen if len(batch) > 1) <= 100


@pytest.mark.parametrize("column", ["array", "chunked array", "series", "numpy array"])
def test_a_stream_may_be_a_column_of_a_table(column, model):
    arrow = pytest.importorskip("pyarrow")
    texts = ["good", "bad", "good"]
    columns = {
        "array": arrow.array(texts),
        "chunked array": arrow.chunked_array([texts[:1], texts[1:]]),
        "series": pd.Series(texts, index=[2, 1, 1]),
        "numpy array": np.array(texts),
    }
    assert [found.label for found in BatchScorer(model).predict_iter(columns[column])] == texts
    missing = BatchScorer(model).predict_iter(arrow.array(["good", None]))
    with pytest.raises(InvalidInputError, match="texts: got None at row 1; allowed: strings"):
        list(missing)


INVALID_STREAMS = ["good", {"text": ["good"]}, {"good"}, 7, np.zeros((2, 2)), st.TextDataset(["good"])]


@pytest.mark.parametrize("texts", INVALID_STREAMS, ids=repr)
def test_invalid_streams_are_refused_before_they_are_read(texts, model):
    with pytest.raises(InvalidInputError, match="texts: got"):
        BatchScorer(model).predict_iter(texts)


def test_a_missing_text_of_a_stream_is_named_by_its_row(model):
    stream = (None if row == 1_500 else "good" for row in count())
    found = BatchScorer(model).predict_iter(stream)
    assert len(list(islice(found, 1_024))) == 1_024
    with pytest.raises(InvalidInputError, match="texts: got None at row 1500; allowed: strings"):
        next(found)


@pytest.mark.parametrize("chunk", ["good", ["good", None], [b"good"], {"good"}, np.zeros((2, 2))], ids=repr)
def test_invalid_chunks_are_refused(chunk, model):
    found = BatchScorer(model).predict_chunks([["good"], chunk])
    assert next(found)[0] == ["good"]
    with pytest.raises(InvalidInputError, match="chunks: got"):
        next(found)


def test_a_chunk_may_be_a_column_of_a_frame_with_another_index(model):
    texts = ["good", "a dull film " * 9, "bad"]
    chunk = pd.Series(texts, index=[2, 0, 1])
    ((found, (labels, _)),) = BatchScorer(model, batch_size=1).predict_chunks([chunk])
    assert found == texts
    assert labels.tolist() == st.load(model).predict(st.TextDataset(texts)).tolist()


def test_memory_does_not_grow_with_a_stream(model):
    found = BatchScorer(model).predict_iter((f"good {number}" for number in count(1_000_000)), 64)
    peaks = []
    tracemalloc.start()
    try:
        for _ in islice(found, 4_096):  # the libraries fill small caches
            pass
        for _ in range(4):
            tracemalloc.reset_peak()
            for _ in islice(found, 1_024):
                pass
            peaks.append(tracemalloc.get_traced_memory()[1])
    finally:
        tracemalloc.stop()
    assert peaks[-1] < 1.2 * peaks[0]
