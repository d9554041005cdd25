"""Pretrained models whose files do not fit each other: an error about the argument, not one of a library."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from robustness import backends
from security.attacks import edit_json
from smalltext_core import create_classifier
from smalltext_core.errors import InvalidInputError
from smalltext_testing.sample_data import training_texts

TOPICS = training_texts(3, multi_label=False)
ARGUMENTS = {"transformers": "model", "setfit": "model", "embeddings": "encoder"}


def set_key(*place, value):
    """Return a function that changes a value in an object."""

    def change(content):
        for key in place[:-1]:
            content = content[key]
        content[place[-1]] = value

    return change


DAMAGE = {
    "a panic in a template": (
        "tokenizer.json",
        set_key("post_processor", "single", 0, "SpecialToken", "id", value="x"),
    ),
    "no token for unknown words": ("tokenizer.json", set_key("model", "unk_token", value="<none>")),
    "an unknown step": ("tokenizer.json", set_key("pre_tokenizer", "type", value="x")),
    "a truncation that is none": ("tokenizer.json", set_key("truncation", value=1.0)),
    "a number in place of a token": ("tokenizer_config.json", set_key("mask_token", value=0.5)),
    "a text in place of a number": ("config.json", set_key("num_hidden_layers", value="two")),
    "an integer in place of a float": ("config.json", set_key("layer_norm_eps", value=0)),
    "no attention heads": ("config.json", set_key("num_attention_heads", value=0)),
    "a size that does not fit the weights": ("config.json", set_key("intermediate_size", value=7)),
    "an unknown activation": ("config.json", set_key("hidden_act", value="")),
}
OF_SENTENCES = {
    "vectors of no numbers": ("1_Pooling/config.json", set_key("embedding_dimension", value=0)),
    "vectors of more numbers": ("1_Pooling/config.json", set_key("embedding_dimension", value=33)),
    "no pooling": ("1_Pooling/config.json", set_key("pooling_mode", value=[])),
}


def fitted(name, folder):
    parameters = {**backends.parameters(name), ARGUMENTS[name]: str(folder)}
    return create_classifier(name, num_classes=3, seed=1, **parameters).fit(TOPICS)


@pytest.fixture
def pretrained(tmp_path):
    def copy(name):
        if name == "transformers":
            from transformers_backend.tiny_models import tiny_model

            return Path(shutil.copytree(tiny_model(), tmp_path / "model"))
        from setfit_backend.tiny_sentence_transformers import tiny_sentence_transformer

        return Path(shutil.copytree(tiny_sentence_transformer(), tmp_path / "model"))

    return copy


@pytest.mark.parametrize(
    ("name", "file", "change"),
    [
        pytest.param(name, *damage, id=f"{name}-{kind}")
        for name in ARGUMENTS
        for kind, damage in (DAMAGE if name == "transformers" else DAMAGE | OF_SENTENCES).items()
    ],
)
def test_what_does_not_fit_is_an_error_about_the_argument(name, file, change, pretrained):
    folder = pretrained(name)
    edit_json(folder / file, change)
    with pytest.raises(InvalidInputError) as error:
        fitted(name, folder)
    assert str(folder) in str(error.value)


@pytest.mark.parametrize("name", ARGUMENTS)
def test_a_padding_token_that_the_network_does_not_know_is_not_used(name, pretrained):
    folder = pretrained(name)
    size = json.loads((folder / "config.json").read_bytes())["vocab_size"]
    edit_json(folder / "tokenizer_config.json", set_key("pad_token", value="<new>"))
    classifier = fitted(name, folder)
    assert np.isfinite(classifier.predict_proba(TOPICS)).all()
    from transformers import AutoTokenizer

    assert AutoTokenizer.from_pretrained(folder).pad_token_id >= size
