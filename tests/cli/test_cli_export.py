"""``smalltext export``: a model that was trained with torch is exported, and used like any other."""

from __future__ import annotations

import json
import sys

import polars as pl
import pytest

from cli.conftest import run_here
from setfit_backend.tiny_sentence_transformers import tiny_sentence_transformer
from smalltext_core.saving import read_manifest

pytest.importorskip("smalltext_onnx")


@pytest.fixture(scope="module")
def trained(mails, tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained") / "model"
    encoder = tiny_sentence_transformer(num_hidden_layers=1)
    run_here("train", mails, "-c", "embeddings", "--set", f"encoder={encoder}", "-o", folder, "--seed", 1, "-q")
    return folder


@pytest.fixture(scope="module")
def exported(trained):
    folder = trained.parent / "exported"
    run_here("export", trained, "--format", "onnx", "--output", folder)
    return folder


def test_predictions_are_those_of_the_model(smalltext, trained, exported, mails, tmp_path):
    tables = []
    for model in (trained, exported):
        assert smalltext("predict", model, mails, "-o", tmp_path / f"{model.name}.parquet", "--proba").code == 0
        tables.append(pl.read_parquet(tmp_path / f"{model.name}.parquet"))
    assert tables[0].columns == tables[1].columns
    assert (tables[0]["predicted_label"] == tables[1]["predicted_label"]).all()
    names = [name for name in tables[0].columns if name.startswith("proba_")]
    assert (tables[0][names] - tables[1][names]).to_numpy().__abs__().max() < 1e-4


def test_it_is_evaluated_and_knows_what_it_was_trained_on(smalltext, exported, mails):
    done = smalltext("evaluate", exported, mails, "--json")
    assert done.code == 0
    assert json.loads(done.out)["texts"] == 120
    assert "was trained on 120 of 120 texts" in done.err


def test_info_shows_scores_and_calibration_of_the_training(smalltext, trained, exported):
    shown = [json.loads(smalltext("info", model, "--json").out) for model in (trained, exported)]
    for key in ("labels", "training", "scores", "calibration", "thresholds", "multi_label"):
        assert shown[0][key] == shown[1][key]
    assert shown[1]["classifier"] == "onnx"
    assert shown[0]["calibration"] is not None


def test_what_was_exported_is_reported(smalltext, trained, tmp_path):
    done = smalltext("export", trained, "-o", tmp_path / "model", "--opset", "16", "--json")
    facts = json.loads(done.out)
    assert (facts["format"], facts["exported_from"], facts["opset"]) == ("onnx", "embeddings", 16)
    assert facts["largest_difference"] < 1e-4
    assert facts["bytes"] > 10_000


def test_a_model_that_is_there_is_replaced_unless_that_is_unwanted(smalltext, trained, tmp_path):
    assert smalltext("export", trained, "-o", tmp_path / "model").code == 0
    before = (tmp_path / "model" / "smalltext.json").read_bytes()
    done = smalltext("export", trained, "-o", tmp_path / "model", "--no-clobber")
    assert done.code == 2
    assert "it already exists. Choose another folder" in done.err
    done = smalltext("export", trained, "-o", tmp_path / "model")
    assert "replaced the one that was there" in done.out
    assert (tmp_path / "model" / "smalltext.json").read_bytes() == before


def test_the_model_itself_is_not_overwritten(smalltext, trained):
    done = smalltext("export", trained, "-o", trained)
    assert done.code == 2
    assert "this is the model that is exported" in done.err
    assert read_manifest(trained).classifier == "embeddings"


def test_models_of_tfidf_are_refused_with_the_alternative(smalltext, model, tmp_path):
    done = smalltext("export", model, "-o", tmp_path / "model")
    assert done.code == 2
    assert "sklearn needs no torch" in done.err
    assert "embeddings with a sentence transformer" in done.err
    assert not (tmp_path / "model").exists()


def test_an_exported_model_is_not_exported_again(smalltext, exported, tmp_path):
    done = smalltext("export", exported, "-o", tmp_path / "model")
    assert done.code == 2
    assert "OnnxClassifier is exported already" in done.err


def test_without_its_package_the_command_that_installs_it_is_shown(process, trained, tmp_path):
    hidden = {"SMALLTEXT_DISABLE_PLUGINS": "smalltext-onnx", "PATH": "", "PYTHONPATH": ":".join(sys.path)}
    done = process("export", trained, "-o", tmp_path / "model", env=hidden)
    assert done.returncode == 2
    assert b"pip install 'smalltext-onnx[export]'" in done.stderr
