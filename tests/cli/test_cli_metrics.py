import json
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix
from sklearn import metrics as reference

from smalltext_cli.metrics import RELIABILITY_BINS, score, wilson_interval
from smalltext_core.errors import InvalidInputError


def random_single(seed, count=60, num_classes=4, absent=()):
    rng = np.random.default_rng(seed)
    proba = rng.dirichlet(np.full(num_classes, 0.5), size=count).astype(np.float32)
    y = rng.choice([k for k in range(num_classes) if k not in absent], size=count)
    return y, proba


def random_multi(seed, count=60, num_classes=4, density=0.3):
    rng = np.random.default_rng(seed)
    proba = rng.random((count, num_classes)).astype(np.float32)
    return csr_matrix(rng.random((count, num_classes)) < density, dtype=np.int32), proba


problems = {
    "seed": st.integers(0, 2**32 - 1),
    "count": st.integers(1, 40),
    "num_classes": st.integers(2, 6),
}


@given(**problems)
@settings(max_examples=60, deadline=None)
def test_single_label_scores_are_those_of_scikit_learn(seed, count, num_classes):
    y, proba = random_single(seed, count, num_classes)
    predicted = proba.argmax(axis=1)

    scores = score(y, proba, multi_label=False)

    labels = range(num_classes)
    assert scores.accuracy == pytest.approx(reference.accuracy_score(y, predicted))
    assert scores.macro_f1 == pytest.approx(reference.f1_score(y, predicted, average="macro"))
    assert scores.micro_f1 == pytest.approx(reference.f1_score(y, predicted, average="micro"))
    assert (scores.confusion_matrix == reference.confusion_matrix(y, predicted, labels=labels)).all()
    assert scores.log_loss == pytest.approx(reference.log_loss(y, proba, labels=labels), abs=1e-5)
    each = reference.precision_recall_fscore_support(y, predicted, labels=labels, zero_division=0)
    ours = [(one.precision, one.recall, one.f1, one.support) for one in scores.per_class]
    np.testing.assert_allclose(np.array(ours), np.array(each).T)


@pytest.mark.parametrize("multi_label", [False, True])
@pytest.mark.parametrize("right", [True, False])
def test_numbers_of_texts_are_whole_also_if_every_prediction_is_wrong(multi_label, right):
    y, proba = np.array([0, 0, 1]), np.array([[0.9, 0.1], [0.9, 0.1], [0.1, 0.9]], dtype=np.float32)
    truth = csr_matrix(np.eye(2, dtype=np.int32)[y]) if multi_label else y
    scores = score(truth, proba if right else proba[:, ::-1].copy(), multi_label=multi_label)
    assert [repr(one.support) for one in scores.per_class] == ["2", "1"]
    assert [repr(one.predicted) for one in scores.per_class] == (["2", "1"] if right else ["1", "2"])


@given(density=st.sampled_from([0.0, 0.1, 0.5, 1.0]), threshold=st.sampled_from([0.1, 0.5, 0.9]), **problems)
@settings(max_examples=60, deadline=None)
def test_multi_label_scores_are_those_of_scikit_learn(seed, count, num_classes, density, threshold):
    y, proba = random_multi(seed, count, num_classes, density)
    predicted = (proba > threshold).astype(int)
    truth = y.toarray()

    scores = score(y, proba, multi_label=True, threshold=threshold)

    assert scores.accuracy == pytest.approx(reference.accuracy_score(truth, predicted))
    assert scores.hamming_loss == pytest.approx(reference.hamming_loss(truth, predicted))
    assert scores.micro_f1 == pytest.approx(reference.f1_score(truth, predicted, average="micro", zero_division=0))
    assert (scores.confusion_matrix == reference.multilabel_confusion_matrix(truth, predicted)).all()
    flat = reference.log_loss(truth.ravel(), proba.ravel(), labels=[0, 1])
    assert scores.log_loss == pytest.approx(flat, abs=1e-5)
    pairs = reference.brier_score_loss(truth.ravel(), proba.ravel(), pos_label=1)
    assert scores.brier == pytest.approx(pairs, abs=1e-6)
    each = reference.precision_recall_fscore_support(truth, predicted, zero_division=0)
    ours = [(one.precision, one.recall, one.f1, one.support) for one in scores.per_class]
    np.testing.assert_allclose(np.array(ours), np.array(each).T)


