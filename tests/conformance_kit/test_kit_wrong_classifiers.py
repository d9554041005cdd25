"""Every check detects a wrong classifier."""

from __future__ import annotations

import importlib
import subprocess

import numpy as np
import pytest

from smalltext_testing import checks, run_checks

SINGLE, MULTI = False, True
MODULES = ("wrong_classifiers", "wrong_saving", "wrong_side_effects")

# The name of each check, and the classifiers that it has to detect.
WRONG = {
    "check_probabilities_are_dense_float32": [("GivesDoubles", SINGLE), ("GivesDoubles", MULTI)],
    "check_probabilities_lie_between_zero_and_one": [("GivesScores", SINGLE), ("GivesScores", MULTI)],
    "check_single_label_rows_sum_to_one": [("DoesNotNormalise", SINGLE)],
    "check_multi_label_probabilities_are_not_thresholded": [("ZeroesWhatIsUnlikely", MULTI)],
    "check_multi_label_columns_are_independent": [("LetsLabelsCompete", MULTI)],
    "check_column_k_is_class_k": [("IsNeverSure", SINGLE), ("IsNeverSure", MULTI)],
    "check_absent_class_keeps_its_column": [("NumbersClassesAnew", SINGLE), ("BelievesInAbsentLabels", MULTI)],
    "check_single_label_predictions_are_int32": [("PredictsLongs", SINGLE)],
    "check_multi_label_predictions_are_csr": [("PredictsSparseArrays", MULTI)],
    "check_predictions_agree_with_probabilities": [
        ("PredictsAnotherThreshold", SINGLE),
        ("PredictsAnotherThreshold", MULTI),
        ("IgnoresItsThresholds", MULTI),
    ],
    "check_return_proba_gives_the_same_results": [("RoundsOnTheWay", SINGLE), ("RoundsOnTheWay", MULTI)],
    "check_no_texts_give_empty_results": [("FlattensNothing", SINGLE), ("FlattensNothing", MULTI)],
    "check_one_text_works": [("SqueezesOneText", SINGLE)],
    "check_unusual_texts_can_be_labelled": [
        ("DividesByUnknownWords", SINGLE),
        ("DividesByUnknownWords", MULTI),
        ("UnderflowsOnLongTexts", SINGLE),
    ],
    "check_unusual_texts_can_be_trained_on": [("TakesTheFirstWord", SINGLE), ("TakesTheFirstWord", MULTI)],
    "check_probabilities_match_label_frequencies": [
        ("TrainsBinaryReadsSoftmax", SINGLE),
        ("TrainsBinaryReadsSoftmax", MULTI),
        ("IsNeverSure", SINGLE),
        ("IsNeverSure", MULTI),
    ],
    "check_probabilities_are_calibrated": [("IsAlwaysCertain", SINGLE), ("IsAlwaysCertain", MULTI)],
    "check_arguments_can_be_passed_by_name": [
        ("NamesWeightsOtherwise", SINGLE),
        ("NamesItsTextsOtherwise", SINGLE),
    ],
    "check_weights_of_one_equal_no_weights": [("DividesWeights", SINGLE), ("DividesWeights", MULTI)],
    "check_scale_of_weights_does_not_matter": [
        ("TakesWeightsAsTheyAre", SINGLE),
        ("TakesWeightsAsTheyAre", MULTI),
    ],
    "check_second_fit_uses_its_own_weights": [
        ("IgnoresLaterWeights", SINGLE),
        ("IgnoresLaterWeights", MULTI),
        ("KeepsEarlierWeights", SINGLE),
        ("KeepsEarlierWeights", MULTI),
    ],
    "check_fit_uses_current_labels": [
        ("KeepsWhatItMadeOfADataset", SINGLE),
        ("KeepsWhatItMadeOfADataset", MULTI),
    ],
    "check_dataset_changed_after_training_does_not_matter": [
        ("LearnsWhenItIsAsked", SINGLE),
        ("LearnsWhenItIsAsked", MULTI),
    ],
    "check_datasets_are_not_changed": [
        ("CleansTextsInPlace", SINGLE),
        ("CleansTextsWhenPredicting", MULTI),
        ("CleansTextsWhenEmbedding", SINGLE),
        ("SortsTheTrainingSet", SINGLE),
        ("SortsTheTrainingSet", MULTI),
        ("WritesItsAnswersIntoTheDataset", SINGLE),
        ("WritesItsAnswersIntoTheDataset", MULTI),
    ],
    "check_read_only_arrays_work": [
        ("WritesIntoWeights", SINGLE),
        ("CleansTextsThatHaveWeights", SINGLE),
        ("CleansTextsThatHaveWeights", MULTI),
        ("RefusesReadOnlyWeights", SINGLE),
    ],
    "check_zero_weight_equals_absence": [("RaisesZeroWeights", SINGLE), ("RaisesZeroWeights", MULTI)],
    "check_weights_are_honoured": [("IgnoresWeights", SINGLE), ("IgnoresWeights", MULTI)],
    "check_same_seed_gives_same_bits": [("IgnoresTheSeed", SINGLE)],
    "check_global_random_state_is_not_read": [("ReadsGlobalState", SINGLE)],
    "check_global_random_state_is_not_changed": [
        ("SeedsNumpy", SINGLE),
        ("DrawsWhenPredicting", SINGLE),
        ("SeedsWhenItIsMade", SINGLE),
        ("DrawsWhenSaving", SINGLE),
        ("DrawsWhenLoading", SINGLE),
        ("DrawsWhenEmbedding", SINGLE),
        ("DrawsWhenValidating", SINGLE),
    ],
    "check_settings_of_the_caller_are_not_changed": [
        ("MovesElsewhere", SINGLE),
        ("MovesElsewhereWhenSaving", SINGLE),
        ("SilencesNumpy", SINGLE),
        ("SilencesNumpy", MULTI),
        ("HandlesErrorsOfNumpy", SINGLE),
        ("SilencesWarnings", SINGLE),
        ("SilencesWarningsWhenLoading", SINGLE),
        ("SetsTheLocale", SINGLE),
        ("SetsAVariable", SINGLE),
        ("SetsAVariableWhenEmbedding", SINGLE),
        ("SetsAVariableWhenItIsMade", SINGLE),
        ("SetsAVariableWhenValidating", SINGLE),
    ],
    "check_empty_training_set_is_refused": [("ReducesNothing", SINGLE), ("ReducesNothing", MULTI)],
    "check_labels_out_of_range_are_refused": [("ClipsLabels", SINGLE), ("ClipsLabels", MULTI)],
    "check_unlabelled_rows_are_refused": [("DropsUnlabelled", SINGLE), ("DropsUnlabelled", MULTI)],
    "check_wrong_kind_of_labels_is_refused": [("TakesAnyKindOfLabels", SINGLE), ("TakesAnyKindOfLabels", MULTI)],
    "check_none_among_texts_is_refused": [("LearnsTheWordNone", SINGLE), ("LabelsTheWordNone", SINGLE)],
    "check_weights_of_wrong_length_are_refused": [("CutsWeights", SINGLE)],
    "check_invalid_weights_are_refused": [
        ("RepairsWeights", SINGLE),
        ("SaysOnlyThatSomethingIsWrong", SINGLE),
    ],
    "check_predicting_before_fitting_is_refused": [
        ("AnswersNothingUnfitted", SINGLE),
        ("StumblesUnfitted", SINGLE),
        ("FactoryOfOne", SINGLE),
    ],
    "check_failed_fit_keeps_the_model": [
        ("ForgetsBeforeItChecks", SINGLE),
        ("LearnsBeforeItChecks", SINGLE),
        ("LearnsBeforeItChecks", MULTI),
    ],
    "check_fit_trains_and_returns_self": [("ReturnsNothing", SINGLE), ("FailsToTrain", SINGLE)],
    "check_second_fit_starts_from_scratch": [
        ("RemembersOldTexts", SINGLE),
        ("RemembersOldTexts", MULTI),
        ("KeepsItsVocabulary", SINGLE),
        ("KeepsItsVocabulary", MULTI),
    ],
    "check_second_fit_replaces_label_names": [
        ("KeepsItsFirstNames", SINGLE),
        ("KeepsItsFirstNames", MULTI),
        ("KeepsNamesOfEarlierTexts", SINGLE),
    ],
    "check_classifiers_share_no_state": [("SharesItsTexts", SINGLE), ("SharesItsTexts", MULTI)],
    "check_repeated_training_leaves_no_files": [
        ("LeavesCheckpoints", SINGLE),
        ("LeavesFilesHere", SINGLE),
        ("LeavesFilesOpen", SINGLE),
    ],
    "check_repeated_training_leaves_no_threads": [
        ("LeavesAThreadAfterTraining", SINGLE),
        ("LeavesAThreadAfterPredicting", MULTI),
    ],
    "check_repeated_training_leaks_no_memory": [("KeepsEveryModel", SINGLE)],
    "check_saved_model_loads_in_new_process": [
        ("SavesHalfFloats", SINGLE),
        ("LoadsFromTheNetwork", SINGLE),
        ("IsNotRegistered", SINGLE),
    ],
    "check_saved_model_contains_no_pickle": [("SavesAPickle", SINGLE), ("SavesObjects", SINGLE)],
    "check_damaged_model_is_refused": [("LoadsWithoutLooking", SINGLE)],
    "check_saved_model_can_be_replaced": [
        ("KeepsTheOldModel", SINGLE),
        ("SavesOnlyToNewFolders", SINGLE),
        ("ReadsItsModelLater", SINGLE),
        ("ReadsItsModelLater", MULTI),
    ],
    "check_loaded_model_can_be_trained": [
        ("IgnoresFitOnceLoaded", SINGLE),
        ("IgnoresFitOnceLoaded", MULTI),
        ("ForgetsItsSeedOnSaving", SINGLE),
        ("ForgetsClassWeightsOnSaving", SINGLE),
        ("ForgetsClassWeightsOnSaving", MULTI),
        ("ForgetsHowToChooseThresholds", MULTI),
    ],
    "check_saving_and_loading_leave_nothing_open": [
        ("LeavesFilesOpenAfterSaving", SINGLE),
        ("LeavesFilesOpenAfterLoading", SINGLE),
        ("LeavesAThreadAfterSaving", SINGLE),
        ("LeavesAThreadAfterLoading", SINGLE),
    ],
    "check_calibration_and_thresholds_are_saved": [
        ("ForgetsThresholdsOnSaving", MULTI),
        ("ForgetsItsThresholdOnSaving", MULTI),
        ("ForgetsCalibrationOnSaving", SINGLE),
    ],
    "check_label_names_are_saved": [
        ("ForgetsNamesOnSaving", SINGLE),
        ("ForgetsNamesOnLoading", SINGLE),
        ("WantsANameForEachClass", SINGLE),
    ],
    "check_pickle_restores_the_classifier": [
        ("HoldsALambda", SINGLE),
        ("LosesItsModelInAPickle", SINGLE),
        ("LosesItsSeedInAPickle", SINGLE),
        ("KeepsALambdaFromEmbedding", SINGLE),
    ],
    "check_deepcopy_is_independent": [("SharesItselfAsACopy", SINGLE), ("LosesItsSeedInACopy", SINGLE)],
    "check_factory_works_in_another_process": [("OrdersWordsByHash", SINGLE), ("FactoryWithALambda", SINGLE)],
    "check_neighbours_do_not_matter": [("ComparesNeighbours", SINGLE), ("FollowsThePadding", MULTI)],
    "check_results_come_back_in_order": [
        ("ForgetsToSortBack", SINGLE),
        ("MixesUpLaterBatches", SINGLE),
        ("MixesUpLaterBatches", MULTI),
    ],
    "check_predictions_are_made_in_evaluation_mode": [
        ("PredictsInTrainingMode", SINGLE),
        ("PredictsInTrainingMode", MULTI),
        ("EmbedsInTrainingMode", SINGLE),
        ("ValidatesInTrainingMode", SINGLE),
        ("StaysInEvaluationMode", SINGLE),
    ],
    "check_batch_size_does_not_matter": [("DividesByBatchSize", SINGLE), ("DividesByBatchSize", MULTI)],
}


