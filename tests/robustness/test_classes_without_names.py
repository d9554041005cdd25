"""Label names may name fewer classes than there are: the others come in later rounds of an active learner.

Each dataset has its own names, and a class number means the same class only if they agree.
"""

from __future__ import annotations

import csv

import pytest

import smalltext_scale
from robustness import backends
from smalltext_core import TextDataset, load
from smalltext_core.errors import InvalidInputError

TWO_NAMED = TextDataset(backends.TRAIN_SET.x, backends.TRAIN_SET.y % 2, label_names=("bad", "good"))
"""Texts of two classes, for classifiers of three."""


@pytest.mark.parametrize("name", backends.NAMES)
def test_a_model_with_fewer_names_than_classes_is_saved_and_loaded(name, tmp_path):
    classifier = backends.factory(name).new().fit(TWO_NAMED)
    classifier.save(tmp_path / "m")
    loaded = load(tmp_path / "m")
    assert loaded.num_classes == 3
    assert loaded.label_names_.names == ("bad", "good")
    assert (loaded.predict_proba(TWO_NAMED) == classifier.predict_proba(TWO_NAMED)).all()


@pytest.mark.parametrize("names", [("bad", "good"), ("2", "good")])
def test_the_command_names_the_other_classes_by_number(smalltext, tmp_path, names):
    texts = TextDataset(TWO_NAMED.x, TWO_NAMED.y, label_names=names)
    backends.factory("sklearn").new().fit(texts).save(tmp_path / "m")
    output = tmp_path / "out.csv"
    ended = smalltext("predict", tmp_path / "m", "--text", "a fine film", "--proba", "-o", output)
    assert ended.code == 0, ended.err
    with output.open(encoding="utf-8", newline="") as file:
        (row,) = csv.DictReader(file)
    third = "class 2" if "2" in names else "2"
    assert row["label"] in names
    assert [column.removeprefix("proba_") for column in row if column.startswith("proba_")] == [*names, third]


@pytest.mark.parametrize("name", backends.NAMES)
def test_a_scorer_names_the_other_classes_by_number(name, tmp_path):
    classifier = backends.factory(name).new().fit(TWO_NAMED)
    classifier.save(tmp_path / "m")
    scorer, texts = smalltext_scale.BatchScorer(tmp_path / "m", proba=True), list(TWO_NAMED.x)
    labels, proba = classifier.predict(TWO_NAMED, return_proba=True)
    scored = scorer({"text": texts})
    assert scored["label"] == [("bad", "good", "2")[number] for number in labels]
    assert scored["proba_2"] == proba[:, 2].tolist()
    streamed = list(scorer.predict_iter(texts))
    assert [found.label for found in streamed] == scored["label"]
    assert [list(found.proba) for found in streamed] == [["bad", "good", "2"]] * len(texts)


def test_a_folder_of_transformers_has_a_label_for_each_class(tmp_path):
    transformers = pytest.importorskip("transformers")
    backends.factory("transformers").new().fit(TWO_NAMED).save(tmp_path / "m")
    (folder,) = (path.parent for path in (tmp_path / "m").rglob("config.json"))
    config = transformers.AutoConfig.from_pretrained(folder)
    assert config.id2label == {0: "bad", 1: "good", 2: "LABEL_2"}


def test_an_exported_model_keeps_the_names_that_there_are(tmp_path):
    pytest.importorskip("onnx")
    from smalltext_onnx import export

    classifier = backends.factory("transformers").new().fit(TWO_NAMED)
    export(classifier, tmp_path / "exported")
    assert load(tmp_path / "exported").label_names_.names == ("bad", "good")


@pytest.mark.parametrize("name", backends.NETWORKS)
def test_a_validation_set_whose_classes_have_other_numbers_is_refused(name):
    texts = backends.TRAIN_SET.x
    train_set = TextDataset(texts, backends.TRAIN_SET.y, label_names=("bad", "good", "so-so"))
    classifier = backends.factory(name).new()
    unlike = TextDataset.from_labels(texts[:4], ["bad", "so-so"] * 2)  # so-so is class 1 here
    message = "got 'so-so' as the name of class 1; allowed: 'good', as in training"
    with pytest.raises(InvalidInputError, match=message):
        classifier.fit(train_set, validation_set=unlike)
    named_alike = TextDataset.from_labels(texts[:4], ["bad", "so-so"] * 2, label_names=train_set.label_names)
    classifier.fit(train_set, validation_set=named_alike)
    with pytest.raises(InvalidInputError, match=message):
        classifier.validate(unlike)
    unnamed = TextDataset(texts[:4], [0, 2] * 2)
    fewer_names = TextDataset(texts[:4], [0, 1] * 2, label_names=("bad", "good"))
    assert classifier.validate(named_alike) == classifier.validate(unnamed)
    assert len(classifier.validate(fewer_names)) == 2


@pytest.mark.parametrize("name", [name for name in backends.NETWORKS if name != "setfit"])
def test_a_warm_start_from_classes_with_other_numbers_is_refused(name):
    classifier = backends.factory(name, warm_start=True).new().fit(TWO_NAMED)
    before = classifier.predict_proba(TWO_NAMED)
    texts, y = backends.TRAIN_SET.x, backends.TRAIN_SET.y
    with pytest.raises(InvalidInputError, match="got 'fair' as the name of class 1; allowed: 'good'"):
        classifier.fit(TextDataset(texts, y, label_names=("bad", "fair", "good")))
    assert (classifier.predict_proba(TWO_NAMED) == before).all()
    classifier.fit(TextDataset(texts, y, label_names=("bad", "good", "fair")))
    assert classifier.label_names_.names == ("bad", "good", "fair")
