"""A saved folder contains no paths of its machine except those that `fit` needs for retraining."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import smalltext_core as st
from smalltext_testing.sample_data import training_texts
from smalltext_torch.model_loading import abbreviated

TOPICS = training_texts(3, multi_label=False)


@pytest.fixture
def home(tmp_path, monkeypatch):
    folder = tmp_path / "home-of-alice"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("USERPROFILE", str(folder))
    return folder


def everything(folder):
    """Return all text in a folder, except the weights."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.suffix != ".safetensors"]
    return "\n".join(path.read_text(encoding="utf-8") for path in files)


def classifier_of(name, home):
    if name == "kimcnn":
        (home / "vectors.txt").write_text("goal 1 0\nteam 0 1\n")
        sizes = {"num_epochs": 1, "out_channels": 2, "kernel_heights": (2,)}
        return st.create_classifier(name, 3, embeddings=str(home / "vectors.txt"), **sizes)
    from robustness import backends

    parameters = backends.parameters(name)
    model = Path(shutil.copytree(parameters["model"], home / "bert"))
    return st.create_classifier(name, 3, **{**parameters, "model": str(model)})


@pytest.mark.parametrize("name", ["kimcnn", "transformers", "setfit"])
def test_a_saved_folder_does_not_hold_the_path_of_the_home_folder(name, home, tmp_path):
    classifier = classifier_of(name, home).fit(TOPICS)
    classifier.save(tmp_path / "saved")
    text = everything(tmp_path / "saved")
    assert "home-of-alice" not in text
    assert '"~/' in text, "what is needed to train again is there"
    again = st.load(tmp_path / "saved")
    assert (again.predict_proba(TOPICS) == classifier.predict_proba(TOPICS)).all()
    again.fit(TOPICS)


@pytest.mark.parametrize("name", ["transformers", "setfit"])
def test_other_paths_are_only_in_the_manifest(name, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    classifier_of(name, tmp_path / "elsewhere").fit(TOPICS).save(tmp_path / "saved")
    manifest = tmp_path / "saved" / "smalltext.json"
    assert str(tmp_path) in json.dumps(json.loads(manifest.read_text())["parameters"])
    manifest.unlink()
    assert str(tmp_path) not in everything(tmp_path / "saved")


@pytest.mark.parametrize("source", ["org/model", "model", "./model", "~/model", "/elsewhere/model"])
def test_paths_outside_the_home_folder_are_unchanged(source, home):
    assert abbreviated(source) == source
