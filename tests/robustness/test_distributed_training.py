"""Data-parallel training in two processes gives the results of one process, the same in both."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from robustness import two_processes
from smalltext_core.errors import InvalidInputError, UnsupportedError

LAUNCHED = {"WORLD_SIZE": "2", "RANK": "0", "LOCAL_RANK": "0", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29511"}


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """The results of the fastest tasks, in each process."""
    folder = tmp_path_factory.mktemp("both")
    return two_processes.results(folder, "weighted", "saved", "seeds", "different_texts")


@pytest.fixture(scope="module")
def further(tmp_path_factory):
    """The results of further tasks."""
    trainings = [name for name in two_processes.TRAININGS if name != "weighted"]
    return two_processes.results(tmp_path_factory.mktemp("further"), *trainings, "failures")


def losses(outcome):
    """Return the history as an array, without times."""
    rows = [[value for name, value in record.items() if name != "seconds"] for record in outcome["history"]]
    return np.array(rows, dtype=np.float64)


def assert_as_in_one_process(name, results):
    alone = two_processes.outcome(two_processes.TRAININGS[name](1))
    for result in results:
        np.testing.assert_allclose(losses(result[name]), losses(alone), rtol=1e-3, atol=1e-5)
        np.testing.assert_allclose(result[name]["proba"], alone["proba"], atol=1e-4)
        for learned in ("calibration", "thresholds"):
            assert (result[name][learned] is None) == (alone[learned] is None)
        if alone["calibration"] is not None:
            np.testing.assert_allclose(result[name]["calibration"].scale, alone["calibration"].scale, rtol=1e-3)
        if alone["thresholds"] is not None:
            np.testing.assert_allclose(result[name]["thresholds"], alone["thresholds"], rtol=1e-3)


def assert_alike(one, other):
    """Return whether two results have the same bits."""
    np.testing.assert_array_equal(losses(one), losses(other))
    assert (one["proba"] == other["proba"]).all()
    assert one["calibration"] == other["calibration"]


def test_losses_are_those_of_one_process_with_batches_of_both(both):
    assert_as_in_one_process("weighted", both)


@pytest.mark.nightly
@pytest.mark.parametrize("name", [name for name in two_processes.TRAININGS if name != "weighted"])
def test_every_kind_of_training_is_that_of_one_process(further, name):
    assert_as_in_one_process(name, further)


def test_processes_end_with_the_same_model(both):
    main, other = both
    assert_alike(main["weighted"], other["weighted"])
    for one, same in zip(main["seeds"], other["seeds"], strict=True):
        assert_alike(one, same)


def test_the_same_seed_gives_the_same_bits(both):
    first, second, unseeded = both[0]["seeds"]
    assert_alike(first, second)
    assert (first["proba"] != unseeded["proba"]).any()


def test_saved_models_can_be_loaded_immediately_in_every_process(both):
    assert [result["saved"] for result in both] == [True, True]


def test_callbacks_are_called_in_the_main_process(both):
    validations = len(both[0]["weighted"]["history"])
    assert [result["weighted"]["called_back"] for result in both] == [validations, 0]


def test_every_process_refuses_texts_that_differ_between_them(both):
    for result in both:
        assert result["different_texts"].startswith("InvalidInputError: train_set: got texts, labels")


@pytest.mark.nightly
def test_a_failure_of_the_main_process_ends_all_trainings(further):
    main, other = (result["failures"] for result in further)
    assert main["callback"] == "KeyError: 'no such metric'"
    assert other["callback"] == "ProcessError: In the main process: KeyError: 'no such metric'"
    assert main["save"].startswith("ModelFolderError: ")
    assert other["save"] == f"ProcessError: In the main process: {main['save']}"


@pytest.mark.nightly
def test_a_failed_training_leaves_the_model_of_every_process_unchanged(further):
    for result in further:
        assert result["failures"]["diverged"].startswith("DivergedError: ")
        assert result["failures"]["unchanged"] == "True"


@pytest.fixture
def launched(monkeypatch):
    """Set the environment variables of torchrun."""
    for name, value in LAUNCHED.items():
        monkeypatch.setenv(name, value)


@pytest.mark.usefixtures("launched")
def test_an_error_reports_that_accelerate_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "accelerate", None)
    with pytest.raises(UnsupportedError, match=r"in 2 processes.*pip install accelerate.*unset WORLD_SIZE"):
        two_processes.kimcnn(2).fit(two_processes.texts(20))


@pytest.mark.usefixtures("launched")
def test_an_error_names_missing_variables_of_the_launcher(monkeypatch):
    monkeypatch.delenv("MASTER_PORT")
    with pytest.raises(InvalidInputError, match=r"^WORLD_SIZE: .*without MASTER_PORT.*torchrun"):
        two_processes.kimcnn(2).fit(two_processes.texts(20))


@pytest.mark.usefixtures("launched")
def test_setfit_refuses_to_train_a_copy_in_each_process():
    setfit = pytest.importorskip("smalltext_setfit")
    with pytest.raises(UnsupportedError, match="setfit trains in one process, and 2 were started"):
        setfit.SetFitClassification("a-model", 2).fit(two_processes.texts(20))


def test_one_process_needs_no_accelerate(monkeypatch):
    monkeypatch.setitem(sys.modules, "accelerate", None)
    monkeypatch.setenv("WORLD_SIZE", "1")
    assert two_processes.kimcnn(1).fit(two_processes.texts(20)).model is not None
