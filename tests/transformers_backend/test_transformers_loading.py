"""The sources of models; no files are created in unexpected places."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import transformers
from safetensors.torch import load_file, save_file

from robustness.loading_errors import check_model_is_not_blamed
from smalltext_core import create_factory, load
from smalltext_core.errors import InvalidInputError, ModelFolderError
from smalltext_testing.sample_data import training_texts
from smalltext_torch.model_loading import OFFLINE, is_offline
from smalltext_torch.pretrained_files import put_config
from smalltext_torch.tokenization import max_tokens
from smalltext_transformers import (
    ModelLoadingStrategy,
    TransformerBasedClassification,
    TransformerModelArguments,
)
from smalltext_transformers._pretrained import Pretrained
from transformers_backend.tiny_models import (
    ARCHITECTURES,
    save_tiny_model,
    tiny_config,
    tiny_model,
    tiny_tokenizer,
)

PARTS = ("AutoConfig", "AutoTokenizer", "PreTrainedModel")


@pytest.fixture(autouse=True)
def online(monkeypatch):
    for variable in OFFLINE:
        monkeypatch.delenv(variable, raising=False)


def told(monkeypatch, strategy, cache_dir=None):
    """Return the arguments of each from_pretrained call when the parts of a classifier are loaded."""
    told = {}
    for name in PARTS:
        part = getattr(transformers, name)

        def spy(cls, *given, name=name, from_pretrained=part.from_pretrained.__func__, **options):
            told[name] = options
            return from_pretrained(cls, *given, **{**options, "force_download": False})

        monkeypatch.setattr(part, "from_pretrained", classmethod(spy))
    source = Pretrained(TransformerModelArguments(tiny_model(), model_loading_strategy=strategy), cache_dir)
    source.tokenizer()
    source.network(source.config(2, multi_label=False))
    assert set(told) == set(PARTS)
    return told.values()


@pytest.mark.parametrize("part", PARTS)
def test_a_model_is_not_blamed_for_a_lack_of_memory_or_an_alarm(monkeypatch, part):
    classifier = create_factory("transformers", num_classes=2, model=tiny_model(), num_epochs=1).new()
    train_set = training_texts(2, multi_label=False)
    loading = getattr(transformers, part)
    check_model_is_not_blamed(monkeypatch, loading, "from_pretrained", lambda: classifier.fit(train_set))


def test_t08_always_local_holds_for_model_config_and_tokenizer(monkeypatch):
    for options in told(monkeypatch, ModelLoadingStrategy.ALWAYS_LOCAL):
        assert options["local_files_only"] is True


def test_always_download_holds_for_model_config_and_tokenizer(monkeypatch):
    for options in told(monkeypatch, "always-download"):
        assert (options["force_download"], options["local_files_only"]) == (True, False)


def test_by_default_missing_models_are_downloaded(monkeypatch):
    for options in told(monkeypatch, ModelLoadingStrategy.DEFAULT):
        assert (options["force_download"], options["local_files_only"]) == (False, False)


@pytest.mark.parametrize("variable", OFFLINE)
@pytest.mark.parametrize("yes", ["1", "true", "TRUE", "True", "yes", "YES", "on", "ON", " 1 "])
def test_every_spelling_of_true_switches_downloads_off(monkeypatch, variable, yes):
    monkeypatch.setenv(variable, yes)
    assert ModelLoadingStrategy.DEFAULT.arguments()["local_files_only"] is True


@pytest.mark.parametrize("no", ["", "0", "false", "False", "no", "off"])
def test_no_spelling_of_false_does(monkeypatch, no):
    monkeypatch.setenv("SMALL_TEXT_OFFLINE", no)
    assert not is_offline()


def test_the_cache_folder_is_where_downloads_go(monkeypatch, tmp_path):
    for options in told(monkeypatch, "default", tmp_path / "cache"):
        assert options["cache_dir"] == str(tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


def test_no_code_of_a_model_is_run(monkeypatch):
    for options in told(monkeypatch, "default"):
        assert options["trust_remote_code"] is False


def test_nothing_is_created_in_the_working_directory(make, topics, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    classifier = make(cache_dir="cache").fit(topics)
    classifier.predict(topics)
    assert list(tmp_path.iterdir()) == []


def test_t12_training_writes_no_checkpoints(make, topics, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    make().fit(topics)
    assert list(tmp_path.rglob("*")) == []


def test_a_model_that_is_not_there_is_named(make, topics):
    with pytest.raises(InvalidInputError, match="no-such-model"):
        make(model=TransformerModelArguments("no-such-model", model_loading_strategy="always-local")).fit(topics)


@pytest.mark.parametrize("argument", ["model", "tokenizer", "config"])
@pytest.mark.parametrize("wrong", ["", 3, object()])
def test_an_invalid_model_source_is_refused(argument, wrong):
    with pytest.raises(InvalidInputError, match=argument):
        TransformerModelArguments(**{"model": "a-model", argument: wrong})


def test_an_unknown_strategy_is_refused():
    with pytest.raises(InvalidInputError, match="always-local"):
        TransformerModelArguments("a-model", model_loading_strategy="sometimes")


def test_tokenizer_and_configuration_may_come_from_elsewhere(make, topics, tmp_path):
    model, other = save_tiny_model(tmp_path / "model"), tmp_path / "other"
    tiny_config("bert", num_hidden_layers=1).save_pretrained(other)
    (model / "tokenizer.json").replace(other / "tokenizer.json")
    (model / "tokenizer_config.json").replace(other / "tokenizer_config.json")
    classifier = make(model=TransformerModelArguments(model, tokenizer=other, config=other)).fit(topics)
    assert classifier.model.config.num_hidden_layers == 1


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_longest_text_that_is_let_through_fits_the_model(make, topics, architecture):
    folder = tiny_model(architecture)
    classifier = make(model=folder, num_epochs=1).fit(topics)
    with pytest.warns(UserWarning, match="1 of 1"):
        proba = classifier.predict_proba(type(topics)(["goal " * 500]))
    assert proba.shape == (1, 2)
    assert max_tokens(tiny_config(architecture), tiny_tokenizer()) in (62, 64)


def test_the_builder_makes_a_factory_of_the_documented_kind():
    factory = create_factory("transformers", 2, model="a-model", layerwise_gradient_decay=0.9, lr=1e-4)
    classifier = factory.new()
    assert classifier.fine_tuning_arguments.base_lr == 1e-4
    assert classifier.transformer_model == TransformerModelArguments("a-model")


def test_by_name_defaults_depend_on_the_data_and_the_model():
    decided = ("lr", "min_steps", "validation_set_size", "calibration", "multi_label_threshold")
    classifier = create_factory("transformers", 2, model="a-model").new()
    assert [getattr(classifier, name) for name in decided] == ["auto"] * 5
    assert TransformerBasedClassification("a-model", 2).lr == 2e-5
    layered = create_factory("transformers", 2, model="a-model", layerwise_gradient_decay=0.9).new()
    assert layered.fine_tuning_arguments.base_lr == "auto"
    assert create_factory("transformers", 2, model="a-model", num_epochs=3).new().min_steps == 0


def test_a_saved_classifier_can_be_trained_again_from_its_model(make, topics, tmp_path):
    make().fit(topics).save(tmp_path / "saved")
    again = load(tmp_path / "saved")
    assert (again.fit(topics).predict_proba(topics) == make().fit(topics).predict_proba(topics)).all()


def test_the_model_may_be_a_path(make):
    assert make(model=Path("a") / "model").transformer_model.model == str(Path("a") / "model")


@pytest.mark.parametrize("model", ["/no/such/folder", "./no-such-folder", "~/no-such-folder"])
def test_a_missing_path_is_refused_as_a_path(model):
    with pytest.raises(InvalidInputError, match=r"where there is no folder; allowed: the folder of a model"):
        Pretrained(TransformerModelArguments(model)).tokenizer()


@pytest.mark.parametrize("part", ["tokenizer", "config"])
def test_errors_name_the_argument_of_the_source(tmp_path, part):
    with pytest.raises(InvalidInputError, match=r"^model: .*a folder without config.json"):
        load_part(TransformerModelArguments(tmp_path), part)
    with pytest.raises(InvalidInputError, match=rf"^{part}: .*where there is no folder"):
        load_part(TransformerModelArguments(tiny_model(), **{part: "/no/such/folder"}), part)


@pytest.mark.parametrize("architecture", ["bert", "roberta", "t5", "gpt2"])
def test_a_folder_without_a_tokenizer_is_refused(make, topics, tmp_path, architecture):
    folder = save_tiny_model(tmp_path / "model", architecture)
    for path in folder.glob("tokenizer*"):
        path.unlink()
    with pytest.raises(InvalidInputError, match="tokenizer"):
        make(model=folder).fit(topics)


def test_a_configuration_of_another_size_is_refused(make, topics, tmp_path):
    wide = save_tiny_model(tmp_path / "wide", hidden_size=64)
    with pytest.raises(InvalidInputError, match="^config: .* weights of another shape for bert.embeddings"):
        make(model=TransformerModelArguments(tiny_model(), config=wide)).fit(topics)
    shutil.copy(wide / "config.json", save_tiny_model(tmp_path / "model"))
    with pytest.raises(InvalidInputError, match="^model: .* weights of another shape"):
        make(model=tmp_path / "model").fit(topics)


def test_weights_of_another_architecture_are_refused(make, topics, tmp_path):
    folder = save_tiny_model(tmp_path / "mixed", "roberta")
    shutil.copy(Path(tiny_model("distilbert")) / "model.safetensors", folder)
    with pytest.raises(InvalidInputError, match="^model: .* no weights for roberta.encoder.layer.0"):
        make(model=folder).fit(topics)


def test_missing_layers_are_not_initialized_at_random(make, topics, tmp_path):
    deeper = tmp_path / "deeper"
    tiny_config("bert", num_hidden_layers=3).save_pretrained(deeper)
    with pytest.raises(InvalidInputError, match="^config: .* no weights for bert.encoder.layer.2"):
        make(model=TransformerModelArguments(tiny_model(), config=deeper)).fit(topics)


def test_a_head_of_another_shape_and_a_missing_pooler_are_initialized_at_random(make, tmp_path):
    three = training_texts(3, multi_label=False)
    make(num_classes=3, num_epochs=1).fit(three).save(tmp_path / "three")
    weights = load_file(tmp_path / "three" / "model.safetensors")
    kept = {name: tensor for name, tensor in weights.items() if "pooler" not in name}
    save_file(kept, tmp_path / "three" / "model.safetensors", {"format": "pt"})
    source = Pretrained(TransformerModelArguments(tmp_path / "three"))
    _, drawn = source.network(source.config(2, multi_label=False))
    assert drawn == [
        f"{part}.{kind}" for part in ("bert.pooler.dense", "classifier") for kind in ("weight", "bias")
    ]


@pytest.mark.parametrize(
    ("file", "content", "reason"),
    [
        ("config.json", b"[]", "Error: "),
        ("config.json", b"{", "it is not JSON"),
        ("config.json", b'{"model_type": "vit"}', "classify no texts"),
        ("model.safetensors", b"xx", "SafetensorError: "),
        ("tokenizer.json", b"{}", "Error: |Exception: "),
    ],
)
def test_a_damaged_folder_is_named_with_the_reason(make, topics, tmp_path, file, content, reason):
    folder = save_tiny_model(tmp_path / "model")
    (folder / file).write_bytes(content)
    with pytest.raises(InvalidInputError, match=reason) as error:
        make(model=folder).fit(topics)
    assert str(folder) in str(error.value)


def load_part(arguments, part):
    source = Pretrained(arguments)
    return source.tokenizer() if part == "tokenizer" else source.config(2, multi_label=False)


def test_the_size_of_experts_is_not_bounded_like_their_number(tmp_path):
    (tmp_path / "given").mkdir()
    transformers.Qwen2MoeConfig(shared_expert_intermediate_size=20_480).save_pretrained(tmp_path / "given")
    put_config(tmp_path / "given", tmp_path, transformers, saved=True)
    transformers.Qwen2MoeConfig(num_experts=20_480).save_pretrained(tmp_path / "given")
    with pytest.raises(ModelFolderError, match=r"'num_experts': it holds 20480; allowed: up to 4096"):
        put_config(tmp_path / "given", tmp_path, transformers, saved=True)
