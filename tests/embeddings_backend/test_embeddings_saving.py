"""The content of a saved folder; changes of the folder can only affect numbers."""

from __future__ import annotations

import hashlib
import json
import pickle
import shutil

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

import smalltext_core as st
from embeddings_backend.tiny_encoders import HashedWords, write_static_model
from security.attacks import LENGTHENING_NORMALIZERS, LENGTHENING_PROCESSORS, SOUND_NORMALIZERS, edit_json
from smalltext_core.errors import InvalidInputError, ModelFolderError, NotFittedError
from smalltext_embeddings import EmbeddingClassifier
from smalltext_embeddings.multilingual import FILES, MultilingualEncoder
from smalltext_testing import training_texts, unseen_texts

TRAIN_SET, TEXTS = training_texts(3, multi_label=False), unseen_texts(3)


def trained(encoder, **parameters):
    return EmbeddingClassifier(encoder, 3, calibration="auto", seed=1, **parameters).fit(TRAIN_SET)


@pytest.fixture(scope="module")
def classifier(static_model):
    return trained(static_model)


@pytest.fixture
def folder(classifier, tmp_path):
    classifier.save(tmp_path / "model")
    return tmp_path / "model"


def edit(folder, change):
    """Change the parameters in the manifest, like an attacker."""
    path = folder / "smalltext.json"
    manifest = json.loads(path.read_bytes())
    change(manifest["parameters"])
    path.write_text(json.dumps(manifest))


def replace(folder, name, content):
    """Replace a file, and update its hash in the manifest."""
    (folder / name).write_bytes(content)
    path = folder / "smalltext.json"
    manifest = json.loads(path.read_bytes())
    manifest["files"][name] = hashlib.sha256(content).hexdigest()
    path.write_text(json.dumps(manifest))


def as_npy(folder, array):
    np.save(folder.parent / "array.npy", array)
    return (folder.parent / "array.npy").read_bytes()


def test_a_static_encoder_is_in_the_folder_and_may_be_removed_after_loading(classifier, folder):
    loaded = st.load(folder)
    assert loaded.cache_info().limit == classifier.embedding_cache_size
    shutil.rmtree(folder)
    np.testing.assert_array_equal(loaded.predict_proba(TEXTS), classifier.predict_proba(TEXTS))
    again = pickle.loads(pickle.dumps(loaded))
    np.testing.assert_array_equal(again.predict_proba(TEXTS), classifier.predict_proba(TEXTS))
    loaded.save(folder)
    np.testing.assert_array_equal(st.load(folder).predict_proba(TEXTS), classifier.predict_proba(TEXTS))


def test_parameters_and_the_choices_of_training_are_restored(static_model, tmp_path):
    parameters = {"head": 3.0, "class_weight": {"football": 2.0}, "label_texts": {"space": ["stars", "rockets"]}}
    classifier = trained(static_model, **parameters, warm_start=True, embedding_cache_size=10**6)
    classifier.save(tmp_path / "model")
    loaded = st.load(tmp_path / "model")
    for name in (
        *parameters,
        "calibration",
        "multi_label_threshold",
        "warm_start",
        "seed",
        "embedding_cache_size",
    ):
        assert getattr(loaded, name) == getattr(classifier, name), name
    assert loaded.calibration_ == classifier.calibration_
    assert loaded.head_.C == 3.0


def test_an_estimator_as_head_is_restored_from_its_parameters(static_model, tmp_path):
    head = LogisticRegression(C=np.inf, solver="saga", max_iter=np.int64(20), tol=np.float64(0.1))
    classifier = trained(static_model, head=head)
    classifier.save(tmp_path / "model")
    loaded = st.load(tmp_path / "model")
    assert loaded.head.get_params() == head.get_params()
    expected = classifier.predict_proba(TEXTS)
    np.testing.assert_array_equal(loaded.predict_proba(TEXTS), expected)
    np.testing.assert_array_equal(loaded.fit(TRAIN_SET).predict_proba(TEXTS), expected)


def test_trying_the_parameters_of_an_estimator_takes_a_few_steps(folder, monkeypatch):
    steps = []
    fit = LogisticRegression.fit

    def counted(self, *args, **kwargs):
        steps.append(self.max_iter)
        return fit(self, *args, **kwargs)

    endless = {"solver": "saga", "tol": 0.0, "max_iter": 2**31 - 1}
    edit(folder, lambda state: state["classifier"].update(head=json.dumps(endless)))
    monkeypatch.setattr(LogisticRegression, "fit", counted)
    assert st.load(folder).head.max_iter == 2**31 - 1
    assert max(steps) <= 2


