"""``smalltext predict --workers`` and ``--devices``: the output of one process, or an error and no file."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

import smalltext_core as st
from smalltext_cli import evaluation, predictions
from smalltext_scale import workers

PLUGIN = Path(__file__).parents[1] / "conformance_kit" / "counting_plugin"


@pytest.fixture
def light_model(tmp_path, monkeypatch):
    """Return a saved model that new processes load without importing anything large."""
    monkeypatch.syspath_prepend(str(PLUGIN))
    st.refresh()
    texts = st.TextDataset.from_labels(["buy cheap pills 3", "buy 7 more", "lunch 11"], ["spam", "spam", "ham"])
    st.create_classifier("counting", num_classes=2, seed=1).fit(texts).save(tmp_path / "light-model")
    yield tmp_path / "light-model"
    monkeypatch.undo()
    st.refresh()


@pytest.fixture
def new(tmp_path):
    path = tmp_path / "new.csv"
    pl.DataFrame({"text": [f"buy {number} cheap pills" for number in range(40)]}).write_csv(path)
    return path


def test_two_processes_write_what_one_does(smalltext, light_model, new, tmp_path, monkeypatch):
    monkeypatch.setattr(predictions, "_CHUNK_ROWS", 7)
    one, two = tmp_path / "one.csv", tmp_path / "two.csv"
    assert smalltext("predict", light_model, new, "--output", one, "--proba").code == 0
    ended = smalltext("predict", light_model, new, "--output", two, "--proba", "--workers", 2)
    assert ended.code == 0, ended.err
    assert two.read_bytes() == one.read_bytes()


def test_processes_refuse_another_model_than_the_one_that_names_the_classes(
    smalltext, light_model, new, tmp_path, monkeypatch
):
    load_model = evaluation.load_model

    def replaced(folder, **options):
        found = load_model(folder, **options)
        texts = st.TextDataset.from_labels(["buy cheap pills 3", "lunch 11"], ["zebra", "ham"])
        st.create_classifier("counting", num_classes=2, seed=1).fit(texts).save(folder)
        return found

    monkeypatch.setattr(evaluation, "load_model", replaced)
    ended = smalltext("predict", light_model, new, "--output", tmp_path / "out.csv", "--workers", 2)
    assert ended.code == 2
    assert "holds another model" in ended.err
    assert not (tmp_path / "out.csv").exists()


def test_classes_have_the_names_of_the_model_that_is_loaded(light_model, monkeypatch):
    load, folders = st.load, []

    def replaced(folder, **options):
        if not folders:
            texts = st.TextDataset.from_labels(["buy cheap pills 3", "lunch 11"], ["zebra", "ham"])
            st.create_classifier("counting", num_classes=2, seed=1).fit(texts).save(folder)
        folders.append(folder)
        return load(folder, **options)

    monkeypatch.setattr(evaluation, "load", replaced)
    assert evaluation.load_model(str(light_model)).names.names == ("ham", "zebra")


def test_a_process_that_dies_is_an_error_and_nothing_is_written(smalltext, model, new, tmp_path, monkeypatch):
    def die(predictors, batches):
        next(iter(batches))
        raise workers.WorkerError("worker 1 of 2 was ended by SIGKILL")
        yield

    monkeypatch.setattr("smalltext_scale.scorer.predict_in_processes", die)
    ended = smalltext("predict", model, new, "--output", tmp_path / "out.csv", "--workers", 2)
    assert ended.code == 2
    assert "worker 1 of 2 was ended by SIGKILL" in ended.err
    assert not (tmp_path / "out.csv").exists()


def test_gpus_are_refused_without_any_before_the_model_is_loaded(smalltext, new, tmp_path, monkeypatch):
    monkeypatch.setattr(workers, "_cuda_devices", lambda: 0)
    ended = smalltext("predict", tmp_path / "no-model", new, "--devices", "all", "--output", tmp_path / "out.csv")
    assert ended.code != 0
    assert "there is no CUDA device" in ended.err


@pytest.mark.parametrize("option", [("--workers", 2), ("--devices", "cuda:0")])
def test_shards_take_no_workers(smalltext, model, new, tmp_path, option):
    ended = smalltext("predict", model, new, "--output", tmp_path / "out", "--shard", "1/2", *option)
    assert ended.code == 2
    assert f"{option[0]} is for one job" in ended.err
