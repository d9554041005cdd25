"""Calibration of probabilities, and choice of thresholds, on held-out texts."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some
from scipy.sparse import csr_matrix
from scipy.special import expit, log_softmax

from smalltext_core.calibration import (
    Calibration,
    check_calibration,
    expected_calibration_error,
    fit_logistic,
    fit_temperature,
    prior_temperature,
    stratified_folds,
)
from smalltext_core.errors import InvalidInputError, ModelFolderError
from smalltext_core.probabilities import choose_thresholds, to_labels


def noisy(n: int, temperature: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return logits of three classes that are too large by a temperature, and labels drawn from the true odds."""
    rng = np.random.default_rng(seed)
    true = rng.normal(size=(n, 3)) * 1.5
    y = (true + rng.gumbel(size=true.shape)).argmax(axis=1)
    return true * temperature, y


def noisy_multi_label(n: int, seed: int = 0) -> tuple[np.ndarray, csr_matrix]:
    """Return logits of a frequent and a rare class, scaled by one half and shifted."""
    rng = np.random.default_rng(seed)
    true = rng.normal(size=(n, 2)) * 2 + np.array([0.0, -3.0])
    y = rng.random(true.shape) < expit(true)
    return (true - np.array([1.0, 2.0])) / 2, csr_matrix(y.astype(np.int32))


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_a_temperature_is_recovered_from_many_texts(temperature):
    logits, y = noisy(5000, temperature)
    fitted = fit_temperature(logits, y)
    assert fitted.temperature == pytest.approx(temperature, rel=0.08)
    assert fitted.n_texts == 5000
    before, after = fitted.calibration_error
    assert after < 0.02
    assert fitted.log_loss[1] <= fitted.log_loss[0] + 1e-9
    assert before >= after or temperature == 1.0


def test_few_texts_move_the_temperature_little_and_many_move_it_far():
    moved = [
        np.mean([np.log(fit_temperature(*noisy(n, 4.0, seed)).temperature) for seed in range(20)])
        for n in (4, 40, 4000)
    ]
    assert moved[0] < 0.3 * np.log(4)
    assert moved[2] > 0.97 * np.log(4)
    assert moved[0] < moved[1] < moved[2]


def test_without_texts_the_temperature_is_the_prior():
    fitted = fit_temperature(np.empty((0, 3)), np.empty(0, dtype=int), prior_mean=np.log(2))
    assert fitted.temperature == pytest.approx(2.0)
    assert (fitted.n_texts, fitted.log_loss) == (0, None)


def test_logits_and_log_probabilities_give_the_same_temperature():
    logits, y = noisy(300, 2.0)
    assert fit_temperature(log_softmax(logits, axis=1), y).temperature == pytest.approx(
        fit_temperature(logits, y).temperature, rel=1e-4
    )


def test_a_class_that_the_model_does_not_know_is_left_out():
    logits, y = noisy(300, 2.0)
    wider = np.column_stack([logits, np.full(300, -np.inf)])
    wider, labels = np.vstack([wider, wider[:20]]), np.concatenate([y, np.full(20, 3)])
    fitted = fit_temperature(wider, labels)
    assert fitted.n_texts == 300
    assert fitted.temperature == pytest.approx(fit_temperature(logits, y).temperature, rel=1e-4)
    assert (fitted.probabilities(wider)[:, 3] == 0).all()


def test_weights_count_as_repeated_texts():
    logits, y = noisy(200, 3.0)
    twice = np.arange(200) < 100
    repeated = np.concatenate([logits, logits[twice]]), np.concatenate([y, y[twice]])
    weighted = fit_temperature(logits, y, 1.0 + twice, prior_sd=100.0)
    assert weighted.temperature == pytest.approx(fit_temperature(*repeated, prior_sd=100.0).temperature, rel=1e-3)
    assert fit_temperature(logits, y, 7.0 * (1 + twice)).scale == fit_temperature(logits, y, 1.0 + twice).scale


