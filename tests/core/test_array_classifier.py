from __future__ import annotations

import importlib.metadata
import json

import numpy as np
import pytest

import smalltext_core as st
from core.majority import Majority
from smalltext_core.errors import InvalidInputError, ModelFolderError, NotFittedError, PluginError
from smalltext_testing import check_classifier

TEXTS = st.TextDataset.from_labels(["a fine film", "a dull film", "dull"], ["good", "bad", "bad"])

NOT_INSTALLED = dict.fromkeys(
    [
        "check_saved_model_loads_in_new_process",
        "check_label_names_are_saved",
        "check_calibration_and_thresholds_are_saved",
    ],
    "the class is no plugin's, so smalltext_core.load does not find it",
)


@pytest.mark.parametrize(("multi_label", "sharpness"), [(False, 1.0), (True, 0.5)])
def test_two_methods_pass_the_conformance_kit(multi_label, sharpness):
    factory = st.ConstructorFactory(Majority, 3, multi_label=multi_label, sharpness=sharpness)
    results = check_classifier(factory, expected_failures=NOT_INSTALLED)
    assert {result.status for result in results} <= {"passed", "skipped", "expected failure"}


def test_targets_are_the_same_matrix_for_both_kinds_of_problems():
    classifier = Majority(2).fit(TEXTS)
    texts, targets, weights = classifier.seen
    assert texts == list(TEXTS.x)
    assert targets.tolist() == [[0.0, 1.0], [1.0, 0.0], [1.0, 0.0]]
    assert weights.tolist() == [1.0, 1.0, 1.0]
    several = st.TextDataset(TEXTS.x, st.list_to_csr([[0, 1], [], [1]], 2))
    assert Majority(2, multi_label=True).fit(several).seen[1].tolist() == [[1.0, 1.0], [0.0, 0.0], [0.0, 1.0]]


def test_texts_without_weight_are_left_out():
    texts, _, weights = Majority(2).fit(TEXTS, weights=[2, 0, 1]).seen
    assert (texts, weights.tolist()) == ([TEXTS.x[0], TEXTS.x[2]], [4 / 3, 2 / 3])


def test_all_texts_are_scored_by_one_model_if_it_is_trained_meanwhile():
    class TrainedMeanwhile(Majority):
        def probabilities(self, learned, texts):
            found = super().probabilities(learned, texts)
            self.fit(TEXTS[[0, 1]])  # as another thread might
            return found

    proba = TrainedMeanwhile(2).fit(TEXTS).predict_proba(st.TextDataset(["?"] * 2500))
    assert (proba == proba[0]).all()
    assert proba[0].tolist() == pytest.approx([2 / 3, 1 / 3])


def test_many_texts_are_scored_in_parts():
    sizes = []

    class Counts(Majority):
        def probabilities(self, learned, texts):
            sizes.append(len(texts))
            return super().probabilities(learned, texts)

    proba = Counts(2).fit(TEXTS).predict_proba(st.TextDataset(["?"] * 2500))
    assert proba.shape == (2500, 2)
    assert max(sizes) <= 1000


def test_a_failing_learn_keeps_the_previous_model():
    classifier = Majority(2).fit(TEXTS)
    before = classifier.predict_proba(TEXTS)
    classifier.learn = lambda *_: 1 / 0
    with pytest.raises(ZeroDivisionError):
        classifier.fit(TEXTS[:2])
    assert (classifier.predict_proba(TEXTS) == before).all()


def test_it_is_saved_and_loaded_with_its_parameters_and_names(tmp_path):
    classifier = Majority(2, sharpness=0.5).fit(TEXTS)
    classifier.save(tmp_path / "model")
    again = Majority.load(tmp_path / "model")
    assert again.sharpness == 0.5
    assert again.label_names_ == TEXTS.label_names
    assert again.predict_proba(TEXTS).tobytes() == classifier.predict_proba(TEXTS).tobytes()
    manifest = json.loads((tmp_path / "model" / "smalltext.json").read_text("utf-8"))
    assert manifest["version"] == importlib.metadata.version("smalltext-core")
    assert sorted(manifest["files"]) == ["shares.npy"]


def test_the_folder_of_another_class_is_refused(tmp_path):
    class Other(Majority):
        name = "other"

    Other(2).fit(TEXTS).save(tmp_path / "model")
    with pytest.raises(ModelFolderError, match="holds a 'other' classifier, not 'majority'"):
        Majority.load(tmp_path / "model")


def test_saving_before_fitting_is_refused(tmp_path):
    with pytest.raises(NotFittedError):
        Majority(2).save(tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_a_dataset_of_another_kind_is_refused_by_name():
    class Numbers(st.Dataset):
        _count = _select = None

    numbers = object.__new__(Numbers)
    with pytest.raises(InvalidInputError, match="data_set: got a Numbers; allowed: a TextDataset"):
        Majority(2).fit(TEXTS).predict_proba(numbers)


@pytest.mark.parametrize(
    ("learned", "said"),
    [
        (None, r"learn\(\) gave a NoneType, not a dict"),
        ({"shares": [1.0]}, "gave list as 'shares'"),
        ({"shares": np.array([{}])}, "gave an array of object as 'shares'"),
        ({"../shares": np.ones(2)}, r"calls an array '\.\./shares'"),
    ],
)
def test_models_that_cannot_be_saved_are_refused_in_training(learned, said):
    classifier = Majority(2)
    classifier.learn = lambda *_: learned
    with pytest.raises(PluginError, match=said):
        classifier.fit(TEXTS)


def test_probabilities_of_another_shape_are_refused():
    classifier = Majority(2).fit(TEXTS)
    classifier.probabilities = lambda _, texts: np.ones((2, len(texts)))
    with pytest.raises(PluginError, match=r"gave shape \(2, 3\), not a row for each text.*\(3, 2\)"):
        classifier.predict_proba(TEXTS)


@pytest.mark.parametrize(
    ("attributes", "said"),
    [
        ({"sharpness": object()}, "self.sharpness .* JSON cannot hold"),
        ({"sharpness": float("nan")}, "self.sharpness .* JSON cannot hold"),
        ({"sharpness": None}, None),
    ],
)
def test_a_parameter_that_json_cannot_hold_is_named(attributes, said, tmp_path):
    classifier = Majority(2).fit(TEXTS)
    vars(classifier).update(attributes)
    if said is None:
        classifier.save(tmp_path / "model")
        return
    with pytest.raises(PluginError, match=said):
        classifier.save(tmp_path / "model")


def test_a_parameter_that_was_not_stored_is_named(tmp_path):
    class Forgets(Majority):
        def __init__(self, num_classes, multi_label=False, *, alpha=1.0):
            super().__init__(num_classes, multi_label)

    with pytest.raises(PluginError, match=r"Forgets.__init__\(\) has to keep its argument as self.alpha"):
        Forgets(2).fit(TEXTS).save(tmp_path / "model")


def test_saving_a_class_without_a_name_raises(tmp_path):
    class Nameless(st.ArrayClassifier):
        learn, probabilities = Majority.learn, Majority.probabilities
        sharpness = 1.0

    with pytest.raises(PluginError, match="The class Nameless lacks the attribute 'name'"):
        Nameless(2).fit(TEXTS).save(tmp_path / "model")


def test_a_class_without_the_two_methods_cannot_be_instantiated():
    class Nothing(st.ArrayClassifier):
        pass

    with pytest.raises(TypeError, match="learn"):
        Nothing(2)
