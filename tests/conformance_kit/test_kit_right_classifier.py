"""A classifier that follows all rules passes all checks, so that wrong ones fail only because of their error."""

from __future__ import annotations

import importlib
from pathlib import Path

import numpy as np
import pytest

from smalltext_core.probabilities import to_labels
from smalltext_testing import ConformanceError, check_classifier, run_checks
from smalltext_testing._runner import require_success

SINGLE_ONLY = {"check_single_label_rows_sum_to_one", "check_single_label_predictions_are_int32"}
MULTI_ONLY = {
    "check_multi_label_columns_are_independent",
    "check_multi_label_predictions_are_csr",
    "check_multi_label_probabilities_are_not_thresholded",
}


NETWORKS_ONLY = {"check_predictions_are_made_in_evaluation_mode"}


def factory(num_classes, multi_label=False, seed=1):
    counting = importlib.import_module("counting_classifier")
    return counting.CountingFactory(counting.CountingClassifier, num_classes, multi_label, seed)


def skipped(results):
    return {result.check.name for result in results if result.status == "skipped"} - NETWORKS_ONLY


@pytest.mark.usefixtures("counting_plugin")
@pytest.mark.parametrize(
    "num_classes", [3, *(pytest.param(number, marks=pytest.mark.nightly) for number in (2, 12))]
)
def test_right_classifier_passes_every_single_label_check(num_classes):
    assert skipped(check_classifier(factory(num_classes))) == MULTI_ONLY


@pytest.mark.usefixtures("counting_plugin")
@pytest.mark.parametrize(
    "num_classes", [2, *(pytest.param(number, marks=pytest.mark.nightly) for number in (3, 12))]
)
def test_right_classifier_passes_every_multi_label_check(num_classes):
    assert skipped(check_classifier(factory(num_classes, multi_label=True))) == SINGLE_ONLY


@pytest.mark.usefixtures("counting_plugin")
def test_right_classifier_passes_with_a_single_label_of_a_multi_label_problem():
    results = check_classifier(factory(1, multi_label=True))
    assert skipped(results) == SINGLE_ONLY | {"check_multi_label_columns_are_independent"}


@pytest.mark.usefixtures("counting_plugin")
@pytest.mark.parametrize("name", ["multi_label_threshold", "multi_label_threshold_"])
@pytest.mark.parametrize(
    "threshold", [0.3, np.array([0.2, 0.5, 0.7]), (0.2, 0.5, 0.7)], ids=["one", "array", "tuple"]
)
def test_labels_follow_from_thresholds_of_any_form(monkeypatch, name, threshold):
    counting = importlib.import_module("counting_classifier").CountingClassifier
    monkeypatch.setattr(counting, "multi_label_threshold", "auto", raising=False)
    monkeypatch.setattr(counting, name, threshold, raising=False)
    monkeypatch.setattr(
        counting, "labels", lambda _, proba: to_labels(proba, multi_label=True, threshold=threshold)
    )
    (result,) = run_checks(factory(3, multi_label=True), only=["check_predictions_agree_with_probabilities"])
    assert result.status == "passed", result


@pytest.mark.usefixtures("counting_plugin")
def test_thresholds_of_another_number_of_classes_are_reported(monkeypatch):
    counting = importlib.import_module("counting_classifier").CountingClassifier
    monkeypatch.setattr(counting, "multi_label_threshold_", np.full(2, 0.5), raising=False)
    (result,) = run_checks(factory(3, multi_label=True), only=["check_predictions_agree_with_probabilities"])
    assert result.status == "failed"
    assert "thresholds of shape (2,)" in result.seen


@pytest.mark.usefixtures("counting_plugin")
def test_without_a_seed_checks_of_repeatability_are_skipped():
    results = check_classifier(factory(3, seed=None))
    assert skipped(results) - MULTI_ONLY == {
        "check_weights_of_one_equal_no_weights",
        "check_second_fit_uses_its_own_weights",
        "check_same_seed_gives_same_bits",
        "check_global_random_state_is_not_read",
        "check_second_fit_starts_from_scratch",
        "check_classifiers_share_no_state",
        "check_fit_uses_current_labels",
        "check_read_only_arrays_work",
        "check_scale_of_weights_does_not_matter",
    }


@pytest.mark.usefixtures("counting_plugin")
def test_files_of_other_processes_are_ignored(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    counting = importlib.import_module("counting_classifier")
    learn = counting.CountingClassifier.learn

    def while_others_write(self, *arguments):
        (tmp_path / f"of-another-process-{len(list(tmp_path.iterdir()))}").touch()
        return learn(self, *arguments)

    monkeypatch.setattr(counting.CountingClassifier, "learn", while_others_write)
    (result,) = run_checks(factory(3), only=["check_repeated_training_leaves_no_files"])
    assert result.status == "passed", result
    assert Path.cwd() == tmp_path


@pytest.mark.usefixtures("counting_plugin")
@pytest.mark.parametrize("path", ["words.txt", "../words.txt"])
def test_relative_paths_work_while_files_are_watched(tmp_path, monkeypatch, path):
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    Path(path).write_text("words")
    counting = importlib.import_module("counting_classifier")
    learn = counting.CountingClassifier.learn

    def with_a_file(self, *arguments):
        assert Path(path).read_text() == "words"
        return learn(self, *arguments)

    monkeypatch.setattr(counting.CountingClassifier, "learn", with_a_file)
    (result,) = run_checks(factory(3), only=["check_repeated_training_leaves_no_files"])
    assert result.status == "passed", result


def test_running_no_check_is_an_error():
    with pytest.raises(ConformanceError, match="no check was run"):
        require_success("Nobody", [])


@pytest.mark.usefixtures("counting_plugin")
@pytest.mark.parametrize("multi_label", [False, True])
def test_a_batch_size_that_cannot_be_set_is_no_violation(multi_label):
    counting = importlib.import_module("counting_classifier")

    class Fixed(counting.CountingClassifier):
        mini_batch_size = property(lambda self: 4, lambda self, size: self.accept(size))

        def accept(self, size):
            if self.__dict__.setdefault("sizes", []):
                raise AttributeError("mini_batch_size is set by the constructor")
            self.sizes.append(size)

    made = counting.CountingFactory(Fixed, 3, multi_label)
    (result,) = run_checks(made, only=["check_batch_size_does_not_matter"])
    assert result.status == "skipped"
    assert "mini_batch_size cannot be set" in result.reason
