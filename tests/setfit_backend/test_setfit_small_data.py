"""Automatic choices of training: steps, learning rate, regularisation, temperature, thresholds."""

from __future__ import annotations

import json
import logging
import shutil

import numpy as np
import pytest
import torch
from transformers import TrainerCallback

from setfit_backend.conftest import QUICK
from setfit_backend.tiny_sentence_transformers import tiny_sentence_transformer
from smalltext_core import TextDataset, create_classifier, list_to_csr, load
from smalltext_core.calibration import fit_temperature, prior_temperature
from smalltext_core.errors import InvalidInputError, ModelFolderError
from smalltext_setfit import SetFitClassification
from smalltext_setfit._head import BOUNDS, HeadSettings, HeadTargets, calibrated, fit_head, logits_of
from smalltext_setfit.training_args import AUTO_STEPS, PRETRAINED_SHARE, HeadTrainingArgs, TrainingArgs
from smalltext_torch.device import Randomness
from smalltext_torch.inference import Loss

ARGS = HeadTrainingArgs(1, 0.1, 0.0)


class Steps(TrainerCallback):
    """Counts optimizer steps, and records the learning rates."""

    def __init__(self):
        self.count = 0

    def on_step_end(self, *_, **__):
        self.count += 1


def many(texts):
    """Return distinct labelled texts of two topics."""
    words = [["goal", "team", "match"], ["oven", "butter", "onion"]]
    y = np.arange(texts) % 2
    return TextDataset([f"{words[k][i % 3]} {words[k][i // 2 % 3]} {i}" for i, k in enumerate(y)], y)


def some_labels():
    """Return texts of any number of three classes."""
    rows = [[0], [0, 1], [], [1], [2]] * 8
    words = {0: "goal team", 1: "oven butter", 2: "star film"}
    texts = [" ".join([*(words[k] for k in row), str(i)]) for i, row in enumerate(rows)]
    return TextDataset(texts, list_to_csr(rows, num_classes=3))


@pytest.fixture
def labels():
    return some_labels()


def steps_of(min_steps=0, batches=4, **given):
    return TrainingArgs(**given).num_steps(batches, min_steps)


def test_steps_are_those_of_the_epochs_unless_min_steps_is_greater():
    assert [steps_of(), steps_of(num_epochs=3), steps_of(10), steps_of(10, num_epochs=3)] == [4, 12, 10, 12]


def test_max_steps_and_no_epochs_take_precedence_over_min_steps():
    assert [steps_of(10, max_steps=3), steps_of(10, num_epochs=0), steps_of(10, batches=0)] == [3, 0, 0]


def test_automatic_steps_are_the_same_however_many_batches_there_are():
    assert [steps_of("auto", batches=batches) for batches in (1, 999)] == [AUTO_STEPS, AUTO_STEPS]


def test_explicit_training_lengths_take_precedence_over_automatic_steps():
    assert steps_of("auto", num_epochs=2) == 8
    assert steps_of("auto", num_iterations=1) == 4
    assert steps_of("auto", max_steps=7) == 7


def test_training_makes_min_steps(make, topics):
    steps = Steps()
    make(min_steps=17, trainer_kwargs={"callbacks": [steps]}).fit(topics)
    assert steps.count == 17


def body_weights(classifier):
    return torch.cat([weight.detach().ravel() for weight in classifier.model.body.parameters()])


def test_the_weights_are_averaged_with_those_before_training(make, topics):
    trained, average, before = (
        body_weights(make(min_steps=5, pretrained_share=share).fit(topics)) for share in (0.0, 0.25, 1.0)
    )
    torch.testing.assert_close(average, 0.75 * trained + 0.25 * before)
    assert (trained != before).any()
    untrained = make(trainer_kwargs={"num_epochs": 0}).fit(topics)
    torch.testing.assert_close(before, body_weights(untrained), rtol=0, atol=0)


@pytest.mark.parametrize(("dimensions", "rate"), [(384, 1e-4), (768, 4e-5), (1024, 2e-5)])
def test_the_automatic_learning_rate_falls_with_the_size_of_the_encoder(dimensions, rate):
    automatic = TrainingArgs(body_learning_rate="auto").for_encoder(dimensions)
    assert automatic.body_learning_rates == (rate, rate / 2)
    assert TrainingArgs().for_encoder(dimensions).body_learning_rates == (2e-5, 1e-5)


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        *(("min_steps", -1), ("min_steps", 1.5), ("min_steps", "many"), ("calibration", "always")),
        *(("validation_set_size", 1), ("validation_set_size", "half"), ("multi_label_threshold", [0.5])),
        *(("pretrained_share", 1.5), ("pretrained_share", "auto")),
    ],
)
def test_other_values_are_refused(make, argument, value):
    with pytest.raises(InvalidInputError, match=f"^{argument}: "):
        make(**{argument: value})


