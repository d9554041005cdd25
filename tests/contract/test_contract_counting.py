"""The classifier that keeps the rules passes all checks; so the wrong ones fail for what is wrong with them."""

from __future__ import annotations

import importlib

import pytest

from smalltext_core.testing import check_classifier

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
@pytest.mark.parametrize("num_classes", [2, 3, 12])
def test_right_classifier_passes_every_single_label_check(num_classes):
    assert skipped(check_classifier(factory(num_classes))) == MULTI_ONLY


@pytest.mark.usefixtures("counting_plugin")
@pytest.mark.parametrize("num_classes", [2, 3, 12])
def test_right_classifier_passes_every_multi_label_check(num_classes):
    assert skipped(check_classifier(factory(num_classes, multi_label=True))) == SINGLE_ONLY


@pytest.mark.usefixtures("counting_plugin")
def test_right_classifier_passes_with_a_single_label_of_a_multi_label_problem():
    results = check_classifier(factory(1, multi_label=True))
    assert skipped(results) == SINGLE_ONLY | {"check_multi_label_columns_are_independent"}


@pytest.mark.usefixtures("counting_plugin")
def test_without_a_seed_what_compares_bits_of_two_trainings_is_skipped():
    results = check_classifier(factory(3, seed=None))
    assert skipped(results) - MULTI_ONLY == {
        "check_ones_are_as_no_weights",
        "check_same_seed_gives_same_bits",
        "check_global_random_state_is_not_read",
        "check_fit_again_starts_again",
        "check_classifiers_share_nothing",
    }