def wrong_factory(name, multi_label):
    counting = importlib.import_module("counting_classifier")
    modules = map(importlib.import_module, MODULES)
    wrong = next(getattr(module, name) for module in modules if hasattr(module, name))
    if issubclass(wrong, counting.CountingFactory):
        return wrong(3, multi_label)
    return counting.CountingFactory(wrong, 3, multi_label)


def test_every_check_has_a_classifier_that_fails_it():
    assert [check.name for check in checks() if not WRONG.get(check.name)] == []


def test_every_wrong_classifier_is_used_by_a_check():
    assert set(WRONG) <= {check.name for check in checks()}


@pytest.mark.parametrize(
    ("check", "wrong", "multi_label"),
    [
        pytest.param(check, wrong, multi_label, id=f"{check}-{wrong}-{'multi' if multi_label else 'single'}")
        for check, cases in WRONG.items()
        for wrong, multi_label in cases
    ],
)
@pytest.mark.usefixtures("counting_plugin", "same_settings")
def test_check_detects(check, wrong, multi_label, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PYTHONHASHSEED", raising=False)
    monkeypatch.setattr("smalltext_testing._training._SECONDS_TO_END", 0.0)  # these threads never end
    (result,) = run_checks(wrong_factory(wrong, multi_label), only=[check])
    assert result.status == "failed"
    assert result.check.name == check


SETTINGS_OF_TORCH = {
    "torch's default dtype": lambda torch: torch.set_default_dtype(torch.float64),
    "torch's deterministic mode": lambda torch: torch.use_deterministic_algorithms(True, warn_only=True),
    "torch's gradient mode": lambda torch: torch.set_grad_enabled(False),
    "torch's number of threads": lambda torch: torch.set_num_threads(torch.get_num_threads() + 1),
}


@pytest.mark.parametrize("setting", SETTINGS_OF_TORCH)
@pytest.mark.usefixtures("counting_plugin", "same_settings")
def test_settings_of_torch_belong_to_the_caller(setting, tmp_path, monkeypatch):
    torch = pytest.importorskip("torch")
    monkeypatch.chdir(tmp_path)
    counting = importlib.import_module("counting_classifier")

    class ChangesTorch(counting.CountingClassifier):
        def batch(self, texts):
            SETTINGS_OF_TORCH[setting](torch)
            return super().batch(texts)

    factory = counting.CountingFactory(ChangesTorch, 3, False)
    (result,) = run_checks(factory, only=["check_settings_of_the_caller_are_not_changed"])
    assert result.status == "failed"
    assert setting in str(result)


@pytest.mark.usefixtures("counting_plugin")
def test_new_process_does_not_wait_for_threads(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("smalltext_testing._saving.subprocess", subprocess)  # a forked process would not wait
    monkeypatch.setattr("smalltext_testing._saving._TIMEOUT", 100)
    factory = wrong_factory("KeepsTheProcessRunning", multi_label=False)
    try:
        (result,) = run_checks(factory, only=["check_factory_works_in_another_process"])
    finally:
        importlib.import_module("wrong_side_effects").ENOUGH.set()
    assert result.status == "passed", result


@pytest.mark.usefixtures("counting_plugin")
def test_freed_memory_does_not_hide_growth(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    large = np.ones(3_900_000)
    del large  # afterwards the C library keeps freed blocks of up to this size
    blocks, between = [np.ones(1_000_000) for _ in range(60)], [bytearray(200_000) for _ in range(3)]
    del blocks
    (result,) = run_checks(
        wrong_factory("KeepsEveryModel", multi_label=False), only=["check_repeated_training_leaks_no_memory"]
    )
    assert result.status == "failed"
    assert len(between) == 3
