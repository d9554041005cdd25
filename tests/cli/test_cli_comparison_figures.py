"""What a comparison concludes: intervals, paired differences, and sentences that follow from them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import accuracy_score, f1_score

from smalltext_cli.compare.cells import Cell
from smalltext_cli.compare.intervals import Metric, difference, t_interval
from smalltext_cli.compare.progress import CellProgress, TimeEstimate
from smalltext_cli.compare.summary import Summary, disagreements

TEXTS = 400
TRUTH = [row % 2 for row in range(TEXTS)]


def predictions(accuracy, seed):
    """Return predictions of which that share is right, on texts that differ with the seed."""
    wrong = np.random.default_rng(seed).permutation(TEXTS)[: round((1 - accuracy) * TEXTS)]
    predicted = np.array(TRUTH)
    predicted[wrong] = 1 - predicted[wrong]
    return predicted.tolist()


def summary(accuracies, seconds, *, repeats=5, failed=(), shots=(8, 32)):
    """Return a comparison in which the classifiers reach an accuracy at each number of texts."""
    cells = []
    for name, each in accuracies.items():
        for place, (size, accuracy) in enumerate(zip(shots, each, strict=True)):
            for repeat in range(repeats):
                about = {"classifier": name, "shots": size, "repeat": repeat}
                predicted = predictions(accuracy, (len(name), place, repeat))
                result = {"accuracy": accuracy_score(TRUTH, predicted), "macro_f1": 0.5, "predicted": predicted}
                result |= {"train_cpu_seconds": seconds[name]}
                cells.append((about, {"error": "it broke"} if (name, repeat) in failed else result))
    return Summary(list(accuracies), shots, repeats, cells, metric="accuracy", truth=TRUTH, num_classes=2)


def test_a_classifier_that_is_surely_ahead_is_best_and_a_cheap_one_that_is_near_is_named():
    found = summary({"setfit": [0.93, 0.95], "embeddings": [0.90, 0.92], "sklearn": [0.6, 0.7]},
                    {"setfit": 50.0, "embeddings": 1.0, "sklearn": 0.5})  # fmt: skip
    text = found.conclusion()
    assert text.startswith(
        "setfit is best from 8 to 32 texts per class, and embeddings comes within 3 points (interval "
    )
    assert text.endswith(" at a fiftieth of the training time.")
    lead = found.leads[8]["embeddings"]
    assert f"(interval {100 * lead.low:.1f} to {100 * lead.high:.1f})" in text
    assert lead.low > 0


def test_a_difference_that_may_be_zero_is_none():
    text = summary({"setfit": [0.93, 0.95], "embeddings": [0.925, 0.945], "sklearn": [0.6, 0.7]},
                   {"setfit": 50.0, "embeddings": 1.0, "sklearn": 0.5}).conclusion()  # fmt: skip
    assert text == (
        "embeddings and setfit are best from 8 to 32 texts per class, with no certain difference between them, "
        "but embeddings takes a fiftieth of the training time of setfit."
    )


def test_where_the_best_changes_each_part_has_a_clause():
    text = summary({"a": [0.9, 0.8], "bb": [0.6, 0.95]}, {"a": 1.0, "bb": 1.0}).conclusion()
    assert text == "a is best at 8 texts per class; bb is best at 32 texts per class."


def test_a_classifier_with_a_failed_cell_is_not_ranked_and_the_failure_is_reported():
    found = summary({"a": [0.9, 0.9], "bb": [0.95, 0.95]}, {"a": 1.0, "bb": 1.0}, failed={("bb", 2)})
    assert found.ranked(8) == ["a"]
    assert found.conclusion() == (
        "a reaches accuracy 0.900 at 8 texts per class and 0.900 at 32 texts per class; "
        "bb failed in 2 of 10 runs (it broke)."
    )


def test_a_classifier_that_varies_is_not_best_where_another_one_in_between_is_certainly_worse():
    each = {"setfit": [0.96, 0.95, 0.95], "embeddings": [0.91, 0.90, 0.90], "kimcnn": [0.97, 0.60, 0.96]}
    cells = []
    for name, accuracies in each.items():
        for repeat, accuracy in enumerate(accuracies):
            predicted = predictions(accuracy, (len(name), repeat))
            result = {
                "accuracy": accuracy_score(TRUTH, predicted),
                "predicted": predicted,
                "train_cpu_seconds": 1.0,
            }
            cells.append(({"classifier": name, "shots": 8, "repeat": repeat}, result))
    found = Summary(list(each), (8,), 3, cells, metric="accuracy", truth=TRUTH, num_classes=2)
    assert found.leads[8]["kimcnn"].contains(0.0)
    assert found.leaders(8) == ("setfit",)


def test_nothing_is_concluded_from_nothing():
    found = summary({"a": [0.9, 0.9]}, {"a": 1.0}, repeats=1, failed={("a", 0)})
    assert found.conclusion() == "a failed in 2 of 2 runs (it broke)."


def test_with_one_repeat_the_held_out_texts_alone_decide():
    assert summary({"a": [0.9, 0.9], "bb": [0.6, 0.6]}, {"a": 1.0, "bb": 1.0}, repeats=1).leaders(8) == ("a",)
    assert summary({"a": [0.9, 0.9], "bb": [0.89, 0.89]}, {"a": 1.0, "bb": 1.0}, repeats=1).leaders(8) == (
        "a",
        "bb",
    )


def test_intervals_of_means_are_those_of_scipy():
    values = [0.81, 0.84, 0.8, 0.86]
    low, high = stats.t.interval(0.95, 3, np.mean(values), stats.sem(values))
    found = t_interval(values)
    assert (found.mean, found.low, found.high) == pytest.approx((np.mean(values), low, high))
    assert t_interval([0.5]).low is None


@pytest.mark.parametrize("multi_label", [False, True])
def test_metrics_without_each_text_are_those_of_scikit_learn(multi_label):
    rng = np.random.default_rng(0)
    truth, predicted = (rng.random((30, 4)) < 0.4 for _ in range(2))
    if multi_label:
        given = [[np.flatnonzero(row).tolist() for row in one] for one in (truth, predicted)]
    else:
        given = [one.argmax(axis=1).tolist() for one in (truth, predicted)]
        truth, predicted = (np.eye(4, dtype=int)[one] for one in given)
    for name in ("accuracy", "macro_f1"):

        def score(rows, name=name):
            if name == "accuracy":
                return accuracy_score(truth[rows], predicted[rows])
            return f1_score(truth[rows], predicted[rows], average="macro", zero_division=np.nan)

        metric = Metric(name, given[0], 4)
        rows = np.arange(30)
        assert metric.of(given[1]) == pytest.approx(score(rows))
        assert metric.without_each(given[1]) == pytest.approx([score(np.delete(rows, row)) for row in rows])


@pytest.mark.parametrize(("repeats", "spread"), [(2, 0.3), (2, 1.0), (3, 0.3), (5, 1.0)])
def test_intervals_of_differences_contain_the_true_one_about_as_often_as_they_say(repeats, spread):
    """Texts of different difficulty and training sets of different quality; 0.95 is to be covered."""
    rng = np.random.default_rng(1)
    metric = Metric("accuracy", [0] * 150, 2)
    many = rng.normal(1.0, np.hypot(1.0, spread), 200_000)
    true = (1 / (1 + np.exp(-(many + 0.3))) - 1 / (1 + np.exp(-many))).mean()
    covered = 0
    for _ in range(300):
        easy = rng.normal(1.0, 1.0, 150)
        values, without = ({}, {}), ({}, {})
        for repeat in range(repeats):
            for which, ability in enumerate((0.3, 0.0)):
                chance = 1 / (1 + np.exp(-(easy + ability + rng.normal(0, spread))))
                predicted = (rng.random(150) > chance).astype(int).tolist()
                values[which][repeat] = metric.of(predicted)
                without[which][repeat] = metric.without_each(predicted)
        covered += difference(*values, *without).contains(true)
    assert covered / 300 >= 0.93


def test_texts_on_which_classifiers_disagree_most_come_first():
    answers = {"a": [0, 1, 0, 0], "bb": [0, 0, 1, 0], "ccc": [0, 0, 2, 0]}
    cells = [
        ({"classifier": name, "shots": 8, "repeat": 0}, {"accuracy": 0.5, "predicted": predicted})
        for name, predicted in answers.items()
    ]
    found = Summary(list(answers), [8], 1, cells, metric="accuracy", truth=[0, 1, 1, 0], num_classes=3)
    first, second = disagreements(found, 8)
    assert (first.place, first.truth, first.answers) == (2, (1,), {"a": (0,), "bb": (1,), "ccc": (2,)})
    assert second.place == 1


def test_the_time_left_is_estimated_only_where_a_cell_of_the_classifier_has_finished():
    estimate = TimeEstimate()
    estimate.add("a", 10, seconds=5.0, training=1.0)
    estimate.add("a", 20, seconds=6.0, training=2.0)
    assert estimate.of("a", 40) == pytest.approx(8.0)
    assert estimate.left([("a", 10), ("a", 40)], 1) == (pytest.approx(13.0), True)
    assert estimate.left([("a", 10), ("b", 10)], 1) == (pytest.approx(5.0), False)
    assert estimate.left([("a", 10), ("a", 10)], 2) == (pytest.approx(5.0), True)


def running_order(jobs):
    """Return the cells of three classifiers as they run, when each finishes before the next one is handed out."""
    seconds = {"sklearn": 1.0, "setfit": 30.0, "kimcnn": 5.0}
    cells = [
        Cell({"classifier": name, "repeat": repeat}, 8, f"{name}-{repeat}", dict)
        for repeat in range(2)
        for name in seconds
    ]
    progress, order = CellProgress(0, cells, jobs), []
    for one in progress.in_running_order():
        order.append(one.key)
        progress.learn(one, {"seconds": seconds[one.about["classifier"]]})
    return order


def test_where_several_cells_run_at_a_time_those_that_take_longest_go_first_once_they_are_known():
    assert running_order(jobs=2) == ["sklearn-0", "setfit-0", "kimcnn-0", "setfit-1", "kimcnn-1", "sklearn-1"]


def test_one_at_a_time_cells_run_in_the_order_of_the_comparison():
    assert running_order(jobs=1) == ["sklearn-0", "setfit-0", "kimcnn-0", "sklearn-1", "setfit-1", "kimcnn-1"]
