"""Jobs of a prediction in shards that are killed at random lose and duplicate no rows."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

import fork_server

pytestmark = [
    pytest.mark.parametrize("kills", [6, pytest.param(1000, marks=pytest.mark.nightly)], indirect=True),
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="needs fork, and timers of CPU time"),
]


@pytest.fixture(scope="module")
def kills(request):
    """The minimum number of jobs to kill."""
    return request.param


@pytest.fixture(scope="module")
def found(kills, tmp_path_factory):
    """The results of the jobs and the rows."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[1])}
    ended = fork_server.run(
        ["-m", "robustness.shard_kills", tmp_path_factory.mktemp("kills"), kills],
        env=environment | {"POLARS_MAX_THREADS": "1"},
    )
    assert ended.returncode == 0, ended.stderr.decode()
    return json.loads(ended.stdout)


def test_no_row_is_lost_or_duplicated(found, kills, record_property):
    record_property("figures", found)
    assert found["kills"] >= kills
    assert found["rows"]
    assert (found["rows lost"], found["rows doubled"], found["rows out of order"]) == (0, 0, 0)


def test_every_visible_part_is_complete(found):
    assert found["wrong parts"] == 0
    assert found["merged files that differ"] == 0


def test_no_job_fails_because_of_files_of_a_killed_one(found):
    assert found["jobs that left a hidden file"] > 0
    assert found["failed"] == 0


@pytest.mark.parametrize("how", ["moment", "call", "event"])
def test_jobs_are_killed_at_all_kinds_of_points(found, how):
    assert found[f"killed at a random {how}"] > 0