def test_without_the_encoder_it_is_found_by_name_and_has_to_be_the_same(static_model, tmp_path):
    copy = tmp_path / "static"
    shutil.copytree(static_model, copy)
    classifier = trained(copy)
    classifier.save(tmp_path / "model", with_encoder=False)
    assert not (tmp_path / "model" / "encoder").exists()
    expected = classifier.predict_proba(TEXTS)
    np.testing.assert_array_equal(st.load(tmp_path / "model").predict_proba(TEXTS), expected)
    shutil.rmtree(copy)
    with pytest.raises(ModelFolderError, match="not on this computer"):
        st.load(tmp_path / "model")
    np.testing.assert_array_equal(st.load(tmp_path / "model", encoder=static_model).predict_proba(TEXTS), expected)
    write_static_model(copy, seed=1)
    with pytest.raises(ModelFolderError, match="fingerprint differs\\). Train it again"):
        st.load(tmp_path / "model")


def test_large_encoders_are_saved_by_name(classifier, tmp_path, monkeypatch):
    monkeypatch.setattr("smalltext_embeddings._saving.MAX_BYTES_WITH_ENCODER", 1000)
    classifier.save(tmp_path / "model")
    assert not (tmp_path / "model" / "encoder").exists()
    classifier.save(tmp_path / "model", with_encoder=True)
    assert (tmp_path / "model" / "encoder" / "model.safetensors").is_file()


def test_an_encoder_object_has_to_be_passed_to_load(tmp_path):
    classifier = trained(HashedWords())
    classifier.save(tmp_path / "model")
    with pytest.raises(InvalidInputError, match="with_encoder"):
        classifier.save(tmp_path / "model", with_encoder=True)
    with pytest.raises(ModelFolderError, match="HashedWords.*Give it"):
        st.load(tmp_path / "model")
    loaded = st.load(tmp_path / "model", encoder=HashedWords())
    np.testing.assert_array_equal(loaded.predict_proba(TEXTS), classifier.predict_proba(TEXTS))
    with pytest.raises(ModelFolderError, match="another one"):
        st.load(tmp_path / "model", encoder=HashedWords(32))


def test_the_multilingual_encoder_in_a_folder_equals_the_installed_one(tmp_path):
    classifier = trained("use-multilingual")
    classifier.save(tmp_path / "model")
    loaded = st.load(tmp_path / "model")
    assert loaded.encoder is not classifier.encoder
    assert loaded.encoder.fingerprint == classifier.encoder.fingerprint
    texts = [*TEXTS.x, "Ação, coração!", "你好 世界", "مرحبا بالعالم", "\ud800", "▁ ▁▁x", "word " * 2000]
    np.testing.assert_array_equal(loaded.encoder.encode(texts), classifier.encoder.encode(texts))


def test_the_multilingual_encoder_is_used_only_if_it_is_the_known_release(tmp_path):
    with pytest.raises(ModelFolderError, match="known release"):
        MultilingualEncoder.from_folder(tmp_path, {**FILES, "arrays.bin": "0" * 64})


def test_saving_needs_a_fitted_classifier(static_model, tmp_path):
    with pytest.raises(NotFittedError):
        EmbeddingClassifier(static_model, 2).save(tmp_path / "model")