@given(**problems)
@settings(max_examples=40, deadline=None)
def test_expected_calibration_error_is_the_definition_of_guo_et_al(seed, count, num_classes):
    y, proba = random_single(seed, count, num_classes)
    confidence = proba.max(axis=1).astype(np.float64)
    correct = proba.argmax(axis=1) == y

    scores = score(y, proba, multi_label=False)

    expected = 0.0
    for low, high in zip(np.linspace(0, 1, 16)[:-1], np.linspace(0, 1, 16)[1:], strict=True):
        inside = (confidence > low) & (confidence <= high)
        if inside.any():
            expected += inside.mean() * abs(correct[inside].mean() - confidence[inside].mean())
    assert scores.expected_calibration_error == pytest.approx(expected)
    assert sum(one.count for one in scores.reliability) == count
    assert len(scores.reliability) == RELIABILITY_BINS == 15


def test_multi_label_reliability_takes_every_pair_of_text_and_class():
    y = csr_matrix(np.array([[1, 0], [0, 0]]))
    proba = np.array([[0.95, 0.0], [0.95, 0.0]], dtype=np.float32)

    scores = score(y, proba, multi_label=True)

    assert (scores.reliability[0].count, scores.reliability[0].accuracy) == (2, 0.0)
    assert (scores.reliability[14].count, scores.reliability[14].accuracy) == (2, 0.5)
    assert scores.expected_calibration_error == pytest.approx(0.225)


def test_the_edge_of_a_bin_belongs_to_the_bin_below():
    scores = score(np.array([0, 0]), np.array([[1.0, 0.0], [0.8, 0.2]]), multi_label=False)

    assert [number for number, one in enumerate(scores.reliability) if one.count] == [11, 14]


def test_brier_score_sums_over_the_classes():
    y, proba = random_single(3, num_classes=3)

    scores = score(y, proba, multi_label=False)

    assert scores.brier == pytest.approx(((proba - np.eye(3)[y]) ** 2).sum(axis=1).mean(), abs=1e-6)


def test_brier_score_of_two_classes_is_twice_that_of_scikit_learn():
    y, proba = random_single(4, num_classes=2)

    scores = score(y, proba, multi_label=False)

    assert scores.brier == pytest.approx(2 * reference.brier_score_loss(y, proba[:, 1]), abs=1e-6)


def test_a_class_that_occurs_nowhere_is_left_out_of_macro_f1():
    y, proba = random_single(5, num_classes=4, absent=[2])
    proba[:, 2] = 0
    predicted = proba.argmax(axis=1)

    scores = score(y, proba, multi_label=False)

    assert scores.macro_f1 == pytest.approx(reference.f1_score(y, predicted, average="macro"))
    assert scores.per_class[2].f1 == 0.0
    assert scores.per_class[2].support == 0


def test_multi_label_macro_f1_is_that_of_scikit_learn_without_undefined_classes():
    y = csr_matrix(np.array([[1, 0, 0], [1, 1, 0]]))
    proba = np.array([[0.9, 0.1, 0.1], [0.1, 0.9, 0.1]], dtype=np.float32)

    scores = score(y, proba, multi_label=True)

    expected = reference.f1_score(y.toarray(), proba > 0.5, average="macro", zero_division=np.nan)
    assert scores.macro_f1 == pytest.approx(expected)


def test_a_class_predicted_but_without_texts_counts_as_zero_in_macro_f1():
    scores = score(np.array([0, 0]), np.array([[0.9, 0.1], [0.1, 0.9]]), multi_label=False)

    assert scores.macro_f1 == pytest.approx((2 / 3 + 0) / 2)


def test_no_labels_and_no_predictions_at_all_give_numbers():
    scores = score(csr_matrix((3, 2), dtype=np.int32), np.zeros((3, 2)), multi_label=True)

    assert (scores.accuracy, scores.micro_f1, scores.macro_f1) == (1.0, 0.0, 0.0)


