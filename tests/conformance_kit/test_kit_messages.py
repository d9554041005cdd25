"""The messages of the kit: every failure is explained, and reported only once."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

import fork_server
from smalltext_core.errors import InvalidInputError
from smalltext_testing import ConformanceError, check_classifier, checks, run_checks

PLUGIN = Path(__file__).parent / "counting_plugin"
LABEL_CHECKS = {
    "check_single_label_predictions_are_int32",
    "check_return_proba_gives_the_same_results",
    "check_no_texts_give_empty_results",
    "check_one_text_works",
    "check_unusual_texts_can_be_labelled",
}


def factory(name, multi_label=False, module="wrong_classifiers"):
    counting = importlib.import_module("counting_classifier")
    wrong = getattr(importlib.import_module(module), name)
    return counting.CountingFactory(wrong, 3, multi_label)


def failed(results):
    return [result.check.name for result in results if result.status == "failed"]


@pytest.mark.parametrize("check", checks(), ids=lambda check: check.name)
def test_every_check_has_a_rule_a_reason_and_a_remedy(check):
    assert 1 <= check.rule <= 11
    assert check.name.startswith("check_")
    assert check.summary.endswith(".")
    assert len(check.reason) > 40
    assert len(check.remedy) > 30


@pytest.mark.usefixtures("counting_plugin")
def test_types_are_named_with_their_article():
    (result,) = run_checks(factory("PredictsLongs"), only=["check_single_label_predictions_are_int32"])
    assert result.seen.startswith("predict gave an ndarray of int64")
    assert result.expected.startswith("an ndarray of int32")


def test_every_rule_has_a_check():
    assert {check.rule for check in checks()} == set(range(1, 12))


@pytest.mark.usefixtures("counting_plugin")
@pytest.mark.parametrize(
    ("method", "check"),
    [("learn", "check_fit_trains_and_returns_self"), ("batch", "check_probabilities_are_dense_float32")],
)
def test_a_classifier_that_fails_altogether_is_reported_once(method, check, monkeypatch):
    counting = importlib.import_module("counting_classifier").CountingClassifier
    monkeypatch.setattr(counting, method, lambda *_: 1 / 0)
    in_this_process = [one.name for one in checks() if "process" not in one.name]
    assert failed(run_checks(factory("CountingClassifier"), only=in_this_process)) == [check]
    assert failed(run_checks(factory("CountingClassifier"), only=["check_one_text_works"])) == [check]


@pytest.mark.usefixtures("counting_plugin")
def test_checks_that_train_or_replace_loaded_models_are_skipped_if_none_can_be_loaded():
    needing = [
        "check_saved_model_can_be_replaced",
        "check_loaded_model_can_be_trained",
        "check_saving_and_loading_leave_nothing_open",
    ]
    results = list(run_checks(factory("IsNotRegistered", module="wrong_saving"), only=needing))
    assert {result.status for result in results} == {"skipped"}
    assert {result.reason for result in results} == {"load() fails, see check_saved_model_loads_in_new_process"}


@pytest.mark.usefixtures("counting_plugin")
def test_an_exception_is_traced_to_the_line_of_the_plugin():
    (result,) = run_checks(factory("DividesByUnknownWords"), only=["check_unusual_texts_can_be_labelled"])
    assert result.seen.startswith("ZeroDivisionError")
    assert "wrong_classifiers.py:" in result.seen


@pytest.mark.usefixtures("counting_plugin")
def test_one_error_lists_every_broken_rule():
    with pytest.raises(ConformanceError) as caught:
        check_classifier(factory("DoesNotNormalise"))
    message = str(caught.value)
    assert "CountingFactory" in message
    assert "check_single_label_rows_sum_to_one (rule 1)" in message
    assert "check_probabilities_match_label_frequencies (rule 4)" not in message
    assert "sums to 0.5000" in message
    assert "1, within 0.001" in message
    assert "Exactly one class applies" in message
    assert "use softmax over the classes" in message


@pytest.mark.usefixtures("counting_plugin")
def test_an_exception_in_the_classifier_is_reported_with_its_place():
    (result,) = run_checks(factory("FailsToTrain"), only=["check_fit_trains_and_returns_self"])
    assert "RuntimeError: out of luck" in result.seen
    assert "wrong_classifiers.py" in result.seen


@pytest.mark.usefixtures("counting_plugin")
def test_a_classifier_that_cannot_be_trained_fails_the_check_of_fit_and_none_of_predictions():
    results = list(run_checks(factory("FailsToTrain")))
    assert "check_fit_trains_and_returns_self" in failed(results)
    assert "check_probabilities_are_dense_float32" not in failed(results)


@pytest.mark.usefixtures("counting_plugin")
def test_a_message_that_does_not_name_the_argument_is_quoted():
    (result,) = run_checks(factory("SaysOnlyThatSomethingIsWrong"), only=["check_invalid_weights_are_refused"])
    assert "bad input" in result.seen
    assert "weights" in result.expected


@pytest.mark.usefixtures("counting_plugin")
def test_an_expected_failure_is_not_a_failure():
    reason = "64 bits are what the caller wants"
    results = check_classifier(
        factory("PredictsLongs"),
        expected_failures=dict.fromkeys(LABEL_CHECKS, reason),
    )
    expected = [result for result in results if result.status == "expected failure"]
    assert {result.check.name for result in expected} == LABEL_CHECKS
    assert {result.reason for result in expected} == {reason}


@pytest.mark.usefixtures("counting_plugin")
def test_an_expected_failure_that_passes_is_a_failure():
    (result,) = run_checks(
        factory("CountingClassifier"),
        only=["check_one_text_works"],
        expected_failures={"check_one_text_works": "it does not"},
    )
    assert result.status == "failed"
    assert "take the check out of expected_failures" in result.expected


@pytest.mark.usefixtures("counting_plugin")
@pytest.mark.parametrize("reason", ["", " ", None])
def test_an_expected_failure_needs_a_reason(reason):
    with pytest.raises(InvalidInputError, match="a reason"):
        check_classifier(factory("CountingClassifier"), expected_failures={"check_one_text_works": reason})


@pytest.mark.usefixtures("counting_plugin")
def test_an_unknown_check_is_refused_with_the_nearest_name():
    with pytest.raises(InvalidInputError, match="Did you mean 'check_one_text_works'"):
        check_classifier(factory("CountingClassifier"), expected_failures={"check_one_text": "it does not"})


@pytest.mark.usefixtures("counting_plugin")
def test_number_of_classes_is_found_by_training_if_it_is_not_an_attribute():
    class Silent:
        """Has the three methods and no attributes."""

        def __init__(self, classifier):
            self._classifier = classifier

        def fit(self, train_set, weights=None):
            self._classifier.fit(train_set, weights)
            return self

        def predict(self, data_set, return_proba=False):
            return self._classifier.predict(data_set, return_proba)

        def predict_proba(self, data_set):
            return self._classifier.predict_proba(data_set)

    class SilentFactory:
        def new(self):
            return Silent(factory("CountingClassifier").new())

    names = ["check_probabilities_are_dense_float32", "check_saved_model_loads_in_new_process"]
    first, second = run_checks(SilentFactory(), only=names)
    assert first.status == "passed"
    assert second.status == "skipped"
    assert "no save()" in second.reason


MODULE = """
import sys
sys.path.insert(0, {plugin!r})
from counting_classifier import CountingClassifier, CountingFactory
from wrong_classifiers import DoesNotNormalise, GivesDoubles
from smalltext_testing import parametrize_checks

