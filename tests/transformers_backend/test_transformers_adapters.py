"""Adapters: few weights are trained and saved."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer

import smalltext_core as st
from smalltext_core.errors import InvalidInputError
from smalltext_testing.sample_data import training_texts
from smalltext_transformers import FineTuningArguments, TransformerModelArguments
from smalltext_transformers._pretrained import Pretrained, head
from transformers_backend.tiny_models import save_tiny_model, tiny_model

peft = pytest.importorskip("peft")
save_and_load = pytest.importorskip("peft.utils.save_and_load")


def lora(**changes):
    return peft.LoraConfig(**{"r": 4, "lora_alpha": 16, "target_modules": ["query", "value"], **changes})


def test_only_the_adapter_and_the_head_are_trained(make, topics):
    network = make(peft_config=lora()).fit(topics).model
    trained = {name for name, parameter in network.named_parameters() if parameter.requires_grad}
    assert trained
    assert all("lora_" in name or "classifier" in name for name in trained)


def test_an_adapter_learns(make, topics):
    classifier = make(peft_config=lora(), num_epochs=20, lr=0.02).fit(topics)
    assert classifier.validate(topics)[1] > 0.9


def test_the_adapter_and_the_name_of_its_model_are_saved(make, topics, tmp_path):
    classifier = make(peft_config=lora()).fit(topics)
    classifier.save(tmp_path / "saved")
    written = {path.name for path in (tmp_path / "saved").iterdir()}
    assert {"adapter_config.json", "adapter_model.safetensors"} <= written
    assert "model.safetensors" not in written
    saved = peft.PeftConfig.from_pretrained(str(tmp_path / "saved"))
    assert saved.base_model_name_or_path == classifier.transformer_model.model


def proba_of(network, folder, texts):
    given = AutoTokenizer.from_pretrained(folder)(texts.x, padding=True, return_tensors="pt")
    network = network.cpu().eval()
    with torch.no_grad():
        return network(given["input_ids"], attention_mask=given["attention_mask"]).logits.softmax(-1).numpy()


def test_the_folder_of_an_adapter_is_also_a_model_of_transformers(make, tmp_path):
    texts = training_texts(3, multi_label=False)
    classifier = make(num_classes=3, peft_config=lora()).fit(texts)
    classifier.save(tmp_path / "saved")
    config = AutoConfig.from_pretrained(tmp_path / "saved" / "config")
    network = AutoModelForSequenceClassification.from_pretrained(tmp_path / "saved", config=config)
    assert network.config.id2label == {0: "football", 1: "cooking", 2: "space"}
    expected = classifier.predict_proba(texts)
    np.testing.assert_allclose(proba_of(network, tmp_path / "saved", texts), expected, atol=1e-6)


def test_with_as_many_classes_as_the_pretrained_model_an_adapter_needs_no_configuration(make, topics, tmp_path):
    classifier = make(peft_config=lora()).fit(topics)
    for _ in range(2):  # the second time, the first result is replaced
        classifier.save(tmp_path / "saved")
    network = AutoModelForSequenceClassification.from_pretrained(tmp_path / "saved")
    expected = classifier.predict_proba(topics)
    np.testing.assert_allclose(proba_of(network, tmp_path / "saved", topics), expected, atol=1e-6)


@pytest.mark.parametrize("parts", [["query", "value"], ["word_embeddings", "query"]])
def test_a_loaded_adapter_gives_the_same_bits(make, topics, tmp_path, parts):
    classifier = make(peft_config=lora(target_modules=parts)).fit(topics)
    classifier.save(tmp_path / "saved")
    again = st.load(tmp_path / "saved")
    np.testing.assert_array_equal(again.predict_proba(topics), classifier.predict_proba(topics))
    assert again.peft_config.r == 4


ADAPTABLE = {
    "bert": "query",
    "roberta": "query",
    "distilbert": "q_lin",
    "deberta-v2": "query_proj",
    "electra": "query",
    "mpnet": "q",
    "modernbert": "Wqkv",
    "bart": "q_proj",
    "t5": "q",
    "gpt2": "c_attn",
    "xlnet": "layer_1",
}
"""The adapted modules of each architecture."""


@pytest.mark.parametrize("architecture", ADAPTABLE)
def test_all_of_the_head_is_trained_and_saved(make, topics, tmp_path, architecture):
    model = TransformerModelArguments(tiny_model(architecture))
    adapter = lora(target_modules=[ADAPTABLE[architecture]])
    classifier = make(model=model, peft_config=adapter).fit(topics)
    before, _ = Pretrained(model).network(Pretrained(model).config(2, multi_label=False))
    trained = {name for name, parameter in classifier.model.named_parameters() if parameter.requires_grad}
    for part in head(before):
        assert any(f".{part}." in name for name in trained)
    classifier.save(tmp_path / "saved")
    again = st.load(tmp_path / "saved")
    np.testing.assert_array_equal(again.predict_proba(topics), classifier.predict_proba(topics))


ADAPTERS = {
    "lora": lora(),
    "of embeddings": lora(target_modules=["word_embeddings", "query"]),
    "with a bias": lora(bias="all"),
    "dora": lora(use_dora=True),
    "with a part": lora(modules_to_save=["pooler"]),
    "ia3": peft.IA3Config(target_modules=["query", "output.dense"], feedforward_modules=["output.dense"]),
}


@pytest.mark.parametrize("adapter", ADAPTERS.values(), ids=ADAPTERS)
def test_a_loaded_adapter_is_trained_further(make, topics, tmp_path, adapter):
    classifier = make(peft_config=adapter, warm_start=True).fit(topics)
    classifier.save(tmp_path / "saved")
    again = st.load(tmp_path / "saved")
    trained = [
        {name for name, parameter in one.model.named_parameters() if parameter.requires_grad}
        for one in (classifier, again)
    ]
    assert trained[0] == trained[1]
    before = again.predict_proba(topics)
    proba = classifier.fit(topics).predict_proba(topics)
    np.testing.assert_array_equal(again.fit(topics).predict_proba(topics), proba)
    assert not np.array_equal(before, proba)


def test_a_pooler_that_the_pretrained_model_lacks_is_saved_with_the_adapter(make, topics, tmp_path):
    folder = save_tiny_model(tmp_path / "model")
    weights = load_file(folder / "model.safetensors")
    kept = {name: tensor for name, tensor in weights.items() if "pooler" not in name}
    save_file(kept, folder / "model.safetensors", {"format": "pt"})
    classifier = make(model=folder, peft_config=lora()).fit(topics)
    classifier.save(tmp_path / "saved")
    again = st.load(tmp_path / "saved")
    np.testing.assert_array_equal(again.predict_proba(topics), classifier.predict_proba(topics))


def test_modules_to_save_are_saved_too(make, topics):
    network = make(peft_config=lora(modules_to_save=["pooler"])).fit(topics).model
    trained = {name for name, parameter in network.named_parameters() if parameter.requires_grad}
    assert any("pooler" in name for name in trained)


def test_every_linear_layer_can_be_adapted(make, topics, tmp_path):
    classifier = make(model=tiny_model("modernbert"), peft_config=lora(target_modules="all-linear")).fit(topics)
    classifier.save(tmp_path / "saved")
    again = st.load(tmp_path / "saved")
    np.testing.assert_array_equal(again.predict_proba(topics), classifier.predict_proba(topics))


def test_saving_an_adapter_does_not_ask_the_hub(make, topics, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(save_and_load, "check_file_exists_on_hf_hub", lambda *given: asked.append(given))
    classifier = make(peft_config=lora()).fit(topics)
    classifier.model.peft_config["default"].base_model_name_or_path = "a-name-on-the-hub"
    classifier.save(tmp_path / "saved")
    assert asked == []


def test_adapters_are_sampled_embedded_and_copied(make, topics):
    classifier = make(peft_config=lora()).fit(topics)
    assert classifier.predict_proba(topics, dropout_sampling=3).shape == (len(topics), 3, 2)
    assert classifier.embed(topics).shape == (len(topics), 32)
    twin = copy.deepcopy(classifier)
    np.testing.assert_array_equal(twin.predict_proba(topics), classifier.predict_proba(topics))


def test_the_callers_configuration_is_unchanged(make, topics):
    config = lora()
    before = config.to_dict()
    make(peft_config=config).fit(topics)
    assert config.to_dict() == before


def test_adapters_have_no_layers_to_fine_tune(make):
    with pytest.raises(InvalidInputError, match="peft_config"):
        make(peft_config=lora(), fine_tuning_arguments=FineTuningArguments(0.1, 0.9))


@pytest.mark.parametrize("wrong", ["lora", {"r": 4}, lora(task_type="CAUSAL_LM")])
def test_adapters_for_other_tasks_are_refused(make, wrong):
    with pytest.raises(InvalidInputError, match="peft_config"):
        make(peft_config=wrong)


def test_prompt_learning_is_refused(make):
    prompt = peft.PromptTuningConfig(task_type="SEQ_CLS", num_virtual_tokens=4)
    with pytest.raises(InvalidInputError, match=r"^peft_config: .*PromptTuningConfig.* such as peft.LoraConfig"):
        make(peft_config=prompt)


def test_parts_that_the_model_does_not_have_are_named(make, topics):
    with pytest.raises(InvalidInputError, match="^peft_config: .*no_such_part"):
        make(peft_config=lora(target_modules=["no_such_part"])).fit(topics)
