"""The number of tokens of long texts in training and prediction with `max_seq_len` "auto"."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import smalltext_transformers.classifier as module
from smalltext_core import TextDataset, create_classifier, load
from smalltext_core.errors import InvalidInputError
from smalltext_torch import training_set as rule
from transformers_backend.tiny_models import save_tiny_model, tiny_model

QUICK = {"num_epochs": 2, "mini_batch_size": 4, "lr": 0.01, "seed": 1}


def by_name(model=None, **parameters):
    return create_classifier("transformers", 2, model=model or tiny_model(), **{**QUICK, **parameters})


def weights(classifier):
    return torch.cat([weight.detach().ravel() for weight in classifier.model.parameters()])


@pytest.fixture
def as_sentence_transformer(tmp_path):
    """Return a function that creates a model with a given maximum length as a sentence transformer."""

    def folder(content):
        path = save_tiny_model(tmp_path / "model", "bert")
        (Path(path) / "sentence_bert_config.json").write_text(content, encoding="utf-8")
        return str(path)

    return folder


@pytest.fixture
def long_texts():
    """Return texts of two topics with 20 words; the first and the last words are topical."""
    words = (["goal", "team"], ["recipe", "oven"])
    texts = [" ".join([*words[k], *["and"] * 16, words[k][i % 2], str(i)]) for i in range(6) for k in range(2)]
    return TextDataset(texts, [0, 1] * 6)


@pytest.fixture
def short_training(monkeypatch):
    """Limit training to 6 tokens per text, also with few texts."""
    monkeypatch.setattr(rule, "TRAINING_TOKENS", 1)
    monkeypatch.setattr(rule, "MIN_TRAINING_LENGTH", 6)


def test_the_automatic_length_is_the_default_only_by_name(make):
    assert by_name().max_seq_len == "auto"
    assert make().max_seq_len is None
    with pytest.raises(InvalidInputError, match="max_seq_len"):
        make(max_seq_len="longest")


def test_predictions_use_the_length_of_a_sentence_transformer(as_sentence_transformer, topics, tmp_path):
    classifier = by_name(as_sentence_transformer('{"max_seq_length": 7, "do_lower_case": false}'))
    with pytest.warns(UserWarning, match="more than 7 tokens"):
        classifier.fit(topics)
    same = TextDataset(["goal team goal team goal one", "goal team goal team goal two"])
    with pytest.warns(UserWarning, match="more than 7 tokens"):
        proba = classifier.predict_proba(same)
    np.testing.assert_array_equal(proba[0], proba[1])
    classifier.save(tmp_path / "saved")
    assert json.loads((tmp_path / "saved" / "encoder.json").read_text(encoding="utf-8"))["max_length"] == 7
    again = load(tmp_path / "saved")
    assert again.max_seq_len == "auto"
    with pytest.warns(UserWarning, match="more than 7 tokens"):
        np.testing.assert_array_equal(again.predict_proba(same), proba)


@pytest.mark.parametrize(
    "content", ["{}", '{"max_seq_length": null}', '{"max_seq_length": 512}', '{"max_seq_length": -1}']
)
def test_otherwise_predictions_use_the_maximum_length_of_the_model(as_sentence_transformer, topics, content):
    classifier = by_name(as_sentence_transformer(content), num_epochs=1).fit(topics)
    with pytest.warns(UserWarning, match="more than 64 tokens"):
        classifier.predict(TextDataset(["goal " * 100]))


def test_a_damaged_file_of_the_length_is_refused(as_sentence_transformer, topics):
    with pytest.raises(InvalidInputError, match="sentence_bert_config"):
        by_name(as_sentence_transformer("[")).fit(topics)


def test_short_texts_give_the_same_training_as_an_explicit_length(topics):
    np.testing.assert_array_equal(
        by_name().fit(topics).predict_proba(topics), by_name(max_seq_len=64).fit(topics).predict_proba(topics)
    )


@pytest.mark.usefixtures("short_training")
def test_training_reads_the_beginning_of_long_texts_and_prediction_all_of_them(long_texts):
    classifier = by_name().fit(long_texts)
    beginnings = TextDataset([" ".join(text.split()[:4]) for text in long_texts.x], long_texts.y)
    torch.testing.assert_close(weights(classifier), weights(by_name().fit(beginnings)), rtol=0, atol=0)
    assert (weights(classifier) != weights(by_name(max_seq_len=64).fit(long_texts))).any()
    proba = classifier.predict_proba(TextDataset([long_texts.x[0], f"{long_texts.x[0]} oven recipe"]))
    assert (proba[0] != proba[1]).any()


@pytest.mark.usefixtures("short_training")
def test_larger_training_sets_are_read_whole(long_texts, monkeypatch):
    monkeypatch.setattr(module, "FEW_TEXTS", len(long_texts))
    torch.testing.assert_close(
        weights(by_name().fit(long_texts)), weights(by_name(max_seq_len=64).fit(long_texts)), rtol=0, atol=0
    )
