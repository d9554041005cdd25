"""The number of tokens of long texts, and of steps, in training on pairs for classifiers created by name."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from transformers import TrainerCallback

from setfit_backend.tiny_sentence_transformers import tiny_sentence_transformer
from smalltext_core import TextDataset, create_classifier
from smalltext_setfit import _model
from smalltext_setfit.training_args import AUTO_STEPS, MIN_AUTO_STEPS, TrainingArgs
from smalltext_torch import training_set as rule


class Steps(TrainerCallback):
    """Counts optimizer steps."""

    def __init__(self):
        self.count = 0

    def on_step_end(self, *_, **__):
        self.count += 1


def by_name(**parameters):
    return create_classifier("setfit", 2, model=tiny_sentence_transformer(), seed=1, **parameters)


def body_weights(classifier):
    return torch.cat([weight.detach().ravel() for weight in classifier.model.body.parameters()])


@pytest.fixture
def long_texts():
    """Return texts of two topics with 20 words, each with a different ending."""
    words = (["goal", "team"], ["recipe", "oven"])
    texts = [" ".join([*words[k], str(i), *["and"] * 16, words[k][i % 2]]) for i in range(4) for k in range(2)]
    return TextDataset(texts, [0, 1] * 4)


@pytest.fixture
def short_training(monkeypatch):
    """Limit training to 7 tokens per text, also with few texts."""
    monkeypatch.setattr(rule, "TRAINING_TOKENS", 1)
    monkeypatch.setattr(rule, "MIN_TRAINING_LENGTH", 7)


@pytest.mark.usefixtures("short_training")
def test_training_reads_the_beginning_of_long_texts_and_the_head_is_fitted_to_all_of_them(long_texts):
    classifier = by_name(max_steps=3).fit(long_texts)
    beginnings = TextDataset([" ".join(text.split()[:5]) for text in long_texts.x], long_texts.y)
    torch.testing.assert_close(
        body_weights(classifier), body_weights(by_name(max_steps=3).fit(beginnings)), rtol=0, atol=0
    )
    whole = by_name(max_steps=3, max_seq_len=64).fit(long_texts)
    assert (body_weights(classifier) != body_weights(whole)).any()
    proba = classifier.predict_proba(long_texts)
    np.testing.assert_array_equal(classifier.refit_head(long_texts).predict_proba(long_texts), proba)
    longer = classifier.embed(TextDataset([long_texts.x[0], long_texts.x[0] + " oven"]))
    assert (longer[0] != longer[1]).any()


def test_short_texts_give_the_same_training_as_an_explicit_length(topics):
    proba = [
        by_name(max_steps=2, **given).fit(topics).predict_proba(topics) for given in ({}, {"max_seq_len": 64})
    ]
    np.testing.assert_array_equal(*proba)


@pytest.mark.parametrize(
    ("max_auto_steps", "steps"), [(1e9, AUTO_STEPS), (31.7, 31), (3.0, MIN_AUTO_STEPS), (float("inf"), AUTO_STEPS)]
)
def test_automatic_steps_stop_where_they_would_read_too_much(max_auto_steps, steps):
    assert TrainingArgs().num_steps(4, "auto", max_auto_steps) == steps
    assert TrainingArgs(max_steps=50).num_steps(4, "auto", max_auto_steps) == 50
    assert TrainingArgs().num_steps(4, 45, max_auto_steps) == 45


def test_training_on_texts_that_are_too_many_and_too_long_takes_fewer_steps(long_texts, monkeypatch):
    for tokens, expected in [(rule.TRAINING_TOKENS, AUTO_STEPS), (1, MIN_AUTO_STEPS)]:
        monkeypatch.setattr(_model, "TRAINING_TOKENS", tokens)
        steps = Steps()
        by_name(callbacks=[steps]).fit(long_texts)
        assert steps.count == expected
