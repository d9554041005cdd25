"""Hostile folders of the torch backends: none of their code runs, and errors name the rejected file and key.

The manifests have the hashes of the hostile files. The same attacks are made with pretrained models.
"""

from __future__ import annotations

import hashlib
import shutil
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import smalltext_core as st
from robustness import backends
from security import torch_attacks
from security.attacks import (
    LENGTHENING_NORMALIZERS,
    LENGTHENING_PROCESSORS,
    SOUND_NORMALIZERS,
    edit_json,
    payload_module,
    refused,
    sign,
)
from smalltext_core.errors import InvalidInputError, ModelFolderError
from smalltext_testing.sample_data import training_texts

TOPICS = training_texts(3, multi_label=False)


def each(attacks):
    return pytest.mark.parametrize("attack", attacks.values(), ids=attacks.keys())


@pytest.fixture
def marker(tmp_path):
    return tmp_path / "marker"


@pytest.fixture
def module(tmp_path, marker, monkeypatch):
    room = tmp_path / "modules"
    room.mkdir()
    name = payload_module(room, marker, "module_of_an_attacker")
    monkeypatch.syspath_prepend(room)
    yield name
    sys.modules.pop(name, None)


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """Return the folders of models saved by the installed versions."""
    home = tmp_path_factory.mktemp("sound")
    for name in ("transformers", "setfit", "kimcnn"):
        backends.factory(name).new().fit(TOPICS).save(home / name)
    pretrained("embeddings", tiny("embeddings", home / "encoder")).fit(TOPICS).save(
        home / "embeddings", with_encoder=True
    )
    return home


@pytest.fixture
def saved(sound, tmp_path):
    def copy(name):
        return Path(shutil.copytree(sound / name, tmp_path / "folder" / "model"))

    return copy


@pytest.fixture(scope="module")
def adapted(tmp_path_factory):
    peft = pytest.importorskip("peft")
    from smalltext_transformers import TransformerBasedClassification
    from transformers_backend.tiny_models import tiny_model

    adapter = peft.LoraConfig(r=2, target_modules=["query"])
    classifier = TransformerBasedClassification(tiny_model(), 3, num_epochs=1, peft_config=adapter, seed=1)
    folder = tmp_path_factory.mktemp("adapted") / "model"
    classifier.fit(TOPICS).save(folder)
    return folder


def pretrained(name, folder, **changes):
    """Return a classifier for training from a pretrained model."""
    if name == "transformers":
        from smalltext_transformers import TransformerBasedClassification

        return TransformerBasedClassification(folder, 3, num_epochs=1, seed=1, **changes)
    if name == "embeddings":
        from smalltext_embeddings import EmbeddingClassifier

        return EmbeddingClassifier(folder, 3, seed=1, **changes)
    from smalltext_setfit import SetFitClassification

    return SetFitClassification(folder, 3, trainer_kwargs={"num_epochs": (0, 1)}, seed=1, **changes)


def tiny(name, folder):
    if name == "transformers":
        from transformers_backend.tiny_models import tiny_model

        return Path(shutil.copytree(tiny_model(), folder))
    from setfit_backend.tiny_sentence_transformers import tiny_sentence_transformer

    return Path(shutil.copytree(tiny_sentence_transformer(), folder))


def refuse_saved(folder, attack, marker, module):
    attack(folder, marker, module)
    sign(folder)
    with refused(marker) as error:
        st.load(folder)
    assert "cannot be loaded" not in str(error.value), "a library stumbled over it, which it was not to see"


@each({**torch_attacks.TRANSFORMERS, **torch_attacks.FILES})
def test_a_saved_transformer_runs_no_code(attack, saved, marker, module):
    refuse_saved(saved("transformers"), attack, marker, module)


@each({**torch_attacks.SENTENCE_TRANSFORMERS, **torch_attacks.FILES})
def test_a_saved_sentence_transformer_runs_no_code(attack, saved, marker, module):
    refuse_saved(saved("setfit"), attack, marker, module)


@each({**torch_attacks.SENTENCE_TRANSFORMERS, **torch_attacks.FILES})
def test_a_saved_encoder_runs_no_code(attack, saved, marker, module):
    folder = saved("embeddings")
    attack(folder if attack in torch_attacks.FILES.values() else folder / "encoder", marker, module)
    sign(folder, encoder=True)
    with refused(marker):
        st.load(folder)


@each({**torch_attacks.KIMCNN, **torch_attacks.FILES})
def test_a_saved_network_runs_no_code(attack, saved, marker, module):
    refuse_saved(saved("kimcnn"), attack, marker, module)


