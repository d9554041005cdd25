from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from smalltext_bag import classifier as plugin
from smalltext_bag.network import Bag
from torch import nn

import smalltext_core
from smalltext_core.errors import InvalidInputError, ModelFolderError, PluginError
from smalltext_core.saving import MANIFEST
from smalltext_torch.classifier import WEIGHTS, TorchClassifier
from torch_backend.bag_of_embeddings import BagOfEmbeddings, some_multi_label_texts, some_texts

TEXTS = some_texts()


def same_bits(one: Any, other: Any) -> bool:
    return np.asarray(one).tobytes() == np.asarray(other).tobytes()


@pytest.mark.parametrize("multi_label", [False, True])
def test_a_loaded_classifier_is_bitwise_identical(multi_label: bool, tmp_path: Path) -> None:
    texts = some_multi_label_texts() if multi_label else TEXTS
    classifier = BagOfEmbeddings(3, multi_label, class_weight="balanced").fit(texts)
    classifier.save(tmp_path / "model")

    again = smalltext_core.load(tmp_path / "model")

    assert type(again) is plugin.BagOfEmbeddings
    assert same_bits(again.predict_proba(texts), classifier.predict_proba(texts))
    assert same_bits(again.predict_proba(texts, 3), classifier.predict_proba(texts, 3))
    assert again.validate(texts) == classifier.validate(texts)
    assert again.history_ == classifier.history_


def test_a_folder_contains_only_safetensors_and_json(tmp_path: Path) -> None:
    BagOfEmbeddings(3).fit(TEXTS).save(tmp_path / "model")

    assert sorted(path.name for path in (tmp_path / "model").iterdir()) == [MANIFEST, "vocabulary.json", WEIGHTS]


def test_parameters_are_restored(tmp_path: Path) -> None:
    classifier = BagOfEmbeddings(3, class_weight={0: 2.0}, device=torch.device("cpu"), seed=3).fit(TEXTS)
    classifier.save(tmp_path / "model")

    again = BagOfEmbeddings.load(tmp_path / "model")

    assert (again.class_weight, again.device, again.seed) == ({0: 2.0}, "cpu", 3)
    assert same_bits(again.fit(TEXTS).predict_proba(TEXTS), classifier.predict_proba(TEXTS))


@pytest.mark.filterwarnings("error")
def test_loading_causes_no_warnings(tmp_path: Path) -> None:
    with pytest.warns(DeprecationWarning, match="early_stopping_acc"):
        classifier = BagOfEmbeddings(3, early_stopping_acc=0.5)
    classifier.fit(TEXTS).save(tmp_path / "model")

    assert BagOfEmbeddings.load(tmp_path / "model").early_stopping_acc == 0.5


def test_loading_does_not_change_the_global_random_state(tmp_path: Path) -> None:
    BagOfEmbeddings(3).fit(TEXTS).save(tmp_path / "model")
    before = torch.get_rng_state()

    BagOfEmbeddings.load(tmp_path / "model")

    assert torch.equal(torch.get_rng_state(), before)


def test_a_device_can_be_passed_to_load(tmp_path: Path) -> None:
    BagOfEmbeddings(3).fit(TEXTS).save(tmp_path / "model")

    assert smalltext_core.load(tmp_path / "model", device="cpu").device == "cpu"
    with pytest.raises(InvalidInputError, match="device"):
        smalltext_core.load(tmp_path / "model", device="cuda:99")


def test_a_missing_device_does_not_prevent_loading(tmp_path: Path) -> None:
    classifier = BagOfEmbeddings(3).fit(TEXTS)
    classifier._given["device"] = "cuda:99"
    classifier.save(tmp_path / "model")

    assert same_bits(BagOfEmbeddings.load(tmp_path / "model").predict(TEXTS), classifier.predict(TEXTS))


class TiedBag(Bag):
    def __init__(self, words: int, num_classes: int) -> None:
        super().__init__(words, num_classes)
        self.again = self.embedding


class Tied(BagOfEmbeddings):
    def make_network(self, encoder: Any) -> nn.Module:
        return TiedBag(len(encoder) + 2, self.num_classes)


def test_weights_that_are_shared_within_the_network_are_saved(tmp_path: Path) -> None:
    classifier = Tied(3).fit(TEXTS)
    classifier.save(tmp_path / "model")

    assert same_bits(Tied.load(tmp_path / "model").predict_proba(TEXTS), classifier.predict_proba(TEXTS))


def test_a_folder_of_another_classifier_is_refused(tmp_path: Path) -> None:
    BagOfEmbeddings(3).fit(TEXTS).save(tmp_path / "model")

    with pytest.raises(ModelFolderError, match="holds a 'bag' classifier"):
        OtherBag.load(tmp_path / "model")


class OtherBag(BagOfEmbeddings):
    name = "other"


@pytest.mark.parametrize(
    "change",
    [
        {"num_classes": 4},
        {"num_classes": "many"},
        {"no_such_parameter": 1},
    ],
)
def test_a_folder_whose_parts_do_not_fit_together_is_refused(change: dict[str, Any], tmp_path: Path) -> None:
    BagOfEmbeddings(3).fit(TEXTS).save(tmp_path / "model")
    manifest = json.loads((tmp_path / "model" / MANIFEST).read_text())
    manifest["parameters"]["constructor"].update(change)
    (tmp_path / "model" / MANIFEST).write_text(json.dumps(manifest))

    with pytest.raises(ModelFolderError, match="damaged, or was (written|saved)"):
        BagOfEmbeddings.load(tmp_path / "model")


class Renames(plugin.BagOfEmbeddings):
    def __init__(self, num_classes: int, multi_label: bool = False, *, width: int = 3) -> None:
        super().__init__(num_classes, multi_label, num_epochs=1)
        self.units = width

    parameters_to_save = TorchClassifier.parameters_to_save


class KeepsAnything(plugin.BagOfEmbeddings):
    def __init__(self, num_classes: int, multi_label: bool = False, *, width: Any = None) -> None:
        super().__init__(num_classes, multi_label, num_epochs=1)
        self.width = width

    parameters_to_save = TorchClassifier.parameters_to_save


@pytest.mark.parametrize(
    ("classifier", "message"),
    [
        (Renames(3), r"Renames.__init__\(\) must keep its argument as self.width\."),
        (KeepsAnything(3, width=nn.ReLU()), r"The parameter width is ReLU\(\), which JSON cannot hold"),
        (KeepsAnything(3, width=[float("nan")]), r"The parameter width is \[nan\], which JSON cannot hold"),
    ],
)
def test_a_parameter_that_cannot_be_saved_is_named(classifier: Any, message: str, tmp_path: Path) -> None:
    classifier.fit(TEXTS)
    with pytest.raises(PluginError, match=message):
        classifier.save(tmp_path / "model")
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize("name", ["weights.pt", "vocabulary.pkl", "arrays/weights.npz", "code.py"])
def test_files_that_load_would_refuse_are_refused_by_save(name: str, tmp_path: Path) -> None:
    class Careless(plugin.BagOfEmbeddings):
        def save_encoder(self, encoder: Any, folder: Path) -> None:
            super().save_encoder(encoder, folder)
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_bytes(b"")

    former = BagOfEmbeddings(3).fit(TEXTS)
    former.save(tmp_path / "model")
    with pytest.raises(PluginError, match=rf"^Careless writes {name}, .* Write JSON or safetensors instead\.$"):
        Careless(3, num_epochs=1).fit(TEXTS).save(tmp_path / "model")
    again = smalltext_core.load(tmp_path / "model")
    assert same_bits(again.predict_proba(TEXTS), former.predict_proba(TEXTS))