def test_automatic_choices_are_the_defaults_only_by_name(make):
    automatic = create_classifier("setfit", 2, model=tiny_sentence_transformer())
    names = ("min_steps", "calibration", "validation_set_size", "multi_label_threshold")
    assert {getattr(automatic, name) for name in names} == {"auto"}
    assert automatic.model_kwargs["head_params"] == {"C": "auto"}
    assert automatic.trainer_kwargs["body_learning_rate"] == "auto"
    assert automatic.pretrained_share == PRETRAINED_SHARE
    plain = make()
    assert plain.pretrained_share == 0
    assert [getattr(plain, name) for name in names] == [0, "none", 0, 0.5]
    assert plain.model_kwargs == {}


def test_by_name_a_parameter_of_the_head_can_be_set():
    model = tiny_sentence_transformer()
    for given, differentiable in [({"C": 3.0, "tol": 1e-3}, False), ({"temperature": 2.0}, True)]:
        parameters = {"head_params": given, "use_differentiable_head": differentiable}
        classifier = create_classifier("setfit", 2, model=model, **parameters)
        assert classifier.model_kwargs["head_params"] == given


def test_the_automatic_c_gives_the_same_logits_at_any_scale_of_the_embeddings():
    rng = np.random.default_rng(0)
    y = np.arange(24) % 2
    embeddings = (rng.normal(size=(24, 8)) + y[:, None]).astype(np.float32)
    targets, settings = HeadTargets(y, None, Loss(multi_label=False)), HeadSettings(2, False, {"C": "auto"}, 16)
    logits = []
    for scaled in (embeddings, 0.01 * embeddings + 3):
        head = fit_head(scaled, targets, settings, ARGS, Randomness(0, torch.device("cpu")))
        logits.append(logits_of(head, scaled))
    np.testing.assert_allclose(logits[0], logits[1], atol=1e-3)


def test_classes_with_few_texts_are_not_taken_for_a_regression_problem(recwarn):
    y = np.arange(40) % 30
    embeddings = np.random.default_rng(0).normal(size=(40, 8)).astype(np.float32)
    targets = HeadTargets(y, None, Loss(multi_label=False))
    fit_head(embeddings, targets, HeadSettings(30, False, {}, 16), ARGS, Randomness(0, torch.device("cpu")))
    assert not [warning for warning in recwarn if "regression problem" in str(warning.message)]


def test_a_calibrated_head_has_the_calibrated_logits_also_where_they_are_infinite():
    head = torch.nn.Linear(2, 3)
    with torch.no_grad():
        head.weight[2], head.bias[2] = 0, -torch.inf
    embeddings = np.ones((1, 2), dtype=np.float32)
    calibration = prior_temperature(2.0)
    found = logits_of(calibrated(head, calibration), embeddings)
    np.testing.assert_allclose(found, calibration.apply(logits_of(head, embeddings)), rtol=1e-6)


def test_the_temperature_is_fitted_to_texts_that_are_not_trained_on(make):
    texts = many(60)
    classifier = make(calibration="auto", validation_set_size=0.5).fit(texts)
    assert classifier.calibration_.n_texts == 30
    before, after = classifier.calibration_.log_loss
    assert after <= before + 1e-6
    assert make().fit(texts).calibration_ is None


def test_with_a_validation_set_it_has_the_temperature_and_all_texts_are_trained_on(make):
    texts, validation_set = many(60), many(41)
    given = {"calibration": "auto", "validation_set_size": 0.5}
    classifier = make(**given).fit(texts, validation_set=validation_set)
    assert classifier.calibration_.n_texts == 41
    assert classifier.validation_ == classifier.validate(validation_set)
    uncalibrated = make().fit(texts)
    np.testing.assert_array_equal(classifier.embed(texts), uncalibrated.embed(texts))
    logits = np.log(uncalibrated.predict_proba(validation_set).astype(np.float64))
    expected = fit_temperature(logits, validation_set.y, bounds=BOUNDS)
    assert classifier.calibration_.scale == pytest.approx(expected.scale, rel=1e-3)
    np.testing.assert_allclose(
        classifier.predict_proba(validation_set), classifier.calibration_.probabilities(logits), atol=1e-5
    )


def test_wrong_labels_in_the_validation_set_raise_the_temperature(make):
    texts = many(60)
    wrong = TextDataset(texts.x, 1 - texts.y)
    right, mistaken = (make(calibration="auto").fit(texts, validation_set=one) for one in (texts, wrong))
    assert mistaken.predict_proba(texts).max() < right.predict_proba(texts).max()


