"""The conformance kit for transformers; and texts give the same results as their token ids."""

from __future__ import annotations

import numpy as np
import pytest

import smalltext_core as st
from smalltext_testing import parametrize_checks
from smalltext_testing.sample_data import training_texts, unseen_texts
from smalltext_transformers import TransformersDataset
from transformers_backend.tiny_models import tiny_model, tiny_tokenizer

SMALL = {"num_epochs": 8, "mini_batch_size": 9, "lr": 0.02, "seed": 1}


def factory(num_classes, multi_label, **parameters):
    parameters = {**SMALL, "model": tiny_model(num_hidden_layers=1), **parameters}
    return st.create_factory("transformers", num_classes, multi_label=multi_label, **parameters)


@parametrize_checks(
    factory(3, multi_label=False), factory(2, multi_label=True), ids=["single-label", "multi-label"]
)
@pytest.mark.filterwarnings("ignore:.* have more than .* tokens")
@pytest.mark.usefixtures("forked_checks", "fewer_rounds")
def test_transformers_passes_the_conformance_kit(check):
    check()


@pytest.mark.parametrize("multi_label", [False, True])
@pytest.mark.filterwarnings("ignore:.* have more than .* tokens")
def test_plain_texts_and_token_ids_give_equal_results(multi_label):
    train_set, texts, tokenizer = training_texts(3, multi_label), unseen_texts(3), tiny_tokenizer()
    encoded = TransformersDataset.from_texts(train_set.x, train_set.y, tokenizer)
    encoded_texts = TransformersDataset.from_texts(texts.x, None, tokenizer)
    of_texts = factory(3, multi_label, num_epochs=2).new().fit(train_set)
    of_ids = factory(3, multi_label, num_epochs=2).new().fit(encoded)
    np.testing.assert_array_equal(of_texts.predict_proba(texts), of_ids.predict_proba(encoded_texts))
    np.testing.assert_array_equal(of_ids.predict_proba(texts), of_ids.predict_proba(encoded_texts))
