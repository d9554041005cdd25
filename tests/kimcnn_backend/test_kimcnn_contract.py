"""The conformance kit for kimcnn; and texts give the same results as their token ids."""

import numpy as np
import pytest

import smalltext_core as st
from smalltext_kimcnn import KimCNNFactory, PytorchTextClassificationDataset
from smalltext_testing import parametrize_checks
from smalltext_testing.sample_data import training_texts, unseen_texts

SMALL = {
    "num_epochs": 8,
    "mini_batch_size": 4,
    "lr": 0.015,
    "dropout": 0.1,
    "kernel_heights": (1, 2),
    "embedding_dim": 20,
    "out_channels": 15,
    "seed": 1,
}


def factory(num_classes, multi_label):
    return st.create_factory("kimcnn", num_classes, multi_label=multi_label, **SMALL)


@parametrize_checks(
    factory(3, multi_label=False), factory(2, multi_label=True), ids=["single-label", "multi-label"]
)
@pytest.mark.usefixtures("forked_checks", "fewer_rounds")
def test_kimcnn_passes_the_conformance_kit(check):
    check()


@pytest.mark.parametrize("multi_label", [False, True])
def test_plain_texts_and_token_ids_give_equal_results(multi_label):
    train_set, texts = training_texts(3, multi_label), unseen_texts(3)
    encoded = PytorchTextClassificationDataset.from_texts(train_set.x, train_set.y)
    encoded_texts = PytorchTextClassificationDataset.from_texts(texts.x, vocabulary=encoded.vocabulary)
    factory = KimCNNFactory("kimcnn", 3, {**SMALL, "multi_label": multi_label, "num_epochs": 3})
    of_texts = factory.new().fit(train_set)
    of_ids = factory.new().fit(encoded)
    np.testing.assert_array_equal(of_texts.predict_proba(texts), of_ids.predict_proba(encoded_texts))
    np.testing.assert_array_equal(of_ids.predict_proba(texts), of_ids.predict_proba(encoded_texts))
