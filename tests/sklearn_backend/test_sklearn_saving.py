"""Saving with skops: bitwise identical, small, and safe with untrusted folders."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import types
import zipfile
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import MaxAbsScaler
from sklearn.svm import LinearSVC
from sklearn.utils import all_estimators
from skops.io._trusted_types import SKLEARN_ESTIMATOR_TYPE_NAMES
from skops.io._utils import get_type_name

import smalltext_core as st
from smalltext_core.errors import InvalidInputError, ModelFolderError, NotFittedError, UntrustedModelError
from smalltext_core.saving import MANIFEST, read_manifest
from smalltext_sklearn import SklearnClassifier, SklearnDataset, _saving


class Majority(ClassifierMixin, BaseEstimator):
    """A custom estimator that skops does not know."""

    def fit(self, x, y):
        self.classes_, counts = np.unique(y, return_counts=True)
        self.share_ = counts / counts.sum()
        return self

    def predict_proba(self, x):
        return np.tile(self.share_, (x.shape[0], 1))


@pytest.mark.parametrize(
    "estimator",
    [
        LogisticRegression(),
        LinearSVC(),
        RandomForestClassifier(n_estimators=5),
        GradientBoostingClassifier(n_estimators=3),
        KNeighborsClassifier(),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
@pytest.mark.parametrize("multi_label", [False, True], ids=["single-label", "multi-label"])
def test_loaded_models_have_bitwise_identical_probabilities(estimator, multi_label, topics, tagged, tmp_path):
    data, num_classes = (tagged, 6) if multi_label else (topics, 3)
    classifier = SklearnClassifier(estimator, num_classes, multi_label, seed=1).fit(data)
    classifier.save(tmp_path / "model")
    assert_array_equal(st.load(tmp_path / "model").predict_proba(data), classifier.predict_proba(data))


@pytest.mark.parametrize(
    "vectorizer",
    [
        TfidfVectorizer(analyzer="char_wb", ngram_range=(1, 3)),
        HashingVectorizer(n_features=128),
        make_pipeline(CountVectorizer(), MaxAbsScaler()),
        make_union(CountVectorizer(), TfidfVectorizer(analyzer="char")),
        CountVectorizer(vocabulary=["goal", "bank", "song"]),
    ],
    ids=["char", "hashing", "pipeline", "union", "fixed vocabulary"],
)
def test_any_vectorizer_can_be_saved(vectorizer, topics, tmp_path):
    classifier = SklearnClassifier(LogisticRegression(), 3, vectorizer=vectorizer).fit(topics)
    classifier.save(tmp_path / "model")
    assert_array_equal(st.load(tmp_path / "model").predict_proba(topics), classifier.predict_proba(topics))


def test_saving_leaves_the_classifier_unchanged(topics, tmp_path):
    classifier = SklearnClassifier(LogisticRegression(), 3).fit(topics)
    before = classifier.predict_proba(topics)
    classifier.save(tmp_path / "model")
    assert_array_equal(classifier.predict_proba(topics), before)


def test_parameters_and_names_are_restored_and_the_model_can_be_refitted(topics, tmp_path):
    classifier = SklearnClassifier(LogisticRegression(C=3), 3, class_weight={"sport": 2.0}, seed=5).fit(topics)
    classifier.save(tmp_path / "model")
    again = st.load(tmp_path / "model")
    assert (again.seed, again.class_weight, again.model.C) == (5, {"sport": 2.0}, 3)
    assert again.label_names_.names == ("sport", "money", "music")
    assert_array_equal(again.fit(topics).predict_proba(topics), classifier.predict_proba(topics))


def test_a_classifier_of_features_can_be_saved(topics, tmp_path):
    features = SklearnDataset.from_texts(topics.x, topics.y, CountVectorizer())
    classifier = SklearnClassifier(LogisticRegression(), 3).fit(features)
    classifier.save(tmp_path / "model")
    assert_array_equal(st.load(tmp_path / "model").predict_proba(features), classifier.predict_proba(features))


def test_words_in_any_script_can_be_saved(tmp_path):
    texts = st.TextDataset(["Füße 足 ноги", "\ud83d αβγ قدم", "רגל नमस्ते"], [0, 1, 0])
    classifier = SklearnClassifier(LogisticRegression(), 2).fit(texts)
    classifier.save(tmp_path / "model")
    assert st.load(tmp_path / "model").vectorizer_.vocabulary_ == classifier.vectorizer_.vocabulary_


def test_a_large_vocabulary_stays_small_on_disk(tmp_path):
    rng = np.random.default_rng(0)
    texts = [" ".join(f"w{word}" for word in rng.integers(0, 20_000, 60)) for _ in range(400)]
    classifier = st.create_classifier("sklearn", 2).fit(st.TextDataset(texts, rng.integers(0, 2, 400)))
    classifier.save(tmp_path / "model")
    words = len(classifier.vectorizer_.vocabulary_)
    size = sum(path.stat().st_size for path in (tmp_path / "model").iterdir())
    assert words > 25_000
    assert size < 60 * words


def test_saving_before_fitting_is_refused(tmp_path):
    with pytest.raises(NotFittedError):
        SklearnClassifier(LogisticRegression(), 3).save(tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def strangers_folder(topics, tmp_path):
    SklearnClassifier(Majority(), 3).fit(topics).save(tmp_path / "model")
    return tmp_path / "model"


def test_an_unexpected_type_is_refused_by_name(strangers_folder):
    with pytest.raises(UntrustedModelError, match=r"types that are not trusted: .*Majority.*trusted="):
        st.load(strangers_folder)


def test_a_type_that_the_caller_names_is_loaded(strangers_folder, topics, monkeypatch):
    monkeypatch.setitem(sys.modules, Majority.__module__, sys.modules.get(__name__) or types.ModuleType(__name__))
    monkeypatch.setattr(sys.modules[Majority.__module__], "Majority", Majority, raising=False)
    name = f"{Majority.__module__}.Majority"
    assert st.load(strangers_folder, trusted=[name]).predict_proba(topics).shape == (len(topics), 3)


@pytest.mark.parametrize(
    "trusted",
    [5, np.array("a.name"), "a.name", b"a.name", [5], [None], object(), True],
    ids=lambda trusted: f"{type(trusted).__name__} {str(trusted)[:8]}",
)
def test_names_of_trusted_types_are_a_list_of_strings(strangers_folder, trusted):
    with pytest.raises(InvalidInputError, match="trusted"):
        st.load(strangers_folder, trusted=trusted)


def sign_again(folder):
    """Update the hashes in the manifest for the changed files, like an attacker."""
    manifest = json.loads((folder / MANIFEST).read_text())
    for name in manifest["files"]:
        manifest["files"][name] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    (folder / MANIFEST).write_text(json.dumps(manifest))


def test_an_invalid_skops_file_is_refused(topics, tmp_path):
    SklearnClassifier(LogisticRegression(), 3).fit(topics).save(tmp_path / "model")
    (tmp_path / "model" / "model.skops").write_bytes(b"PK not really")
    sign_again(tmp_path / "model")
    with pytest.raises(ModelFolderError, match="cannot be read"):
        st.load(tmp_path / "model")


@pytest.mark.parametrize("content", ["[]", "[null, null]", '{"a": 1}', "[[1, 2]]", "not JSON"])
def test_a_vocabulary_that_does_not_fit_is_refused(content, topics, tmp_path):
    SklearnClassifier(LogisticRegression(), 3).fit(topics).save(tmp_path / "model")
    (tmp_path / "model" / "vocabulary.json").write_text(content)
    sign_again(tmp_path / "model")
    with pytest.raises(ModelFolderError):
        st.load(tmp_path / "model").predict(topics)


def test_a_tree_with_indices_out_of_range_is_refused(topics, tmp_path, monkeypatch):
    monkeypatch.setattr(_saving, "sample_proba", lambda *arguments: None)  # it would never end
    classifier = SklearnClassifier(RandomForestClassifier(n_estimators=2), 3, seed=1).fit(topics)
    classifier.model_.estimators_[1].tree_.children_left[0] = 10_000
    classifier.save(tmp_path / "model")
    with pytest.raises(ModelFolderError, match="a decision tree that is not sound"):
        st.load(tmp_path / "model")


def with_losses_of(module, folder):
    """Name the module of losses as another version of scikit-learn does."""
    path = folder / "model.skops"
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    found = re.compile(rb'"__module__": "(?:sklearn\._loss\.)?_loss"')
    members["schema.json"], count = found.subn(b'"__module__": "%s"' % module.encode(), members["schema.json"])
    assert count
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    sign_again(folder)


@pytest.mark.parametrize("module", ["_loss", "sklearn._loss._loss"])
@pytest.mark.parametrize(
    "estimator",
    [GradientBoostingClassifier(n_estimators=3), SGDClassifier(loss="log_loss")],
    ids=lambda estimator: type(estimator).__name__,
)
def test_losses_are_loaded_by_either_name_and_only_from_scikit_learn(
    estimator, module, topics, tmp_path, monkeypatch
):
    """Versions before 1.8 name the module `_loss`, which could also be a file on the import path."""
    classifier = SklearnClassifier(estimator, 3, seed=1).fit(topics)
    classifier.save(tmp_path / "model")
    with_losses_of(module, tmp_path / "model")
    (tmp_path / "_loss.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "_loss", raising=False)
    assert_array_equal(st.load(tmp_path / "model").predict_proba(topics), classifier.predict_proba(topics))
    assert "_loss" not in sys.modules


def test_losses_are_found_by_every_thread_that_loads_a_model(topics, tmp_path, monkeypatch):
    monkeypatch.delitem(sys.modules, "_loss", raising=False)
    SklearnClassifier(SGDClassifier(loss="log_loss"), 3, seed=1).fit(topics).save(tmp_path / "model")
    with_losses_of("_loss", tmp_path / "model")
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(st.load, [tmp_path / "model"] * 24))
    assert "_loss" not in sys.modules


def test_a_module_of_the_user_called_like_that_of_losses_remains(topics, tmp_path, monkeypatch):
    own = types.ModuleType("_loss")
    monkeypatch.setitem(sys.modules, "_loss", own)
    SklearnClassifier(SGDClassifier(loss="log_loss"), 3, seed=1).fit(topics).save(tmp_path / "model")
    st.load(tmp_path / "model")
    assert sys.modules["_loss"] is own


def test_the_folder_holds_json_and_skops_and_no_pickle(topics, tmp_path):
    SklearnClassifier(LogisticRegression(), 3).fit(topics).save(tmp_path / "model")
    assert set(read_manifest(tmp_path / "model").files) == {"model.skops", "vocabulary.json"}
    with zipfile.ZipFile(tmp_path / "model" / "model.skops") as archive:
        assert {name.rpartition(".")[2] for name in archive.namelist()} <= {"json", "npy", "npz"}


LOAD = """
import sys
import smalltext_core as st

st.load(sys.argv[1]).predict(st.TextDataset(["a text"]))
assert not {"torch", "cupy", "dask"} & sys.modules.keys()
assert None not in sys.modules.values()

try:
    import torch
except ImportError:
    sys.exit(0)
"""


def test_skops_knows_all_estimators():
    found = {get_type_name(estimator) for _, estimator in all_estimators()}
    ready = {name for name in found if name.startswith("sklearn.") and "_successive_halving" not in name}
    assert ready == {*SKLEARN_ESTIMATOR_TYPE_NAMES}, "all but those that scikit-learn calls experimental"


def test_no_other_library_is_imported_to_load_a_model(topics, tmp_path):
    """In an environment with a torch that says when it is imported."""
    (tmp_path / "libraries" / "torch").mkdir(parents=True)
    (tmp_path / "libraries" / "torch" / "__init__.py").write_text(
        "print('torch was imported')\nraise ImportError\n"
    )
    SklearnClassifier(LogisticRegression(), 3).fit(topics).save(tmp_path / "model")
    path = os.pathsep.join([str(tmp_path / "libraries"), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-c", LOAD, str(tmp_path / "model")],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "torch was imported\n"  # at the end
