"""Unused networks are freed immediately, without a garbage collection."""

from __future__ import annotations

import copy
import gc
import pickle
import weakref

import pytest

import smalltext_core as st
from smalltext_core import TextDataset, list_to_csr
from smalltext_setfit import SetFitClassification
from smalltext_testing.sample_data import training_texts


@pytest.fixture(autouse=True)
def nobody_collects_garbage(monkeypatch):
    gc.disable()
    monkeypatch.setattr(gc, "collect", lambda *_: 0)
    yield
    gc.enable()


def body_of(classifier):
    return weakref.ref(classifier.model.body)


@pytest.mark.parametrize("num_epochs", [0, 1])
def test_a_network_is_freed_with_its_classifier(make, topics, num_epochs):
    classifier = make(trainer_kwargs={"num_epochs": num_epochs}).fit(topics)
    classifier.predict_proba(topics, dropout_sampling=2)
    body = body_of(classifier)
    del classifier
    assert body() is None


def test_a_network_is_freed_when_it_is_replaced(make, topics):
    classifier = make().fit(topics)
    body = body_of(classifier)
    classifier.fit(topics)
    assert body() is None


def test_a_network_without_training_pairs_is_freed_as_well(make):
    classifier = make(multi_label=True).fit(TextDataset(["one text"], list_to_csr([[0]], num_classes=2)))
    body = body_of(classifier)
    del classifier
    assert body() is None


def test_a_network_of_failed_training_is_freed(make, topics, monkeypatch):
    bodies = []

    def failing(classifier, y, weights):
        raise MemoryError

    fitted = make().fit(topics)
    monkeypatch.setattr(
        "smalltext_setfit.classifier.load_pretrained_body",
        lambda *_: bodies.append(weakref.ref(body := copy.deepcopy(fitted.model).body)) or body,
    )
    monkeypatch.setattr(SetFitClassification, "_head_targets", failing)
    with pytest.raises(MemoryError):
        make().fit(topics)
    assert bodies[0]() is None


@pytest.mark.parametrize(
    "again",
    [copy.deepcopy, lambda classifier: pickle.loads(pickle.dumps(classifier))],
    ids=["deepcopy", "pickle"],
)
def test_an_unused_copy_is_freed(fitted, again):
    twin = again(fitted)
    body = body_of(twin)
    del twin
    assert body() is None


def test_an_unused_loaded_classifier_is_freed(fitted, tmp_path):
    fitted.save(tmp_path / "saved")
    loaded = st.load(tmp_path / "saved")
    loaded.predict(training_texts(2, multi_label=False))
    body = body_of(loaded)
    del loaded
    assert body() is None


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy], ids=["fitted", "copied"])
def test_sentence_transformers_can_still_describe_the_network(fitted, tmp_path, again):
    again(fitted).model.body.save(str(tmp_path / "body"))
    assert "32 dimensions" in (tmp_path / "body" / "README.md").read_text(encoding="utf-8")