def test_the_temperature_is_the_usual_one_where_nothing_is_held_out(make, topics, caplog):
    caplog.set_level(logging.INFO)
    classifier = make(calibration="auto", validation_set_size="auto").fit(topics)
    assert classifier.calibration_.n_texts == 0
    assert "no texts are held out" in caplog.text


def test_weights_count_in_the_temperature(make):
    texts = many(60)
    heavy = np.where(np.arange(60) % 3 == 0, 50.0, 1.0)
    given = {"calibration": "auto", "validation_set_size": 0.5}
    plain, weighted = (make(**given).fit(texts, weights=weights).calibration_ for weights in (None, heavy))
    assert plain.scale != weighted.scale


def test_refit_head_keeps_the_temperature(make):
    texts = many(60)
    classifier = make(calibration="auto", validation_set_size=0.5).fit(texts)
    proba, calibration = classifier.predict_proba(texts), classifier.calibration_
    assert classifier.refit_head(texts).calibration_ == calibration
    np.testing.assert_allclose(classifier.predict_proba(texts), proba, atol=1e-6)


def test_thresholds_of_labels_are_chosen_and_used(make, labels):
    given = {"multi_label": True, "calibration": "auto", "multi_label_threshold": "auto"}
    classifier = make(3, **given).fit(labels, validation_set=labels)
    thresholds = classifier.multi_label_threshold_
    assert thresholds.shape == (3,)
    assert (classifier.calibration_.method, classifier.calibration_.n_texts) == ("logistic", len(labels))
    predicted, proba = classifier.predict(labels, return_proba=True)
    expected = proba > thresholds.astype(np.float32)
    np.testing.assert_array_equal(predicted.toarray(), expected)
    assert classifier.validation_[1] == pytest.approx((expected == labels.y.toarray()).mean())


def test_a_threshold_for_each_label_can_be_set(make, labels):
    classifier = make(3, multi_label=True, multi_label_threshold=[0.1, 0.5, 0.9]).fit(labels)
    assert classifier.multi_label_threshold_ is None
    predicted, proba = classifier.predict(labels, return_proba=True)
    np.testing.assert_array_equal(predicted.toarray(), proba > np.float32([0.1, 0.5, 0.9]))


def test_with_few_texts_the_threshold_is_one_half(make, labels):
    classifier = make(3, multi_label=True, multi_label_threshold="auto", calibration="auto").fit(labels[:5])
    assert (classifier.multi_label_threshold_, classifier.calibration_) == (None, None)
    predicted, proba = classifier.predict(labels, return_proba=True)
    np.testing.assert_array_equal(predicted.toarray(), proba > 0.5)


@pytest.mark.parametrize("multi_label", [False, True])
def test_calibration_and_thresholds_are_saved(make, labels, tmp_path, multi_label):
    given = {"multi_label": True, "multi_label_threshold": "auto"} if multi_label else {"validation_set_size": 0.5}
    texts = labels if multi_label else many(60)
    classifier = make(3, calibration="auto", min_steps=5, **given).fit(texts)
    classifier.save(tmp_path / "model")
    loaded = load(tmp_path / "model")
    assert loaded.calibration_ == classifier.calibration_
    np.testing.assert_array_equal(loaded.multi_label_threshold_, classifier.multi_label_threshold_)
    np.testing.assert_array_equal(loaded.predict_proba(texts), classifier.predict_proba(texts))
    assert (loaded.predict(texts) != classifier.predict(texts)).sum() == 0


@pytest.fixture(scope="module")
def calibrated_folder(tmp_path_factory):
    """The folder of a classifier with thresholds and a calibration; no test may change it."""
    folder = tmp_path_factory.mktemp("calibrated") / "model"
    given = {
        "multi_label_threshold": "auto",
        "calibration": "auto",
        "mini_batch_size": 16,
        "trainer_kwargs": QUICK,
    }
    SetFitClassification(tiny_sentence_transformer(), 3, True, **given, seed=1).fit(some_labels()).save(folder)
    return folder


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("thresholds", [0.5]),
        ("thresholds", ["a", 0.5, 0.5]),
        ("thresholds", "auto"),
        ("calibration", {"scale": [2]}),
    ],
)
def test_damaged_thresholds_and_calibrations_are_refused(calibrated_folder, tmp_path, key, value):
    shutil.copytree(calibrated_folder, tmp_path / "model")
    manifest = tmp_path / "model" / "smalltext.json"
    content = json.loads(manifest.read_text())
    content["parameters"][key] = value
    manifest.write_text(json.dumps(content))
    with pytest.raises(ModelFolderError):
        load(tmp_path / "model")