def test_a_temperature_stays_within_its_bounds():
    logits = np.tile([[0.0, 50.0]], (500, 1))
    y = np.arange(500) % 2
    assert fit_temperature(logits, y, bounds=(0.5, 3.0)).temperature == pytest.approx(3.0, rel=1e-3)
    assert fit_temperature(logits * [1, -1], 1 - y * 0 - 1, bounds=(0.5, 3.0)).temperature >= 0.5


@given(some.floats(0.21, 19), some.integers(0, 1000))
def test_a_temperature_changes_no_label(temperature, seed):
    logits = np.random.default_rng(seed).normal(size=(50, 4)) * 5
    assert (prior_temperature(temperature).probabilities(logits).argmax(axis=1) == logits.argmax(axis=1)).all()


def test_a_logistic_map_calibrates_each_class():
    logits, y = noisy_multi_label(4000)
    fitted = fit_logistic(logits, y)
    assert fitted.scale == pytest.approx((2.0, 2.0), rel=0.15)
    assert fitted.offset == pytest.approx((1.0, 2.0), abs=0.3)
    before, after = fitted.calibration_error
    assert after < 0.02 < before
    proba = fitted.probabilities(logits)
    assert (np.diff(proba[np.argsort(logits[:, 0]), 0]) >= 0).all()


def test_a_class_with_few_texts_follows_the_map_of_all_classes():
    logits, y = noisy_multi_label(2000)
    rare = np.where(np.arange(2000) < 3, 1, 0)
    targets = csr_matrix(np.column_stack([y.toarray(), rare * y.toarray()[:, 1]]))
    wider = np.column_stack([logits, logits[:, 1] - 3])
    assert np.isfinite(fit_logistic(wider, targets).scale).all()


def test_a_weight_for_each_class_keeps_the_balance_that_a_class_weight_gave():
    """A class that applies to a tenth of the texts, with a weight of 9, which balances both outcomes."""
    targets = np.tile(np.arange(10) == 0, 40)[:, None]
    logits = np.zeros((400, 1))
    y = csr_matrix(targets.astype(np.int32))
    alike, weighted = (fit_logistic(logits, y, weights) for weights in (None, np.where(targets, 9.0, 1.0)))
    assert alike.probabilities(logits)[0, 0] == pytest.approx(0.1, abs=0.02)
    assert weighted.probabilities(logits)[0, 0] == pytest.approx(0.5, abs=0.02)
    ones = fit_logistic(logits, y, np.ones((400, 1)))
    assert ones == alike


def test_infinite_logits_of_a_multi_label_model_are_large_ones():
    logits, y = noisy_multi_label(100)
    logits[0, 0], logits[1, 0] = np.inf, -np.inf
    assert np.isfinite(fit_logistic(logits, y).log_loss).all()


@pytest.mark.parametrize("multi_label", [False, True])
def test_a_calibration_survives_json(multi_label):
    fitted = fit_logistic(*noisy_multi_label(50)) if multi_label else fit_temperature(*noisy(50, 2.0))
    saved = json.loads(json.dumps(fitted.to_json(), allow_nan=False))
    assert Calibration.from_json(saved, 2, multi_label) == fitted
    assert Calibration.from_json(None, 2, multi_label) is None
    with pytest.raises(ModelFolderError):
        Calibration.from_json(saved, 2, not multi_label)


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("method", "isotonic"),
        ("method", 1),
        ("scale", [0.0]),
        ("scale", [-1.0]),
        ("scale", [float("nan")]),
        ("scale", [1.0, 1.0]),
        ("scale", 1.0),
        ("scale", [True]),
        ("offset", [float("inf")]),
        ("offset", ["0"]),
        ("n_texts", -1),
        ("n_texts", 1.5),
        ("n_texts", True),
        ("log_loss", [0.1]),
        ("log_loss", "none"),
        ("calibration_error", [-0.1, 0.1]),
        ("further", 1),
    ],
)
def test_a_damaged_calibration_is_refused(name, wrong):
    saved = fit_temperature(*noisy(50, 2.0)).to_json()
    with pytest.raises(ModelFolderError, match="calibration"):
        Calibration.from_json({**saved, name: wrong}, 3, multi_label=False)