@each(torch_attacks.ADAPTERS)
def test_a_saved_adapter_runs_no_code(attack, adapted, tmp_path, marker, module):
    folder = Path(shutil.copytree(adapted, tmp_path / "folder" / "model"))
    refuse_saved(folder, attack, marker, module)


def test_the_folders_that_are_attacked_are_valid(saved, adapted):
    for name in ("transformers", "setfit", "kimcnn", "embeddings"):
        folder = saved(name)
        sign(folder, encoder=name == "embeddings")
        assert st.load(folder).predict(TOPICS).shape == (len(TOPICS),)
        shutil.rmtree(folder)
    assert st.load(adapted).predict(TOPICS).shape == (len(TOPICS),)


@each(torch_attacks.TRANSFORMERS)
def test_a_pretrained_transformer_runs_no_code(attack, tmp_path, marker, module):
    folder = tiny("transformers", tmp_path / "folder" / "model")
    attack(folder, marker, module)
    with refused(marker) as error:
        pretrained("transformers", folder).fit(TOPICS)
    assert isinstance(error.value, InvalidInputError), "an argument is to blame as well"


@pytest.mark.parametrize(
    ("name", "attack"),
    [
        pytest.param(name, attack, id=f"{kind}-{name}", marks=[pytest.mark.nightly] * ((number + order) % 2))
        for number, (kind, attack) in enumerate(torch_attacks.SENTENCE_TRANSFORMERS.items())
        for order, name in enumerate(("setfit", "embeddings"))  # which read the folder in one way
    ],
)
def test_a_pretrained_sentence_transformer_runs_no_code(name, attack, tmp_path, marker, module):
    folder = tiny(name, tmp_path / "folder" / "model")
    attack(folder, marker, module)
    with refused(marker) as error:
        pretrained(name, folder).fit(TOPICS)
    assert isinstance(error.value, InvalidInputError), "an argument is to blame as well"


@pytest.mark.parametrize("name", ["transformers", "setfit", "embeddings"])
@each({**torch_attacks.WEIGHTS, "custom model": torch_attacks.custom_model})
def test_a_pretrained_model_that_was_downloaded_runs_no_code(
    name, attack, tmp_path, marker, module, hub_cache, monkeypatch
):
    folder = tiny(name, tmp_path / "folder" / "model")
    attack(folder, marker, module)
    cache = hub_cache("org/tiny", folder)
    if name == "transformers":
        from smalltext_transformers import TransformerModelArguments

        classifier = pretrained(name, TransformerModelArguments("org/tiny", None, None, "always-local"))
        classifier.cache_dir = cache
    elif name == "embeddings":
        monkeypatch.setenv("SENTENCE_TRANSFORMERS_HOME", str(cache))
        classifier = pretrained(name, "org/tiny")
    else:
        from smalltext_setfit import SetFitModelArguments

        arguments = SetFitModelArguments("org/tiny", "always-local")
        classifier = pretrained(name, arguments, model_kwargs={"cache_dir": cache})
    with refused(marker):
        classifier.fit(TOPICS)


@pytest.mark.parametrize("name", ["transformers", "setfit"])
def test_pickled_weights_of_a_pretrained_model_are_read_as_weights_alone(name, tmp_path):
    folder = tiny(name, tmp_path / "model")
    expected = pretrained(name, folder).fit(TOPICS).predict_proba(TOPICS)
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    assert (pretrained(name, folder).fit(TOPICS).predict_proba(TOPICS) == expected).all()


