"""Exported classifiers give the labels and probabilities of what was exported, whatever that is."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from sentence_transformers import SentenceTransformer
from transformers import AutoModel

import smalltext_core as st
import smalltext_onnx
from setfit_backend.tiny_sentence_transformers import tiny_sentence_transformer
from smalltext_core.errors import (
    InvalidInputError,
    ModelFolderError,
    NotFittedError,
    PluginError,
    UnsupportedError,
)
from smalltext_embeddings import EmbeddingClassifier
from smalltext_onnx import OnnxClassifier
from smalltext_setfit import SetFitClassification
from smalltext_sklearn import SklearnClassifier
from smalltext_testing.sample_data import training_texts
from smalltext_torch.progress import silence
from smalltext_transformers import TransformerBasedClassification
from transformers_backend.tiny_models import save_tiny_model, tiny_model

TOPICS = training_texts(3, multi_label=False)
LABELLED_TWICE = training_texts(3, multi_label=True)
LAYERS = {"roberta": 1, "deberta-v2": 1, "modernbert": 2}  # whose second layer attends to a few tokens around
LIKE_THESE = {"bert": 1, "distilbert": 1, "electra": 1, "mpnet": 1, "camembert": 1, "xlm-roberta": 1}
"""The numbers of layers of encoders that are built like one of those, or that other tests export, too."""
pytestmark = pytest.mark.filterwarnings("ignore:.* have more than .* tokens")


def transformer(model, train_set=TOPICS, **parameters):
    given = {"num_epochs": 1, "mini_batch_size": 8, "lr": 0.03, "seed": 1, **parameters}
    multi_label = train_set.is_multi_label
    return TransformerBasedClassification(model, 3, multi_label=multi_label, **given).fit(train_set)


def setfit(train_set=TOPICS, model=None, **parameters):
    trainer = {"num_iterations": 1, "body_learning_rate": 5e-3, "head_learning_rate": 0.1}
    given = {"mini_batch_size": 16, "seed": 1, **parameters}
    model = model or tiny_sentence_transformer(num_hidden_layers=1)
    trainer = {**trainer, **given.pop("trainer_kwargs", {})}
    multi_label = train_set.is_multi_label
    return SetFitClassification(model, 3, multi_label=multi_label, trainer_kwargs=trainer, **given).fit(train_set)


def embeddings(model, train_set=TOPICS, **parameters):
    return EmbeddingClassifier(str(model), 3, train_set.is_multi_label, seed=1, device="cpu", **parameters).fit(
        train_set
    )


def sentence_transformer(folder, change):
    """Save a sentence transformer into a folder after a change, and return the folder."""
    body = SentenceTransformer(tiny_sentence_transformer(num_hidden_layers=1), device="cpu")
    change(body)
    with silence("sentence_transformers"):
        body.save(str(folder), create_model_card=False)
    return folder


@pytest.mark.parametrize(
    ("architecture", "layers"),
    [*LAYERS.items(), *(pytest.param(*kin, marks=pytest.mark.nightly) for kin in LIKE_THESE.items())],
)
def test_encoders_of_every_kind(architecture, layers, agree):
    agree(transformer(tiny_model(architecture, num_hidden_layers=layers)))


@pytest.mark.parametrize("architecture", ["gpt2", "xlnet"])
def test_decoders_alone(architecture, agree):
    agree(transformer(tiny_model(architecture, num_hidden_layers=1)))


@pytest.mark.parametrize("parameters", [{}, {"calibration": "auto", "multi_label_threshold": "auto"}])
def test_several_labels_a_text_with_their_thresholds(parameters, agree):
    classifier = transformer(tiny_model(num_hidden_layers=1), LABELLED_TWICE, **parameters)
    exported = agree(classifier)
    np.testing.assert_array_equal(exported.decision_threshold(), classifier.decision_threshold())


def test_one_label_alone(agree):
    labels = st.list_to_csr([[0], []] * 6, num_classes=1)
    train_set = st.TextDataset(TOPICS.x[:12], labels)
    model = tiny_model(num_hidden_layers=1)
    agree(TransformerBasedClassification(model, 1, True, num_epochs=1, seed=1).fit(train_set))


def test_a_temperature_is_part_of_the_graph(fitted, agree):
    assert fitted.calibration_.temperature != 1
    assert agree(fitted).calibration_ == fitted.calibration_


def test_long_texts_in_windows(agree):
    agree(transformer(tiny_model(num_hidden_layers=1), long_texts="window", max_seq_len=16))


def test_an_adapter_is_merged_into_the_weights(agree):
    peft = pytest.importorskip("peft")
    adapter = peft.LoraConfig(r=4, lora_alpha=16, target_modules=["query", "value"])
    agree(transformer(tiny_model(num_hidden_layers=1), peft_config=adapter, num_epochs=6))


@pytest.mark.parametrize("dtype", [pytest.param("float16", marks=pytest.mark.nightly), "bfloat16"])
def test_narrow_pretrained_weights(dtype, agree, tmp_path):
    import torch

    save_tiny_model(tmp_path / "model", num_hidden_layers=1)
    with silence():
        AutoModel.from_pretrained(tmp_path / "model", dtype=getattr(torch, dtype)).save_pretrained(
            tmp_path / "model"
        )
    agree(transformer(str(tmp_path / "model")))


def test_a_classifier_that_computes_in_narrow_types_is_exported_in_float32(fitted):
    narrow = transformer(tiny_model(num_hidden_layers=1), precision="auto")
    exported = OnnxClassifier.from_classifier(narrow)
    narrow.precision = "float32"
    np.testing.assert_allclose(exported.predict_proba(TOPICS), narrow.predict_proba(TOPICS), atol=1e-5)


@pytest.mark.parametrize("attention", ["eager", pytest.param("sdpa", marks=pytest.mark.nightly)])  # the usual one
def test_implementations_of_attention(attention, agree):
    classifier = transformer(tiny_model(num_hidden_layers=1))
    classifier.model.set_attn_implementation(attention)
    agree(classifier)


@pytest.mark.parametrize("opset", [14, pytest.param(17, marks=pytest.mark.nightly), 20])
def test_versions_of_the_operators(opset, fitted, agree):
    assert agree(fitted, opset=opset).settings.export["opset"] == opset


@pytest.mark.parametrize(
    ("differentiable", "train_set"),
    [
        pytest.param(False, LABELLED_TWICE, id="regression-multi-label"),
        pytest.param(True, TOPICS, id="differentiable-single-label"),
        pytest.param(False, TOPICS, id="regression-single-label", marks=pytest.mark.nightly),
        pytest.param(True, LABELLED_TWICE, id="differentiable-multi-label", marks=pytest.mark.nightly),
    ],
)
def test_setfit_with_both_heads(differentiable, train_set, agree):
    agree(setfit(train_set, use_differentiable_head=differentiable))


@pytest.mark.parametrize("strategy", ["one-vs-rest", "multi-output"])
def test_setfit_with_both_strategies_for_several_labels(strategy, agree):
    agree(setfit(LABELLED_TWICE, model_kwargs={"multi_target_strategy": strategy}))


def test_setfit_as_it_is_by_name(agree):
    model = tiny_sentence_transformer(num_hidden_layers=1)
    classifier = st.create_classifier("setfit", 3, model=model, min_steps=2, seed=1)
    assert agree(classifier.fit(TOPICS)).calibration_ is not None


def test_setfit_with_weights_of_the_pretrained_model_and_unit_vectors(agree):
    agree(setfit(pretrained_share=0.5, model_kwargs={"normalize_embeddings": True}))


def test_a_class_without_a_text_keeps_its_probability_of_zero(agree):
    train_set = st.TextDataset(
        [text for text, y in zip(TOPICS.x, TOPICS.y, strict=True) if y < 2], TOPICS.y[TOPICS.y < 2]
    )
    for classifier in (setfit(train_set), embeddings(tiny_sentence_transformer(num_hidden_layers=1), train_set)):
        assert (agree(classifier).predict_proba(TOPICS)[:, 2] == classifier.predict_proba(TOPICS)[:, 2]).all()


@pytest.mark.parametrize("train_set", [TOPICS, LABELLED_TWICE], ids=["single-label", "multi-label"])
def test_embeddings_of_a_sentence_transformer(train_set, agree):
    model = tiny_sentence_transformer("mpnet")
    agree(embeddings(model, train_set, calibration="auto", multi_label_threshold="auto"))


@pytest.mark.parametrize(
    "mode",
    [
        *("cls", "max", "lasttoken", "weightedmean"),
        *(pytest.param(mode, marks=pytest.mark.nightly) for mode in ("mean", "mean_sqrt_len_tokens")),
    ],
)
def test_modes_of_pooling(mode, agree, tmp_path):
    def change(body):
        body[1].pooling_mode = mode

    agree(embeddings(sentence_transformer(tmp_path / "model", change)))


@pytest.mark.parametrize(
    ("fit", "included"),
    [
        pytest.param(embeddings, False, id="embeddings-left out of the pooling"),
        pytest.param(setfit, True, id="setfit-pooled"),
        pytest.param(embeddings, True, id="embeddings-pooled", marks=pytest.mark.nightly),
        pytest.param(setfit, False, id="setfit-left out of the pooling", marks=pytest.mark.nightly),
    ],
)
def test_a_prompt_before_each_text(fit, included, agree, tmp_path):
    def change(body):
        body.prompts, body.default_prompt_name = {"classify": "the team "}, "classify"
        body[1].include_prompt = included

    model = str(sentence_transformer(tmp_path / "model", change))
    assert agree(fit(model=model)).settings.text.prompt == "the team "


def test_layers_behind_the_pooling(agree, tmp_path):
    modules = pytest.importorskip("sentence_transformers.sentence_transformer.modules")

    def change(body):
        body.append(modules.Dense(32, 16))
        body.append(modules.Normalize())

    agree(embeddings(sentence_transformer(tmp_path / "model", change)))


def test_a_model_of_third_parties_over_their_encoder_is_found_by_what_it_consists_of(agree):
    class Derived(TransformerBasedClassification):
        pass

    agree(Derived(tiny_model(num_hidden_layers=1), 3, num_epochs=1, seed=1).fit(TOPICS))


def test_what_was_exported_is_unchanged(fitted):
    before = fitted.predict_proba(TOPICS)
    OnnxClassifier.from_classifier(fitted)
    np.testing.assert_array_equal(fitted.predict_proba(TOPICS), before)


def test_two_exports_are_the_same_bytes(fitted, folder, tmp_path):
    smalltext_onnx.export(fitted, tmp_path / "again")
    assert (tmp_path / "again" / "smalltext.json").read_bytes() == (folder / "smalltext.json").read_bytes()


def test_no_path_of_this_machine_is_in_the_folder(fitted, folder):
    for path in folder.iterdir():
        assert tiny_model(num_hidden_layers=1).encode() not in path.read_bytes()


def test_tfidf_is_not_exported_and_the_message_says_what_is():
    classifier = st.create_classifier("sklearn", 3, calibration="none").fit(TOPICS)
    assert isinstance(classifier, SklearnClassifier)
    with pytest.raises(
        UnsupportedError, match=r"into words by code.*needs no torch.*transformers, setfit, and embeddings"
    ):
        OnnxClassifier.from_classifier(classifier)


def test_kimcnn_is_not_exported():
    classifier = st.create_classifier("kimcnn", 3, num_epochs=1, seed=1).fit(TOPICS)
    with pytest.raises(UnsupportedError, match=r"KimCNNClassifier is not exported to ONNX: it splits texts"):
        OnnxClassifier.from_classifier(classifier)


def test_encoders_that_need_no_torch_are_not_exported():
    class Lengths:
        def encode(self, texts):
            return [[len(text), 1.0] for text in texts]

    with pytest.raises(UnsupportedError, match=r"it needs no torch as it is\. Save it"):
        OnnxClassifier.from_classifier(EmbeddingClassifier(Lengths(), 3).fit(TOPICS))


@pytest.mark.parametrize("architecture", ["bart", "t5"])
def test_models_with_a_decoder_are_not_exported(architecture):
    with pytest.raises(UnsupportedError, match=f"has a decoder .{architecture}.*only an encoder"):
        OnnxClassifier.from_classifier(transformer(tiny_model(architecture)))


def test_a_classifier_that_was_not_trained_is_not_exported(tmp_path):
    with pytest.raises(NotFittedError):
        smalltext_onnx.export(TransformerBasedClassification(tiny_model(), 3), tmp_path / "model")
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize("opset", [13, 21, "17", 17.5, True])
def test_other_opsets_are_refused(opset, fitted):
    with pytest.raises(InvalidInputError, match=r"opset: .*; allowed: a whole number from 14 to 20"):
        OnnxClassifier.from_classifier(fitted, opset=opset)


def test_an_export_that_would_differ_is_refused(fitted, monkeypatch):
    monkeypatch.setattr("smalltext_onnx.exporting.largest_difference", lambda *_: 0.01)
    with pytest.raises(UnsupportedError, match=r"would differ by 0\.01, more than 0\.0001"):
        OnnxClassifier.from_classifier(fitted)


def test_weights_that_fit_into_no_file_are_refused(fitted, monkeypatch):
    monkeypatch.setattr("smalltext_onnx.exporting._MAX_BYTES", 1000)
    with pytest.raises(UnsupportedError, match="an ONNX file holds up to 2 GiB"):
        OnnxClassifier.from_classifier(fitted)


def test_a_folder_with_other_things_is_refused_before_anything_is_computed(fitted, tmp_path, monkeypatch):
    (tmp_path / "notes.txt").write_text("mine")
    monkeypatch.setattr(OnnxClassifier, "from_classifier", None)
    with pytest.raises(ModelFolderError, match="is not a saved model"):
        smalltext_onnx.export(fitted, tmp_path)


def test_a_missing_package_is_named_with_the_command(fitted, monkeypatch):
    monkeypatch.setattr("smalltext_onnx.classifier.find_spec", lambda name: None if name == "onnx" else name)
    with pytest.raises(
        PluginError, match=r"needs the package onnx\. Install it: pip install 'smalltext-onnx\[export\]'"
    ):
        OnnxClassifier.from_classifier(fitted)


def test_importing_the_package_imports_neither_onnxruntime_nor_torch():
    code = "import smalltext_onnx, sys; assert not {'onnxruntime', 'torch'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
