"""Factories created by name, and fitted classifiers, can be sent to worker processes of any start method."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

import fork_server
from robustness import backends
from robustness.ship import LOKY_SHIPS

pytestmark = [pytest.mark.slow]

METHODS = ("fork", "loky") if hasattr(os, "fork") else ("spawn", "loky")
NIGHTLY_METHODS = ("spawn",) if hasattr(os, "fork") else ()
"""Importing all backends again takes longest; the conformance kit also trains each of them in a new process."""


@pytest.fixture(scope="module")
def differences(pytestconfig):
    """For each start method, backend and task, the difference of the probabilities."""
    methods = (*METHODS, *(NIGHTLY_METHODS if pytestconfig.getoption("nightly") else ()))
    ended = fork_server.run(
        ["-m", "robustness.ship", *methods],
        env={**os.environ, "OMP_NUM_THREADS": "2", "PYTHONPATH": str(Path(__file__).parents[1])},
    )
    assert ended.returncode == 0, ended.stderr.decode()
    found = {}
    for line in ended.stdout.decode().splitlines():
        found |= json.loads(line)
    return found


@pytest.mark.parametrize("task", ["train", "predict"])
@pytest.mark.parametrize(
    ("method", "name"),
    [
        pytest.param(method, name, marks=[pytest.mark.nightly] if method in NIGHTLY_METHODS else [])
        for method in (*METHODS, *NIGHTLY_METHODS)
        for name in backends.NAMES
        if method != "loky" or name in LOKY_SHIPS
    ],
)
def test_a_worker_process_predicts_the_same_probabilities(differences, method, name, task):
    # A forked worker uses one thread, which adds in another order than two.
    assert differences[method][f"{name} {task}"] <= 1e-5
