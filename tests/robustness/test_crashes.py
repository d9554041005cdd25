"""A killed process leaves the old or the new result, never an incomplete one."""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from pathlib import Path

import pytest

import fork_server

pytestmark = [
    pytest.mark.parametrize("kills", [10, pytest.param(100, marks=pytest.mark.nightly)], indirect=True),
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="needs fork, and the exchange of two folders"),
]


@pytest.fixture(scope="module")
def kills(request):
    """The minimum number of processes to kill."""
    return request.param


@pytest.fixture(scope="module")
def left_behind(kills, tmp_path_factory):
    """The results of each process, including those that completed."""
    ended = fork_server.run(
        ["-m", "robustness.crashes", tmp_path_factory.mktemp("crashes"), kills],
        env={
            **os.environ,
            "OMP_NUM_THREADS": "1",
            "TOKENIZERS_PARALLELISM": "false",
            "PYTHONPATH": str(Path(__file__).parents[1]),
        },
    )
    assert ended.returncode == 0, ended.stderr.decode()
    return [json.loads(line) for line in ended.stdout.decode().splitlines()]


@pytest.fixture(scope="module")
def killed(left_behind):
    return [one for one in left_behind if one["how"] != "not"]


def test_the_requested_number_of_processes_was_killed(killed, kills, record_property):
    record_property("killed processes", len(killed))
    assert len(killed) >= kills


@pytest.mark.parametrize("task", ["train", "predict", "save"])
def test_the_result_is_the_old_or_the_new_one(killed, task):
    states = Counter(one["state"] for one in killed if one["task"].startswith(task))
    assert states["old"]
    assert set(states) <= {"old", "new"}


@pytest.mark.parametrize("task", ["train", "predict", "save"])
def test_incomplete_results_have_hidden_names(killed, task):
    left = Counter(one["left"] for one in killed if one["task"].startswith(task))
    assert set(left) <= {"nothing", "room", "half"}


@pytest.mark.parametrize("task", ["train", "predict", "save"])
@pytest.mark.parametrize("how", ["at a call", "from outside"])
def test_many_are_killed_while_writing(killed, task, how):
    assert sum(one["left"] == "half" for one in killed if one["task"].startswith(task) and one["how"] == how) >= 3


def test_some_are_killed_after_the_new_result_is_in_place(killed):
    assert any(one["state"] == "new" and one["left"] != "nothing" for one in killed)


def test_the_next_complete_process_removes_the_files_of_killed_ones(left_behind):
    finished = [one for one in left_behind if one["how"] == "not"]
    assert {one["task"] for one in finished} == {one["task"] for one in left_behind}
    assert {(one["state"], one["left"]) for one in finished} == {("new", "nothing")}