def test_an_incomplete_calibration_is_refused():
    saved = prior_temperature(2.0).to_json()
    for name in saved:
        with pytest.raises(ModelFolderError):
            Calibration.from_json({key: saved[key] for key in saved if key != name}, 3, multi_label=False)
    with pytest.raises(ModelFolderError):
        Calibration.from_json([saved], 3, multi_label=False)


def test_thresholds_are_where_f1_is_greatest():
    logits, y = noisy_multi_label(4000)
    proba = expit(logits)
    chosen = choose_thresholds(proba, y)

    def macro_f1(threshold):
        predicted, true = to_labels(proba.astype(np.float32), True, threshold).toarray(), y.toarray()
        return np.mean(2 * (predicted & true).sum(axis=0) / (predicted.sum(axis=0) + true.sum(axis=0)))

    assert macro_f1(chosen) > macro_f1(0.5) + 0.1
    assert macro_f1(chosen) > max(macro_f1(value) for value in np.linspace(0.02, 0.9, 45)) - 0.005


def test_a_class_without_texts_gets_the_common_threshold():
    logits, y = noisy_multi_label(500)
    wider = np.column_stack([expit(logits), np.full(500, 0.5)])
    chosen = choose_thresholds(wider, csr_matrix(np.column_stack([y.toarray(), np.zeros(500, dtype=int)])))
    assert chosen[:2].min() - 1e-9 <= chosen[2] <= chosen[:2].max() + 1e-9 or 0.01 <= chosen[2] <= 0.95
    assert choose_thresholds(wider, csr_matrix((500, 3), dtype=np.int32)).tolist() == [0.5] * 3


def test_only_ratios_of_weights_matter_for_thresholds():
    logits, y = noisy_multi_label(60)
    weights = np.random.default_rng(0).uniform(0.5, 2, 60)
    chosen = choose_thresholds(expit(logits), y, weights)
    assert choose_thresholds(expit(logits), y, 100 * weights) == pytest.approx(chosen)


def test_one_text_moves_a_threshold_little():
    logits, y = noisy_multi_label(500)
    rare = np.zeros(500, dtype=int)
    rare[0] = 1
    proba = np.column_stack([expit(logits), np.where(rare, 0.94, 0.0)])
    chosen = choose_thresholds(proba, csr_matrix(np.column_stack([y.toarray(), rare])))
    common = choose_thresholds(expit(logits), y)
    assert abs(chosen[2] - common.mean()) < 0.2


def test_folds_have_equal_shares_of_each_class():
    y = np.repeat([0, 1, 2], [50, 25, 4])
    folds = stratified_folds(y, 5, np.random.default_rng(0))
    for k, n in enumerate([50, 25, 4]):
        counts = np.bincount(folds[y == k], minlength=5)
        assert counts.max() - counts.min() <= 1
        assert counts.sum() == n
    targets = csr_matrix(np.column_stack([y == 0, y == 2, np.ones(79)]).astype(np.int32))
    counts = np.bincount(stratified_folds(targets, 4, np.random.default_rng(0))[y == 2], minlength=4)
    assert counts.tolist() == [1, 1, 1, 1]


def test_calibration_error_is_the_distance_of_confidence_from_accuracy():
    proba = np.array([[0.9, 0.1]] * 10)
    assert expected_calibration_error(proba, np.array([0] * 9 + [1])) == pytest.approx(0.0)
    assert expected_calibration_error(proba, np.array([0] * 5 + [1] * 5)) == pytest.approx(0.4)
    weights = np.array([1.0] * 9 + [0.0])
    assert expected_calibration_error(proba, np.array([0] * 9 + [1]), weights=weights) == pytest.approx(0.1)
    multi = csr_matrix(np.array([[1, 0]] * 5 + [[0, 0]] * 5))
    assert expected_calibration_error(proba, multi) == pytest.approx((0.4 + 0.1) / 2)


def test_the_choice_is_auto_or_none():
    assert [check_calibration(value) for value in ("auto", "none")] == ["auto", "none"]
    for wrong in (None, True, "temperature"):
        with pytest.raises(InvalidInputError, match=r"^calibration: got "):
            check_calibration(wrong)
