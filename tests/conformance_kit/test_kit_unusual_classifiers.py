"""Classifiers that follow the rules in unusual ways pass the checks of side effects, saving and a second fit."""

from __future__ import annotations

import gc
import importlib

import pytest

from smalltext_testing import run_checks

SINGLE, MULTI = False, True
CONTINUING = {
    "check_second_fit_starts_from_scratch",
    "check_second_fit_uses_its_own_weights",
    "check_loaded_model_can_be_trained",
}

# The name of each classifier, and the checks that do not apply to it.
UNUSUAL = {
    "RestoresWhatItSets": set(),
    "SetsUpOnce": set(),
    "SometimesLeavesAFilter": set(),
    "SharesAPoolOfThreads": set(),
    "HasAMonitor": set(),
    "ForgetsItsPool": set(),
    "EndsItsThreadsLater": set(),
    "IsCalledByThreadsOfALibrary": set(),
    "MapsItsModelIntoMemory": set(),
    "MapsItsModelAndRefersToItself": set(),
    "KeepsTheLastModelOfAFolder": set(),
    "OnlyPredictsOnceLoaded": {"check_loaded_model_can_be_trained"},
    "StoresItsThresholdsAsAList": set(),
    "ContinuesFromItsModel": CONTINUING,
}
CHECKS = [
    "check_settings_of_the_caller_are_not_changed",  # before others have saved
    *CONTINUING,
    "check_second_fit_replaces_label_names",
    "check_repeated_training_leaves_no_threads",
    "check_repeated_training_leaves_no_files",
    "check_saved_model_can_be_replaced",
    "check_calibration_and_thresholds_are_saved",
    "check_saving_and_loading_leave_nothing_open",
    "check_pickle_restores_the_classifier",
    "check_deepcopy_is_independent",
]


@pytest.fixture
def no_automatic_collection():
    """Collect garbage only where the kit does."""
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("counting_plugin", "same_settings", "no_automatic_collection")
@pytest.mark.parametrize("multi_label", [SINGLE, MULTI], ids=["single", "multi"])
@pytest.mark.parametrize("name", UNUSUAL)
def test_unusual_classifier_passes(name, multi_label):
    counting = importlib.import_module("counting_classifier")
    unusual = getattr(importlib.import_module("unusual_classifiers"), name)
    results = list(run_checks(counting.CountingFactory(unusual, 3, multi_label), only=CHECKS))
    assert [str(result) for result in results if result.status == "failed"] == []
    assert {result.check.name for result in results if result.status == "skipped"} == UNUSUAL[name]
