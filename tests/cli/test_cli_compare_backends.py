"""Backends of joblib run the cells of a comparison, which are kept one by one, wherever they ran."""

from __future__ import annotations

import json
from pathlib import Path

import joblib
import pytest
from joblib._parallel_backends import ThreadingBackend

from smalltext_cli.compare import runner
from smalltext_cli.compare.cells import CellFolder
from smalltext_cli.compare.comparison import Comparison
from smalltext_cli.compare.simulation import Simulation
from smalltext_cli.compare.study import Study
from smalltext_cli.readers import Reader

OPTIONS = {"classifiers": "sklearn", "shots": "2,4", "repeats": 3}


@pytest.fixture
def comparison(mails, tmp_path):
    return Comparison(str(mails), Reader("text", "label"), tmp_path / "comparison", **OPTIONS)


def cells(study):
    return json.loads((study.kept.folder / "results.json").read_text("utf-8"))["cells"]


class Recording(ThreadingBackend):
    """A backend that remembers how many jobs it was configured for."""

    configured = ()

    def configure(self, n_jobs=1, **options):
        type(self).configured += (n_jobs,)
        return super().configure(n_jobs=n_jobs, **options)


class ListsAlone(Recording):
    """A backend that returns the results of all calls at once, as that of ray."""

    supports_return_generator = False


@pytest.fixture(params=[Recording, ListsAlone])
def backend(request, monkeypatch):
    monkeypatch.setattr(request.param, "configured", ())
    joblib.register_parallel_backend("recording", request.param)
    return request.param


@pytest.fixture
def ran(monkeypatch):
    """Let each cell end with an error; return the number of threads that each was given."""
    found = []

    def cell(key, request, rounds, threads=None):
        found.append(threads)
        return key, {"error": "none", "seconds": 1.0}

    monkeypatch.setattr(runner, "run_in_process", cell)
    return found


def test_a_block_of_joblib_chooses_the_backend_and_the_number_of_jobs(comparison, backend, ran):
    with joblib.parallel_config("recording", n_jobs=2):
        comparison.run()
    assert set(backend.configured) == {2}
    assert len(ran) == len(cells(comparison)) == 6
    assert len(set(ran)) == 1


def test_the_number_of_jobs_that_is_given_comes_first(comparison, backend, ran):
    with joblib.parallel_config("recording", n_jobs=2):
        comparison.run(jobs=3)
    assert set(backend.configured) == {3}


def test_a_backend_by_name(comparison, backend, ran):
    comparison.run(backend="recording", jobs=2)
    assert set(backend.configured) == {2}


def test_without_a_block_cells_run_one_after_another(comparison, ran):
    comparison.run()
    assert ran == [None] * 6


def test_results_are_kept_as_they_come_and_not_run_again(comparison, backend, ran, monkeypatch, mails, tmp_path):
    keep, kept = CellFolder.keep, []

    def interrupted(self, one, result):
        if len(kept) == 3:
            raise KeyboardInterrupt
        kept.append(one.key)
        keep(self, one, result)

    with monkeypatch.context() as patch, joblib.parallel_config("recording", n_jobs=2):
        patch.setattr(CellFolder, "keep", interrupted)
        with pytest.raises(KeyboardInterrupt):
            comparison.run()
    assert {path.stem for path in (tmp_path / "comparison" / "cells").glob("*.json")} == set(kept)
    ran.clear()
    again = Comparison(str(mails), Reader("text", "label"), tmp_path / "comparison", **OPTIONS)
    again.run()
    assert len(ran) == 3


def where(key, request, rounds, threads=None):
    """A cell whose error is the address of the worker of dask that it runs on."""
    from distributed import get_worker

    return key, {"error": get_worker().address, "seconds": 1.0}


def test_dask_gets_the_cells_as_many_at_once_as_it_has_cores(comparison, monkeypatch):
    distributed = pytest.importorskip("distributed")
    monkeypatch.setattr(runner, "run_in_process", where)
    cluster = {"n_workers": 2, "threads_per_worker": 1, "processes": False, "dashboard_address": None}
    with distributed.Client(**cluster) as client, joblib.parallel_config("dask"):
        workers = set(client.scheduler_info()["workers"])
        comparison.run()
    assert {cell["error"] for cell in cells(comparison)} == workers


@pytest.mark.nightly
def test_processes_of_dask_start_a_process_for_each_cell(comparison):
    distributed = pytest.importorskip("distributed")
    cluster = {"n_workers": 2, "threads_per_worker": 1, "processes": True, "dashboard_address": None}
    with distributed.Client(**cluster), joblib.parallel_config("dask"):
        comparison.run()
    assert len(cells(comparison)) == 6
    for cell in cells(comparison):
        assert cell["accuracy"] > 0.5
        assert cell["peak_memory_bytes"] > 10_000_000


def test_a_machine_without_the_folder_of_a_simulation_keeps_rounds_for_itself(monkeypatch, tmp_path):
    requests = []

    class Ended:
        returncode, stdin = 0, None

        def __init__(self, command, **_):
            folder = Path(command[3])
            requests.append(json.loads((folder / "request.json").read_text()))
            (folder / "result.json").write_text("{}")

        def wait(self):
            return 0

    monkeypatch.setattr(runner.subprocess, "Popen", Ended)
    runner.run_in_process("a", {}, str(tmp_path / "a.rounds.jsonl"))
    runner.run_in_process("a", {}, "/nowhere/runs/a.rounds.jsonl")
    here, elsewhere = (one["rounds_file"] for one in requests)
    assert here == str(tmp_path / "a.rounds.jsonl")
    assert not elsewhere.startswith("/nowhere")


def test_comparisons_and_simulations_are_studies():
    for kind in (Comparison, Simulation):
        assert issubclass(kind, Study)
        assert kind.run is Study.run


def test_both_commands_have_the_same_shared_options(smalltext):
    import inspect

    from smalltext_cli.commands.compare import compare
    from smalltext_cli.commands.simulate import simulate

    one, other = (dict(inspect.signature(command).parameters) for command in (compare, simulate))
    assert one.keys() ^ other.keys() == {"shots", "strategies", "rounds", "batch"}
    assert all(one[name] == other[name] for name in one.keys() & other.keys())