CHANGES = {
    "no C": lambda state: state.pop("C"),
    "a negative C": lambda state: state.update(C=-1.0),
    "a head that scikit-learn refuses": lambda state: state["classifier"].update(head='{"C": -1.0}'),
    "a head with another parameter": lambda state: state["classifier"].update(head='{"code": "print()"}'),
    "a head with a list": lambda state: state["classifier"].update(head='{"C": [1]}'),
    "a head that is no JSON": lambda state: state["classifier"].update(head="{"),
    "a head as an object": lambda state: state["classifier"].update(head={"C": 1.0}),
    "another field": lambda state: state.update(code="print()"),
    "no parameters": lambda state: state.update(classifier=None),
    "a text for a number": lambda state: state["classifier"].update(num_classes="3"),
    "more classes": lambda state: state["classifier"].update(num_classes=4),
    "multi-label": lambda state: state["classifier"].update(multi_label="yes"),
    "a class weight": lambda state: state["classifier"].update(class_weight=[[0, "heavy"]]),
    "label texts": lambda state: state["classifier"].update(label_texts=[[0, [1]]]),
    "a cache size": lambda state: state["classifier"].update(embedding_cache_size="all"),
    "thresholds": lambda state: state.update(thresholds=[0.5, 0.5, 0.5]),
    "a calibration": lambda state: state["calibration"].update(scale=[float(10**9)]),
    "no encoder": lambda state: state.update(encoder="use-multilingual"),
    "another kind": lambda state: state["encoder"].update(kind="pickle"),
    "the multilingual kind": lambda state: state["encoder"].update(kind="use-multilingual"),
    "other files": lambda state: state["encoder"].update(files=["../../secret"]),
    "a list as a file": lambda state: state["encoder"].update(files=[["model.safetensors"]]),
    "other dimensions": lambda state: state["encoder"].update(dimensions=31),
    "a fingerprint": lambda state: state["encoder"].update(fingerprint="0" * 64),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_changed_manifest_is_refused(folder, change):
    edit(folder, change)
    with pytest.raises(ModelFolderError):
        st.load(folder)


ARRAYS = {
    "NaN": lambda array: np.full_like(array, np.nan),
    "another shape": lambda array: array[:-1],
    "another type": lambda array: array.astype(np.float64),
    "objects": lambda array: array.astype(object),
}


@pytest.mark.parametrize("name", ["coefficients.npy", "intercepts.npy"])
@pytest.mark.parametrize("change", ARRAYS.values(), ids=ARRAYS)
def test_a_changed_head_is_refused(classifier, folder, name, change):
    array = getattr(classifier.head_, name.removesuffix(".npy"))
    replace(folder, name, as_npy(folder, change(array)))
    with pytest.raises(ModelFolderError):
        st.load(folder)


def header(**changes):
    entry = {"dtype": "F32", "shape": [2, 4], "data_offsets": [0, 32], **changes}
    content = json.dumps({"embeddings": entry}).encode()
    return len(content).to_bytes(8, "little") + content + bytes(32)


ENCODER_FILES = {
    "no tensors": ("model.safetensors", b""),
    "a long header": ("model.safetensors", (2**60).to_bytes(8, "little") + b"{}"),
    "too few vectors": ("model.safetensors", header()),
    "offsets outside": ("model.safetensors", header(data_offsets=[0, 2**40])),
    "negative offsets": ("model.safetensors", header(data_offsets=[-32, 0])),
    "a huge shape": ("model.safetensors", header(shape=[2**40, 2**40])),
    "an unknown type": ("model.safetensors", header(dtype="O")),
    "no tokenizer": ("tokenizer.json", b"{}"),
    "no JSON": ("config.json", b"\xff"),
}


@pytest.mark.parametrize(("name", "content"), ENCODER_FILES.values(), ids=ENCODER_FILES)
def test_a_changed_encoder_is_refused(folder, static_model, name, content):
    replace(folder, f"encoder/{name}", content)
    with pytest.raises(ModelFolderError):
        st.load(folder)
    damaged = folder.parent / "static"
    shutil.copytree(static_model, damaged)
    (damaged / name).write_bytes(content)
    with pytest.raises((ModelFolderError, InvalidInputError)):
        EmbeddingClassifier(damaged, 3).fit(TRAIN_SET)


def with_tokenizer(static_model, folder, **parts):
    shutil.copytree(static_model, folder)
    edit_json(folder / "tokenizer.json", lambda tokenizer: {**tokenizer, **parts})
    return EmbeddingClassifier(folder, 3)


GROWING = {
    "type": "Sequence",
    "normalizers": [{"type": "Replace", "pattern": {"String": "a"}, "content": "a" * 100}] * 2,
}


@pytest.mark.parametrize(
    "normalizer", [GROWING, *LENGTHENING_NORMALIZERS.values()], ids=["less so", *LENGTHENING_NORMALIZERS]
)
def test_a_normalizer_that_makes_texts_longer_is_refused(static_model, tmp_path, normalizer):
    classifier = with_tokenizer(static_model, tmp_path / "static", normalizer=normalizer)
    with pytest.raises(
        ModelFolderError, match=r"a normalizer makes texts longer by a factor of \d+; allowed: up to 5000"
    ):
        classifier.fit(TRAIN_SET)


@pytest.mark.parametrize("normalizer", SOUND_NORMALIZERS.values(), ids=SOUND_NORMALIZERS)
def test_normalizers_of_well_known_models_are_not_refused(static_model, tmp_path, normalizer):
    with_tokenizer(static_model, tmp_path / "static", normalizer=normalizer).fit(TRAIN_SET)


@pytest.mark.parametrize("processor", LENGTHENING_PROCESSORS.values(), ids=LENGTHENING_PROCESSORS)
def test_special_tokens_that_make_texts_longer_are_refused(static_model, tmp_path, processor):
    classifier = with_tokenizer(static_model, tmp_path / "static", post_processor=processor)
    with pytest.raises(ModelFolderError, match="the number of tokens around a text is"):
        classifier.fit(TRAIN_SET)


def test_a_token_id_for_which_a_table_would_take_all_memory_is_refused(static_model, tmp_path):
    model = {"type": "WordLevel", "vocab": {"[UNK]": 0, "film": 2**31}, "unk_token": "[UNK]"}
    classifier = with_tokenizer(static_model, tmp_path / "static", model=model)
    with pytest.raises(ModelFolderError, match="a token has the id 2147483648"):
        classifier.fit(TRAIN_SET)


def test_a_model_of_another_backend_is_refused(tmp_path):
    st.create_classifier("sklearn", num_classes=3).fit(TRAIN_SET).save(tmp_path / "model")
    with pytest.raises(ModelFolderError, match="not 'embeddings'"):
        EmbeddingClassifier.load(tmp_path / "model")
