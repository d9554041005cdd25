"""A saved classifier is a sentence transformer with a head, and optionally also in setfit's format."""

from __future__ import annotations

import json
from itertools import product

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer

import smalltext_core as st
from setfit_backend.conftest import BOTH_HEADS
from setfit_backend.tiny_sentence_transformers import save_tiny_sentence_transformer
from smalltext_core.errors import InvalidInputError, ModelFolderError
from smalltext_setfit._trainer import SetFitModel
from smalltext_testing.sample_data import training_texts

AT_THE_TOP = ("modules.json", "config_sentence_transformers.json")
TEXTS = st.TextDataset(["the goal of the team", "butter", "a recipe"])


def test_the_folder_is_also_a_sentence_transformer(fitted, tmp_path):
    fitted.save(tmp_path / "saved")
    body = SentenceTransformer(str(tmp_path / "saved"), device="cpu")
    np.testing.assert_allclose(body.encode(TEXTS.x), fitted.embed(TEXTS), atol=1e-6)


def test_the_folder_holds_weights_as_safetensors_and_no_pickle(fitted, tmp_path):
    fitted.save(tmp_path / "saved")
    written = {path.name for path in (tmp_path / "saved").rglob("*") if path.is_file()}
    assert {"smalltext.json", "model.safetensors", "head.safetensors", "modules.json"} <= written
    assert not {name for name in written if name.endswith((".bin", ".pt", ".pkl")) or name == "README.md"}


def problems_and_heads():
    """Return the eight settings of three properties, of which half cover each two of them."""
    found = []
    settings = product(("single-label", "multi-label"), (2, 3), ("regression", "differentiable"))
    for number, (kind, num_classes, head) in enumerate(settings):
        marks = [pytest.mark.nightly] * (number.bit_count() % 2)
        parameters = (kind == "multi-label", num_classes, head == "differentiable")
        found.append(pytest.param(*parameters, id=f"{kind}-{num_classes}-{head}", marks=marks))
    return found


@pytest.mark.parametrize(("multi_label", "num_classes", "use_differentiable_head"), problems_and_heads())
def test_setfit_reads_the_folder_if_requested(make, tmp_path, multi_label, num_classes, use_differentiable_head):
    classifier = make(
        num_classes,
        multi_label=multi_label,
        use_differentiable_head=use_differentiable_head,
        model_kwargs={"normalize_embeddings": num_classes == 3},
    ).fit(training_texts(num_classes, multi_label))
    classifier.save(tmp_path / "saved", for_setfit=True)
    model = SetFitModel.from_pretrained(str(tmp_path / "saved"))
    proba = classifier.predict_proba(TEXTS)
    np.testing.assert_allclose(model.predict_proba(TEXTS.x, as_numpy=True), proba, atol=1e-5)
    if not multi_label:
        assert model.predict(TEXTS.x) == classifier.label_names_.decode(classifier.predict(TEXTS))
    np.testing.assert_array_equal(st.load(tmp_path / "saved").predict_proba(TEXTS), proba)


def test_a_missing_class_is_missing_for_setfit_as_well(make, topics, tmp_path):
    classifier = make(4).fit(st.TextDataset(topics.x, topics.y * 2 + 1))
    classifier.save(tmp_path / "saved", for_setfit=True)
    found = SetFitModel.from_pretrained(str(tmp_path / "saved")).predict_proba(TEXTS.x, as_numpy=True)
    np.testing.assert_allclose(found, classifier.predict_proba(TEXTS), atol=1e-5)


def test_setfits_pickle_is_never_read_here(fitted, tmp_path):
    fitted.save(tmp_path / "saved", for_setfit=True)
    manifest = tmp_path / "saved" / "smalltext.json"
    content = json.loads(manifest.read_text())
    del content["files"]["model_head.pkl"]
    manifest.write_text(json.dumps(content))
    (tmp_path / "saved" / "model_head.pkl").write_bytes(b"cos\nsystem\n(S'exit 1'\ntR.")
    np.testing.assert_array_equal(st.load(tmp_path / "saved").predict_proba(TEXTS), fitted.predict_proba(TEXTS))


def test_modules_of_other_libraries_are_refused(fitted, tmp_path):
    fitted.save(tmp_path / "saved")
    modules, manifest = tmp_path / "saved" / "modules.json", tmp_path / "saved" / "smalltext.json"
    modules.write_text(modules.read_text().replace("sentence_transformers.", "os.", 1))
    content = json.loads(manifest.read_text())
    content["files"] = {}
    manifest.write_text(json.dumps(content))
    with pytest.raises(ModelFolderError, match=r"asks for 'os\."):
        st.load(tmp_path / "saved")


def test_all_parameters_are_restored(make, topics, tmp_path):
    given = {
        "class_weight": {"football": 2.0, "cooking": 1.0},
        "max_seq_len": 20,
        "use_differentiable_head": True,
        "model_kwargs": {"head_params": {"temperature": 2.0}, "normalize_embeddings": True},
        "pairs_per_text": 7,
        "precision": "auto",
        "device": "cpu",
    }
    classifier = make(**given, trainer_kwargs={"num_epochs": (1, 9), "callbacks": []}).fit(topics, topics)
    classifier.save(tmp_path / "saved")
    again = st.load(tmp_path / "saved")
    assert {name: getattr(again, name) for name in given} == given
    assert again._parsed_training_args.epochs == (1, 9)
    assert again.setfit_model_args == classifier.setfit_model_args
    assert again.validation_ == classifier.validation_
    again.fit(topics)