right, wrong = CountingFactory(CountingClassifier, 3), CountingFactory(GivesDoubles, 3)

@parametrize_checks(right, wrong, ids=["right", "wrong"])
def test_keeps_the_rules(check):
    check()

@parametrize_checks(
    CountingFactory(DoesNotNormalise, 3),
    expected_failures={{
        "check_single_label_rows_sum_to_one": "it halves them",
        "check_one_text_works": "this is not so",
    }},
)
def test_keeps_most_rules(check):
    check()
"""


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """The report of pytest for a third-party test module, one line per test."""
    folder = tmp_path_factory.mktemp("third_party")
    (folder / "test_third_party.py").write_text(MODULE.format(plugin=str(PLUGIN)), encoding="utf-8")
    chosen = "rows_sum_to_one or dense_float32 or multi_label_predictions or one_text_works"
    done = fork_server.run(
        ["-m", "pytest", "-rA", "-p", "no:cacheprovider", "-k", chosen, "test_third_party.py"], cwd=folder
    )
    return done.stdout.decode()


@pytest.mark.parametrize(
    "line",
    [
        "PASSED test_third_party.py::test_keeps_the_rules[right-check_probabilities_are_dense_float32]",
        "FAILED test_third_party.py::test_keeps_the_rules[wrong-check_probabilities_are_dense_float32]",
        "XFAIL test_third_party.py::test_keeps_most_rules[CountingFactory-check_single_label_rows_sum_to_one]",
        "FAILED test_third_party.py::test_keeps_most_rules[CountingFactory-check_one_text_works]",
        "the problem is single-label",
        "what to do: end predict_proba with `np.asarray(proba, dtype=np.float32)`",
    ],
)
def test_pytest_reports_one_test_for_each_factory_and_check(report, line):
    assert line in report
