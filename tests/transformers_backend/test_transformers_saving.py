"""A saved classifier is also a model of transformers, and needs neither the network nor its pretrained model."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

import smalltext_core as st
from smalltext_transformers import FineTuningArguments, TransformersDataset
from transformers_backend.tiny_models import (
    ARCHITECTURES,
    WITH_DECODER,
    save_tiny_model,
    tiny_model,
    tiny_tokenizer,
)

TEXTS = st.TextDataset(["the goal of the team", "butter", ""])


def test_the_folder_is_also_a_model_of_transformers(make, topics, tmp_path):
    classifier = make().fit(topics)
    classifier.save(tmp_path / "saved")
    model = AutoModelForSequenceClassification.from_pretrained(tmp_path / "saved")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "saved")
    assert model.config.id2label == {0: "football", 1: "cooking"}
    assert model.config.label2id == {"football": 0, "cooking": 1}
    with torch.no_grad():
        given = tokenizer(TEXTS.x, padding=True, return_tensors="pt")
        proba = model.eval()(given["input_ids"], attention_mask=given["attention_mask"]).logits.softmax(-1)
    np.testing.assert_allclose(proba.numpy(), classifier.predict_proba(TEXTS), atol=1e-6)


@pytest.mark.parametrize("architecture", {**ARCHITECTURES, **WITH_DECODER})
def test_a_classifier_of_two_unnamed_classes_is_restored(make, topics, tmp_path, architecture):
    classifier = make(model=tiny_model(architecture), num_epochs=1).fit(st.TextDataset(topics.x, topics.y))
    classifier.save(tmp_path / "saved")
    model = AutoModelForSequenceClassification.from_pretrained(tmp_path / "saved")
    assert model.config.id2label == {0: "LABEL_0", 1: "LABEL_1"}
    proba = st.load(tmp_path / "saved").predict_proba(TEXTS)
    np.testing.assert_array_equal(proba, classifier.predict_proba(TEXTS))


def test_names_of_the_classes_of_the_pretrained_model_are_not_inherited(make, topics, tmp_path):
    make(num_epochs=1).fit(topics).save(tmp_path / "named")
    unnamed = st.TextDataset(topics.x, topics.y)
    classifier = make(model=tmp_path / "named", num_epochs=1).fit(unnamed)
    classifier.save(tmp_path / "unnamed")
    config = json.loads((tmp_path / "unnamed" / "config.json").read_text())
    assert set(config.get("id2label", {"0": "LABEL_0"}).values()) <= {"LABEL_0", "LABEL_1"}
    assert classifier.model.config.id2label == {0: "LABEL_0", 1: "LABEL_1"}


def test_the_configuration_states_the_problem_type(make, labelled_twice, tmp_path):
    make(multi_label=True).fit(labelled_twice).save(tmp_path / "saved")
    config = json.loads((tmp_path / "saved" / "config.json").read_text())
    assert config["problem_type"] == "multi_label_classification"


def test_the_folder_holds_weights_as_safetensors_and_no_pickle(fitted, tmp_path):
    fitted.save(tmp_path / "saved")
    written = {path.name for path in (tmp_path / "saved").iterdir()}
    assert {"smalltext.json", "model.safetensors", "config.json", "tokenizer.json"} <= written
    assert not {name for name in written if name.endswith((".bin", ".pt", ".pkl"))}


def test_all_parameters_are_restored(make, topics, tmp_path):
    arguments = FineTuningArguments(0.01, 0.9, gradual_unfreezing=1)
    given = {
        "fine_tuning_arguments": arguments,
        "class_weight": {"football": 2.0, "cooking": 1.0},
        "max_seq_len": 20,
    }
    classifier = make(**given, cache_dir=tmp_path / "cache").fit(topics)
    classifier.save(tmp_path / "saved")
    again = st.load(tmp_path / "saved")
    assert {name: getattr(again, name) for name in given} == given
    assert again.transformer_model == classifier.transformer_model
    assert again.cache_dir == str(tmp_path / "cache")


def test_token_ids_of_the_pretrained_and_of_the_saved_tokenizer_are_those_of_a_loaded_classifier(fitted, tmp_path):
    fitted.save(tmp_path / "saved")
    again = st.load(tmp_path / "saved")
    for tokenizer in (tiny_tokenizer(), AutoTokenizer.from_pretrained(tmp_path / "saved")):
        dataset = TransformersDataset.from_texts(TEXTS.x, None, tokenizer)
        np.testing.assert_array_equal(again.predict_proba(dataset), fitted.predict_proba(TEXTS))


def test_loading_needs_neither_the_network_nor_the_pretrained_model(make, topics, tmp_path, asked, capfd):
    model = save_tiny_model(tmp_path / "pretrained")
    classifier = make(model=model).fit(topics)
    classifier.save(tmp_path / "saved")
    model.rename(tmp_path / "gone")
    capfd.readouterr()
    proba = st.load(tmp_path / "saved").predict_proba(TEXTS)
    assert asked == []
    assert capfd.readouterr() == ("", "")
    np.testing.assert_array_equal(proba, classifier.predict_proba(TEXTS))
