"""Probabilities are calibrated on held-out texts, or by a prior, and training takes at least some steps."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.sparse import csr_matrix
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import Ridge

from smalltext_core import TextDataset, load
from smalltext_core.calibration import prior_temperature
from smalltext_core.errors import ModelFolderError
from smalltext_torch.batching import Ragged
from smalltext_torch.calibration import (
    MAX_TEMPERATURE,
    MIN_TEMPERATURE,
    RIDGE,
    TemperaturePrior,
    expected_temperature,
    leave_one_out_accuracy,
)
from smalltext_torch.early_stopping import EarlyStopping
from smalltext_torch.inference import Loss
from smalltext_torch.training import Trainer
from smalltext_torch.training_set import Examples
from torch_backend.bag_of_embeddings import BagOfEmbeddings, some_multi_label_texts, some_texts

PRIOR = TemperaturePrior(2.0, class_exponent=0.5, skill_exponent=1.0, usual_skill=0.3)


def noisy_texts(count: int, seed: int) -> TextDataset:
    """Return texts with every fifth label wrong, so that no classifier should be confident."""
    texts = some_texts(count, 2, seed)
    wrong = np.random.default_rng(seed).random(count) < 0.2
    return TextDataset(texts.x, np.where(wrong, 1 - texts.y, texts.y))


@pytest.fixture(scope="module")
def overtrained() -> dict[str, BagOfEmbeddings]:
    parameters = {"num_epochs": 60, "lr": 0.05, "validation_set_size": 0.3}
    return {
        choice: BagOfEmbeddings(2, calibration=choice, **parameters).fit(
            noisy_texts(300, 1), early_stopping="none", model_selection="none"
        )
        for choice in ("auto", "none")
    }


def test_a_temperature_is_fitted_to_the_held_out_texts(overtrained: dict[str, BagOfEmbeddings]) -> None:
    fitted = overtrained["auto"].calibration_

    assert fitted is not None
    assert fitted.n_texts == 90
    assert fitted.temperature > 1.2
    assert overtrained["none"].calibration_ is None


def test_calibration_changes_no_label_and_makes_probabilities_better(
    overtrained: dict[str, BagOfEmbeddings],
) -> None:
    texts = noisy_texts(400, 2)
    proba = {choice: classifier.predict_proba(texts) for choice, classifier in overtrained.items()}

    assert (proba["auto"].argmax(axis=1) == proba["none"].argmax(axis=1)).all()
    assert overtrained["auto"].validate(texts)[0] < 0.99 * overtrained["none"].validate(texts)[0]


def test_dropout_samples_are_calibrated_as_well(overtrained: dict[str, BagOfEmbeddings]) -> None:
    texts = noisy_texts(50, 3)
    sampled = {choice: one.predict_proba(texts, dropout_sampling=8) for choice, one in overtrained.items()}

    assert sampled["auto"].max(axis=2).mean() < sampled["none"].max(axis=2).mean()


def test_without_held_out_texts_the_temperature_follows_the_difficulty() -> None:
    class Sure(BagOfEmbeddings):
        temperature_prior = PRIOR

    def temperature(texts: TextDataset) -> float:
        classifier = Sure(2, calibration="auto", validation_set_size=0, num_epochs=1).fit(texts)
        assert classifier.calibration_ is not None
        assert classifier.calibration_.n_texts == 0
        return classifier.calibration_.temperature

    easy, noisy = some_texts(64, 2), noisy_texts(64, 1)
    hopeless = TextDataset(easy.x, np.random.default_rng(0).integers(2, size=64))
    assert temperature(easy) < temperature(noisy) < 4 < temperature(hopeless) <= MAX_TEMPERATURE
    untouched = BagOfEmbeddings(2, calibration="auto", validation_set_size=0).fit(noisy)
    assert untouched.calibration_ == prior_temperature(1.0)


def test_difficulty_hardly_counts_where_texts_are_few() -> None:
    def examples(texts: TextDataset) -> Examples:
        words = sorted({word for text in texts.x for word in text.split()})
        ids = Ragged.from_sequences([[words.index(word) for word in text.split()] for text in texts.x])
        return Examples(ids, texts.y)

    few, many = (expected_temperature(PRIOR, examples(some_texts(count, 2)), 2) for count in (4, 200))
    usual = 2.0 / np.log(0.65 / 0.35)
    assert abs(np.log(few / usual)) < 0.3
    assert MIN_TEMPERATURE <= many < 0.5 * few
    assert expected_temperature(PRIOR, examples(some_texts(40, 40)), 40) <= MAX_TEMPERATURE


def test_the_temperature_falls_with_the_accuracy_and_with_the_number_of_classes() -> None:
    prior = TemperaturePrior(3.0, class_exponent=0.5, skill_exponent=0.5, usual_skill=0.3)
    accuracies = (0.4, 0.55, 0.7, 0.8, 0.9, 0.99, 1.0)
    temperatures = [prior.temperature(one, 2) for one in accuracies]

    assert temperatures == sorted(temperatures, reverse=True)
    assert temperatures[0] == MAX_TEMPERATURE
    assert prior.temperature(1 / (1 + np.exp(-1)), 2) == pytest.approx(3.0)
    assert prior.temperature(0.9, 20) < prior.temperature(0.9, 5) < prior.temperature(0.9, 2)
    assert prior.temperature(0.9, 1) <= MAX_TEMPERATURE


def test_left_out_texts_are_predicted_as_by_one_ridge_regression_for_each() -> None:
    texts = noisy_texts(40, 5)
    counter = TfidfVectorizer(sublinear_tf=True, token_pattern=r"\S+")
    vectors = counter.fit_transform(texts.x).toarray()
    words = counter.build_analyzer()
    ids = Ragged.from_sequences([[counter.vocabulary_[word] for word in words(text)] for text in texts.x])
    targets = np.eye(2)[texts.y]
    weights = np.random.default_rng(0).random(40).astype(np.float32)
    right = []
    for row in range(40):
        others = np.arange(40) != row
        ridge = Ridge(alpha=RIDGE).fit(vectors[others], targets[others])
        right.append(ridge.predict(vectors[[row]]).argmax() == texts.y[row])

    assert leave_one_out_accuracy(Examples(ids, texts.y)) == pytest.approx(np.mean(right))
    weighted = leave_one_out_accuracy(Examples(ids, texts.y, weights))
    assert weighted == pytest.approx(np.average(right, weights=weights))


def test_texts_without_a_token_are_predicted_as_the_most_frequent_other_class() -> None:
    assert leave_one_out_accuracy(Examples(Ragged.from_sequences([[]] * 5), np.array([0, 0, 0, 0, 1]))) == 0.8


def test_weights_count_in_the_temperature() -> None:
    texts = noisy_texts(300, 1)
    parameters: dict[str, Any] = {"calibration": "auto", "num_epochs": 20, "lr": 0.05}
    validation = noisy_texts(100, 5)

    plain = BagOfEmbeddings(2, **parameters).fit(texts, validation).calibration_
    balanced = BagOfEmbeddings(2, class_weight={0: 1.0, 1: 20.0}, **parameters).fit(texts, validation).calibration_

    assert plain is not None
    assert balanced is not None
    assert plain.temperature != balanced.temperature


def test_logits_of_held_out_texts_are_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    computed = []
    logits = Trainer.logits

    def counted(trainer: Trainer[Any], held_out: Any) -> Any:
        computed.append(held_out)
        return logits(trainer, held_out)

    monkeypatch.setattr(Trainer, "logits", counted)
    BagOfEmbeddings(3, True, calibration="auto", multi_label_threshold="auto").fit(some_multi_label_texts(400))
    BagOfEmbeddings(3, True).fit(some_multi_label_texts(400))
    assert len(computed) == 1


def test_a_loss_applies_its_calibration_before_the_softmax() -> None:
    logits = torch.tensor([[0.0, 4.0]])
    loss = Loss(multi_label=False, calibration=prior_temperature(2.0))

    assert torch.equal(loss.probabilities(logits), Loss(multi_label=False).probabilities(logits / 2))


def test_multi_label_probabilities_and_thresholds_are_fitted_for_each_class(tmp_path: Path) -> None:
    texts = some_multi_label_texts(400)
    classifier = BagOfEmbeddings(3, True, calibration="auto", multi_label_threshold="auto").fit(texts)
    thresholds, proba = classifier.multi_label_threshold_, classifier.predict_proba(texts)

    assert classifier.calibration_ is not None
    assert (classifier.calibration_.method, classifier.calibration_.n_texts) == ("logistic", 40)
    assert thresholds is not None
    assert thresholds.shape == (3,)
    assert ((classifier.predict(texts) > 0) != csr_matrix(proba > thresholds.astype(np.float32))).nnz == 0

    classifier.save(tmp_path / "model")
    loaded = BagOfEmbeddings.load(tmp_path / "model")
    assert loaded.calibration_ == classifier.calibration_
    assert np.array_equal(loaded.predict_proba(texts), proba)
    assert loaded.multi_label_threshold_ is not None
    assert loaded.multi_label_threshold_.tolist() == thresholds.tolist()


def test_with_few_held_out_texts_thresholds_stay_at_a_half() -> None:
    classifier = BagOfEmbeddings(3, True, calibration="auto", multi_label_threshold="auto")
    classifier.fit(some_multi_label_texts(60))

    assert classifier.calibration_ is None
    assert classifier.multi_label_threshold_ is not None
    assert classifier.multi_label_threshold_.tolist() == [0.5] * 3


def test_a_threshold_for_each_class_can_be_set() -> None:
    texts = some_multi_label_texts(60)
    classifier = BagOfEmbeddings(3, True, multi_label_threshold=(0.1, 0.5, 0.9)).fit(texts)
    labels, proba = classifier.predict(texts, return_proba=True)

    assert (labels.toarray() == (proba > np.float32([0.1, 0.5, 0.9]))).all()
    assert classifier.multi_label_threshold_ is None


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("calibration", {"scale": [1.0]}),
        ("calibration", 1),
        ("thresholds", [0.5]),
        ("thresholds", [0.5, 0.5, 2]),
        ("thresholds", 0.5),
    ],
)
def test_a_folder_with_another_calibration_or_other_thresholds_is_rejected(
    tmp_path: Path, key: str, value: Any
) -> None:
    BagOfEmbeddings(3, True, multi_label_threshold="auto").fit(some_multi_label_texts(60)).save(tmp_path)
    manifest = json.loads((tmp_path / "smalltext.json").read_text(encoding="utf-8"))
    manifest["parameters"][key] = value
    (tmp_path / "smalltext.json").write_text(json.dumps(manifest), encoding="utf-8")

    with pytest.raises(ModelFolderError, match="calibration|thresholds"):
        load(tmp_path)


def test_min_steps_adds_epochs_to_those_that_are_too_few() -> None:
    texts = some_texts(60)
    parameters: dict[str, Any] = {"num_epochs": 2, "mini_batch_size": 10, "validation_set_size": 0}

    for min_steps, steps in [(0, 12), (12, 12), (13, 18), (31, 36)]:
        history = BagOfEmbeddings(3, min_steps=min_steps, **parameters).fit(texts).history_
        assert history[-1]["step"] == steps


def test_with_more_epochs_early_stopping_is_as_patient_as_before() -> None:
    patience = []

    class Watches(BagOfEmbeddings):
        def default_early_stopping(self, validations_per_epoch: int) -> Any:
            handler = super().default_early_stopping(validations_per_epoch)
            assert isinstance(handler, EarlyStopping)
            patience.append(handler.patience)
            return handler

    for min_steps in (0, 60):
        Watches(3, num_epochs=10, mini_batch_size=27, min_steps=min_steps).fit(some_texts(60))

    assert patience == [5, 15]


def test_with_auto_no_texts_of_a_small_training_set_are_held_out(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.INFO):
        classifier = BagOfEmbeddings(3, validation_set_size="auto").fit(some_texts(60))

    assert all(record["val_loss"] is None for record in classifier.history_)
    assert "no texts are held out" in caplog.text