def test_a_truth_of_probability_zero_costs_as_much_as_in_scikit_learn_and_is_counted():
    y = np.array([0, 1, 1])
    proba = np.array([[1, 0], [1, 0], [0.5, 0.5]], dtype=np.float32)

    scores = score(y, proba, multi_label=False)

    assert scores.zero_probability_truths == 1
    assert scores.log_loss == pytest.approx(reference.log_loss(y, proba), abs=1e-5)


def test_multi_label_counts_certain_but_wrong_pairs():
    y = csr_matrix(np.array([[1, 0]]))

    scores = score(y, np.array([[0.0, 1.0]]), multi_label=True)

    assert scores.zero_probability_truths == 2


def test_the_threshold_is_compared_in_the_precision_of_the_probabilities():
    proba = np.array([[0.1]], dtype=np.float32)

    scores = score(csr_matrix((1, 1), dtype=np.int32), proba, multi_label=True, threshold=0.1)

    assert scores.accuracy == 1.0


def test_one_text_can_be_scored():
    scores = score(np.array([1]), np.array([[0.2, 0.8]]), multi_label=False)

    assert (scores.num_texts, scores.accuracy) == (1, 1.0)


@pytest.mark.parametrize("multi_label", [False, True])
def test_one_class_can_be_scored(multi_label):
    y = csr_matrix([[1], [0]]) if multi_label else np.array([0, 0])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scores = score(y, [[1.0], [0.0 if multi_label else 1.0]], multi_label=multi_label)

    assert (scores.accuracy, scores.macro_f1, scores.brier) == (1.0, 1.0, 0.0)
    assert scores.log_loss == pytest.approx(0.0, abs=1e-6)
    assert len(scores.per_class) == len(scores.confusion_matrix) == 1


@pytest.mark.parametrize("multi_label", [False, True])
def test_scores_become_json_without_nan_and_without_warnings(multi_label):
    y, proba = random_multi(6, density=0.0) if multi_label else random_single(6, absent=[1, 3])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        content = score(y, proba, multi_label=multi_label).as_dict(["a", "b", "c", "d"])

    again = json.loads(json.dumps(content, allow_nan=False))

    assert again == content
    wanted = {"accuracy", "macro_f1", "micro_f1", "log_loss", "expected_calibration_error", "brier", "texts"}
    assert wanted | {"per_class", "confusion_matrix", "reliability", "labels"} <= again.keys()
    assert list(again["per_class"]) == ["a", "b", "c", "d"]
    assert ("hamming_loss" in again) == multi_label


def test_as_dict_refuses_a_wrong_number_of_names():
    with pytest.raises(InvalidInputError, match="names: got 1 names; allowed: 2, one per class"):
        score(np.array([0]), np.array([[1.0, 0.0]]), multi_label=False).as_dict(["a"])


@pytest.mark.parametrize(
    ("share", "count", "low", "high"),
    [
        (0.9, 50, 0.78640, 0.95652),
        (0.0, 10, 0.0, 0.27753),
        (1.0, 10, 0.72247, 1.0),
        (0.5, 1, 0.05462, 0.94538),
    ],
)
def test_wilson_interval_gives_the_published_bounds(share, count, low, high):
    assert wilson_interval(share, count) == pytest.approx((low, high), abs=1e-5)


@pytest.mark.parametrize(
    ("y", "proba", "multi_label", "message"),
    [
        ([], np.empty((0, 2)), False, "proba: got shape"),
        ([0], [[0.5, np.nan]], False, "proba: got nan at row 0, column 1"),
        ([0], [[1.5, 0.5]], False, "proba: got 1.5 at row 0"),
        ([0, 1], [[0.5, 0.5]], False, "y: got shape"),
        ([0, 1], [[0.5, 0.5]], True, "y: got ndarray"),
        ([-1], [[0.5, 0.5]], False, "y: got no label at row 0"),
        ([2], [[0.5, 0.5]], False, "y: got the label 2; allowed: class numbers from 0 to 1"),
        ([-7], [[0.5, 0.5]], False, "y: got the label -7"),
        ([0], [0.5, 0.5], False, "proba: got shape"),
    ],
)
def test_bad_input_is_refused_by_name(y, proba, multi_label, message):
    with pytest.raises(InvalidInputError, match=message):
        score(np.array(y, dtype=int), np.array(proba), multi_label=multi_label)