@pytest.mark.parametrize("name", ["token", "use_auth_token"])
@pytest.mark.filterwarnings("ignore:use_auth_token:DeprecationWarning")
def test_an_access_token_is_written_nowhere(make, topics, tmp_path, name):
    classifier = make(model_kwargs={name: "hf_secret", "revision": "main"}).fit(topics)
    classifier.save(tmp_path / "saved", for_setfit=True)
    written = [path for path in (tmp_path / "saved").rglob("*") if path.is_file()]
    assert not [path.name for path in written if b"hf_secret" in path.read_bytes()]
    assert st.load(tmp_path / "saved").model_kwargs == {"revision": "main"}
    assert classifier.model_kwargs["token"] == "hf_secret"


def test_a_cache_folder_may_be_a_path(make, topics, tmp_path):
    classifier = make(model_kwargs={"cache_dir": tmp_path}, trainer_kwargs={"num_epochs": 0}).fit(topics)
    classifier.save(tmp_path / "saved")
    assert st.load(tmp_path / "saved").model_kwargs == {"cache_dir": str(tmp_path)}


def test_a_single_label_has_no_form_of_setfit(make, topics, tmp_path):
    one = st.TextDataset(topics.x, st.list_to_csr([[0], []] * 6, num_classes=1))
    classifier = make(1, multi_label=True, trainer_kwargs={"num_epochs": 0}).fit(one)
    with pytest.raises(InvalidInputError, match="for_setfit: got True, where there is a single label"):
        classifier.save(tmp_path / "saved", for_setfit=True)
    assert not (tmp_path / "saved").exists()


@BOTH_HEADS
def test_saving_in_the_form_of_setfit_draws_no_random_number(make, topics, tmp_path, use_differentiable_head):
    options = {"use_differentiable_head": use_differentiable_head, "trainer_kwargs": {"num_epochs": (0, 1)}}
    classifier = make(**options).fit(topics)
    before = torch.get_rng_state()
    classifier.save(tmp_path / "saved", for_setfit=True)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_loaded_classifier_fits_heads_as_fit_did(make, topics, tmp_path):
    long = {"num_epochs": (0, 40), "head_learning_rate": 0.5, "l2_weight": 0.0}
    classifier = make(use_differentiable_head=True).fit(topics, setfit_train_kwargs=long)
    proba = classifier.predict_proba(TEXTS)
    classifier.save(tmp_path / "saved")
    again = st.load(tmp_path / "saved").refit_head(topics)
    np.testing.assert_allclose(again.predict_proba(TEXTS), proba, atol=1e-5)


def test_a_folder_without_training_arguments_of_the_head_can_be_loaded(make, topics, tmp_path):
    classifier = make(use_differentiable_head=True, trainer_kwargs={"num_epochs": (0, 3)}).fit(topics)
    classifier.save(tmp_path / "saved")
    manifest = tmp_path / "saved" / "smalltext.json"
    content = json.loads(manifest.read_text())
    del content["parameters"]["head_training"]
    manifest.write_text(json.dumps(content))
    again = st.load(tmp_path / "saved").refit_head(topics)
    np.testing.assert_allclose(again.predict_proba(TEXTS), classifier.predict_proba(TEXTS), atol=1e-5)


def test_a_loaded_classifier_fits_a_new_head(fitted, tmp_path):
    topics = training_texts(2, multi_label=False)
    fitted.save(tmp_path / "saved")
    again = st.load(tmp_path / "saved").refit_head(topics)
    np.testing.assert_allclose(again.predict_proba(TEXTS), fitted.predict_proba(TEXTS), atol=1e-5)


def test_loading_needs_neither_the_network_nor_the_pretrained_model(make, topics, tmp_path, asked, capfd):
    model = save_tiny_sentence_transformer(tmp_path / "pretrained")
    classifier = make(model=model).fit(topics)
    classifier.save(tmp_path / "saved")
    model.rename(tmp_path / "gone")
    capfd.readouterr()
    proba = st.load(tmp_path / "saved").predict_proba(TEXTS)
    assert asked == []
    assert capfd.readouterr() == ("", "")
    np.testing.assert_array_equal(proba, classifier.predict_proba(TEXTS))


def test_a_transformer_in_a_folder_of_its_name_is_found(make, topics, tmp_path):
    folder = save_tiny_sentence_transformer(tmp_path / "model")
    (folder / "0_Transformer").mkdir()
    for path in [path for path in folder.iterdir() if path.is_file() and path.name not in AT_THE_TOP]:
        path.rename(folder / "0_Transformer" / path.name)
    modules = json.loads((folder / "modules.json").read_text())
    modules[0]["path"] = "0_Transformer"
    (folder / "modules.json").write_text(json.dumps(modules))
    classifier = make(model=folder).fit(topics)
    classifier.save(tmp_path / "saved")
    np.testing.assert_array_equal(
        st.load(tmp_path / "saved").predict_proba(TEXTS), classifier.predict_proba(TEXTS)
    )


def test_modules_after_the_pooling_are_kept(make, topics, tmp_path):
    from sentence_transformers import SentenceTransformer, models

    body = SentenceTransformer(str(save_tiny_sentence_transformer(tmp_path / "plain")), device="cpu")
    parts = [*body, models.Dense(32, 8), models.LayerNorm(8), models.Dropout(0.1), models.Normalize()]
    SentenceTransformer(modules=parts, device="cpu").save(str(tmp_path / "model"), create_model_card=False)
    classifier = make(model=tmp_path / "model").fit(topics)
    classifier.save(tmp_path / "saved")
    again = st.load(tmp_path / "saved")
    assert [type(module).__name__ for module in again.model.body][2:] == [
        "Dense",
        "LayerNorm",
        "Dropout",
        "Normalize",
    ]
    np.testing.assert_array_equal(again.predict_proba(TEXTS), classifier.predict_proba(TEXTS))
