"""An exported model where it is used: without torch, by any caller, with the rules of predictions kept."""

from __future__ import annotations

import copy
import json
import pickle
import subprocess
import sys

import numpy as np
import pytest

import smalltext_core as st
from onnx_backend.conftest import TEXTS
from smalltext_core import Classifier, ProbabilisticClassifier, TextDataset
from smalltext_core.errors import InvalidInputError, ModelFolderError, UnsupportedError
from smalltext_core.factory import ConstructorFactory
from smalltext_core.saving import model_folder
from smalltext_onnx import OnnxClassifier
from smalltext_testing import run_checks
from smalltext_transformers import TransformerBasedClassification, TransformersDataset
from transformers_backend.tiny_models import tiny_model, tiny_tokenizer

pytestmark = pytest.mark.filterwarnings("ignore:.* have more than .* tokens")

WITHOUT_TORCH = """
import json, sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        blocked = "torch transformers sentence_transformers setfit sklearn smalltext_torch onnx".split()
        if name.partition(".")[0] in blocked:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Blocker())
import smalltext_core as st
model = st.load(sys.argv[1])
texts = st.TextDataset(json.load(sys.stdin))
labels, proba = model.predict(texts, return_proba=True)
print(json.dumps({"labels": labels.tolist(), "proba": proba.tolist(), "names": model.label_names_.names}))
"""


def test_a_loaded_one_gives_the_same_bits(exported, folder):
    loaded = st.load(folder)
    np.testing.assert_array_equal(loaded.predict_proba(TEXTS), exported.predict_proba(TEXTS))
    assert loaded.label_names_ == exported.label_names_
    assert loaded.settings == exported.settings
    assert repr(loaded) == "OnnxClassifier('TransformerBasedClassification', num_classes=3)"


def test_it_predicts_where_nothing_but_onnxruntime_and_tokenizers_can_be_imported(fitted, folder):
    texts = json.dumps(list(TEXTS.x))
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", WITHOUT_TORCH, folder],
        input=texts,
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(done.stdout)
    labels, proba = fitted.predict(TEXTS, return_proba=True)
    assert found["labels"] == labels.tolist()
    np.testing.assert_allclose(found["proba"], proba, atol=1e-5)
    assert found["names"] == list(fitted.label_names_.names)


def test_a_saved_one_can_be_saved_again(folder, tmp_path):
    st.load(folder).save(tmp_path / "again")
    assert (tmp_path / "again" / "smalltext.json").read_bytes() == (folder / "smalltext.json").read_bytes()


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))])
def test_copies_and_pickles_predict_the_same(copied, exported):
    expected = exported.predict_proba(TEXTS)
    np.testing.assert_array_equal(copied(exported).predict_proba(TEXTS), expected)


def test_no_text_and_one_text(exported):
    assert exported.predict_proba(TextDataset([])).shape == (0, 3)
    np.testing.assert_allclose(
        exported.predict_proba(TextDataset(TEXTS.x[:1])), exported.predict_proba(TEXTS)[:1], atol=1e-6
    )


def test_threads_are_those_of_the_caller_or_of_the_environment(folder, monkeypatch):
    expected = st.load(folder, threads=1).predict_proba(TEXTS)
    monkeypatch.setenv("OMP_NUM_THREADS", "2,1")
    loaded = st.load(folder)
    assert loaded._runtime.threads == 2
    np.testing.assert_allclose(loaded.predict_proba(TEXTS), expected, atol=1e-6)
    monkeypatch.delenv("OMP_NUM_THREADS")
    assert loaded._runtime.threads == 0
    with pytest.raises(InvalidInputError, match="threads: "):
        st.load(folder, threads=0)


def test_it_is_not_among_the_classifiers_that_can_be_trained(exported):
    assert "onnx" not in st.classifiers()
    assert st.classifier_spec("onnx").resolve("classifier") is OnnxClassifier
    for attempt in (lambda: st.create_classifier("onnx", 2), lambda: exported.fit(TEXTS)):
        with pytest.raises(UnsupportedError, match="cannot be trained. Train the classifier that it was exported"):
            attempt()


def test_it_takes_plain_texts_alone(exported):
    encoded = TransformersDataset.from_texts(TEXTS.x[:2], None, tiny_tokenizer())
    with pytest.raises(InvalidInputError, match="data_set: got a TransformersDataset; allowed: a TextDataset"):
        exported.predict_proba(encoded)


def test_texts_that_are_cut_are_counted(exported):
    with pytest.warns(UserWarning, match="1 of 2 texts have more than 64 tokens"):
        exported.predict_proba(TextDataset(["goal " * 100, "goal"]))


def test_the_folder_of_another_classifier_is_not_loaded_as_one(tmp_path):
    writer = {"classifier": "sklearn", "distribution": "smalltext-sklearn", "version": "0.1.0"}
    with model_folder(tmp_path / "model", **writer, parameters={}):
        pass
    with pytest.raises(ModelFolderError, match="holds a 'sklearn' classifier; use smalltext_core.load"):
        OnnxClassifier.load(tmp_path / "model")


class ExportedAfterFit(ProbabilisticClassifier, Classifier):
    """A classifier that is exported whenever it was trained, for the checks of predictions."""

    def __init__(self, num_classes, multi_label=False):
        self.num_classes, self.multi_label = num_classes, multi_label
        self.exported = None

    def fit(self, train_set, weights=None):
        parameters = {"num_epochs": 12, "mini_batch_size": 4, "lr": 0.01, "seed": 1}
        model = tiny_model(num_hidden_layers=1)
        trained = TransformerBasedClassification(model, self.num_classes, self.multi_label, **parameters)
        self.exported = OnnxClassifier.from_classifier(trained.fit(train_set, weights=weights))
        return self

    def predict_proba(self, data_set):
        return self.exported.predict_proba(data_set)


PREDICTIONS = (
    *("check_probabilities_are_dense_float32", "check_probabilities_lie_between_zero_and_one"),
    *("check_single_label_rows_sum_to_one", "check_multi_label_probabilities_are_not_thresholded"),
    *("check_multi_label_columns_are_independent", "check_column_k_is_class_k"),
    *("check_single_label_predictions_are_int32", "check_multi_label_predictions_are_csr"),
    *("check_predictions_agree_with_probabilities", "check_return_proba_gives_the_same_results"),
    *("check_no_texts_give_empty_results", "check_one_text_works", "check_unusual_texts_can_be_labelled"),
    *("check_neighbours_do_not_matter", "check_results_come_back_in_order", "check_batch_size_does_not_matter"),
    *("check_predictions_are_made_in_evaluation_mode", "check_none_among_texts_is_refused"),
)


@pytest.mark.parametrize("multi_label", [False, True], ids=["single-label", "multi-label"])
def test_the_rules_of_predictions_are_kept(multi_label):
    factory = ConstructorFactory(ExportedAfterFit, 3, multi_label=multi_label)
    results = list(run_checks(factory, only=PREDICTIONS))
    assert [f"{one.check.name}: {one.seen}" for one in results if one.status == "failed"] == []
    assert sum(one.status == "passed" for one in results) >= len(PREDICTIONS) - 5