def hash_of(folder):
    return {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", ["transformers", "setfit"])
def test_training_from_a_folder_and_from_the_cache_changes_none_of_its_files(name, tmp_path):
    folder = tiny(name, tmp_path / "blobs")
    linked = tmp_path / "snapshot"
    for path in sorted(folder.rglob("*")):  # as in the cache of the hub: folders with links
        target = linked / path.relative_to(folder)
        target.mkdir(parents=True) if path.is_dir() else None
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(path) if path.is_file() else None
    before = hash_of(folder)
    expected = pretrained(name, folder).fit(TOPICS)
    found = pretrained(name, linked).fit(TOPICS)
    found.save(tmp_path / "saved")
    saved = hash_of(tmp_path / "saved")
    st.load(tmp_path / "saved").fit(TOPICS)
    assert (found.predict_proba(TOPICS) == expected.predict_proba(TOPICS)).all()
    assert hash_of(folder) == before
    assert hash_of(tmp_path / "saved") == saved


def test_loading_tries_the_parameters_of_a_head_in_a_few_steps(monkeypatch, saved):
    from smalltext_setfit import _head

    steps = []

    class Counted(_head.LogisticRegression):
        def fit(self, *args, **kwargs):
            steps.append(self.max_iter)
            return super().fit(*args, **kwargs)

    folder = saved("setfit")
    endless = {"solver": "saga", "tol": 0.0, "C": 1e9, "max_iter": 2**31 - 1}

    def change(manifest):
        manifest["parameters"]["constructor"]["model_kwargs"] = {"head_params": endless}

    edit_json(folder / "smalltext.json", change)
    sign(folder)
    monkeypatch.setattr(_head, "LogisticRegression", Counted)
    assert st.load(folder).model_kwargs["head_params"] == endless
    assert steps
    assert max(steps) <= 1000


def test_an_adapter_that_was_trained_for_many_steps_is_loaded():
    peft = pytest.importorskip("peft")
    from smalltext_transformers._adapters import config_to_json, saved_config

    config = peft.AdaLoraConfig(total_step=100_000, tinit=5_000, tfinal=50_000, deltaT=10)
    assert saved_config(config_to_json(config)).total_step == 100_000
    config = peft.VeraConfig(projection_prng_key=2**31 - 1)
    assert saved_config(config_to_json(config)).projection_prng_key == 2**31 - 1


def test_the_file_and_the_key_are_named(saved, marker, module):
    folder = saved("setfit")
    torch_attacks.SENTENCE_TRANSFORMERS["any method"](folder, marker, module)
    sign(folder)
    with pytest.raises(ModelFolderError, match=r"sentence_bert_config\.json, key 'modality_config'.*push_to_hub"):
        st.load(folder)


def test_content_of_hostile_folders_is_escaped_in_messages(saved, marker, module):
    folder = saved("transformers")
    torch_attacks.setting("config.json", "auto_map\x1b[2J", "\x1b]0;title\x07")(folder, marker, module)
    sign(folder)
    with pytest.raises(ModelFolderError) as error:
        st.load(folder)
    assert str(error.value).isprintable()


@pytest.mark.parametrize("name", ["transformers", "setfit"])
def test_a_token_id_for_which_a_table_would_take_all_memory_is_refused(name, saved):
    folder = saved(name)

    def change(tokenizer):
        tokenizer["model"]["vocab"]["goal"] = 2**31

    edit_json(folder / "tokenizer.json", change)
    sign(folder)
    with pytest.raises(ModelFolderError, match=r"tokenizer\.json: a token has the id 2147483648"):
        st.load(folder)


def with_tokenizer(folder, **parts):
    edit_json(folder / "tokenizer.json", lambda tokenizer: {**tokenizer, **parts})
    sign(folder)
    return folder


@pytest.mark.parametrize("name", ["transformers", "setfit"])
@pytest.mark.parametrize("normalizer", LENGTHENING_NORMALIZERS.values(), ids=LENGTHENING_NORMALIZERS)
def test_a_normalizer_that_makes_texts_longer_is_refused(name, normalizer, saved):
    folder = with_tokenizer(saved(name), normalizer=normalizer)
    with pytest.raises(
        ModelFolderError,
        match=r"tokenizer\.json: a normalizer makes texts longer by a factor of \d+; allowed: up to 5000",
    ):
        st.load(folder)


@pytest.mark.parametrize("name", ["transformers", "setfit"])
@pytest.mark.parametrize("processor", LENGTHENING_PROCESSORS.values(), ids=LENGTHENING_PROCESSORS)
def test_special_tokens_that_make_texts_longer_are_refused(name, processor, saved):
    folder = with_tokenizer(saved(name), post_processor=processor)
    with pytest.raises(
        ModelFolderError, match=r"tokenizer\.json: the number of tokens around a text is \d+; allowed: up to 10000"
    ):
        st.load(folder)


@pytest.mark.parametrize("name", ["transformers", "setfit"])
@pytest.mark.parametrize("normalizer", SOUND_NORMALIZERS.values(), ids=SOUND_NORMALIZERS)
def test_normalizers_of_well_known_models_are_not_refused(name, normalizer, saved):
    st.load(with_tokenizer(saved(name), normalizer=normalizer))


@pytest.mark.parametrize("part", [{"normalizer": {"type": "Evil"}}, {"normalizer": 5}, {"post_processor": []}])
def test_a_tokenizer_that_cannot_be_read_is_refused_by_name(part, saved):
    with pytest.raises(ModelFolderError, match=r"tokenizer\.json: the tokenizers library cannot read it"):
        st.load(with_tokenizer(saved("transformers"), **part))
