"""The distribution of tests to workers of pytest-xdist: by file, by folder with shared fixtures, or one by one."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from architecture import packages
from work_units import INDEPENDENT, LONG, SHARING_FOLDERS


class Worker:
    """A worker that records the tests that it receives."""

    def __init__(self, name):
        self.gateway = SimpleNamespace(id=name)
        self.shutting_down = False
        self.sent = []

    def send_runtest_some(self, numbers):
        self.sent += numbers

    def shutdown(self):
        self.shutting_down = True


def scheduled(pytestconfig, tests):
    """Return the tests that each of two workers runs, in order."""
    options = {"dist": "loadfile", "tx": ["popen", "popen"]}
    config = SimpleNamespace(
        getoption=options.get, getvalue=options.get, option=SimpleNamespace(loadscopereorder=True)
    )
    scheduling = pytestconfig.hook.pytest_xdist_make_scheduler(config=config, log=None)
    workers = [Worker("one"), Worker("two")]
    for worker in workers:
        scheduling.add_node(worker)
    for worker in workers:
        scheduling.add_node_collection(worker, tests)
    scheduling.schedule()
    done = dict.fromkeys(workers, 0)
    while any(done[worker] < len(worker.sent) for worker in workers):
        for worker in workers:
            if done[worker] < len(worker.sent):
                scheduling.mark_test_complete(worker, worker.sent[done[worker]])
                done[worker] += 1
    return [[tests[number] for number in worker.sent] for worker in workers]


def cases(path, count=10):
    return [f"{path}::test_it[{number}]" for number in range(count)]


@pytest.fixture(autouse=True)
def _with_xdist(pytestconfig):
    pytest.importorskip("xdist")
    if not hasattr(pytestconfig.hook, "pytest_xdist_make_scheduler"):
        pytest.skip("pytest-xdist is switched off")


def test_a_file_goes_to_one_worker(pytestconfig):
    one, two = cases("tests/core/test_one.py"), cases("tests/core/test_two.py")
    parts = scheduled(pytestconfig, [test for pair in zip(one, two, strict=True) for test in pair])
    assert sorted(parts) == [one, two]


def test_files_that_share_fixtures_go_to_one_worker(pytestconfig):
    installing = cases("tests/install/test_one.py") + cases("tests/install/test_two.py")
    others = cases("tests/core/test_one.py")
    assert sorted(scheduled(pytestconfig, others + installing), key=len) == [others, installing]


def test_independent_tests_go_to_any_worker(pytestconfig):
    calls = cases("tests/robustness/test_random_calls.py")
    assert all(scheduled(pytestconfig, calls))


def test_long_files_with_few_tests_are_begun_early(pytestconfig):
    many = [test for number in range(20) for test in cases(f"tests/core/test_{number}.py")]
    (long,) = cases("tests/docs/test_pages.py", count=1)
    (part,) = (part for part in scheduled(pytestconfig, [*many, long]) if long in part)
    assert part.index(long) <= 20, "two files are assigned beforehand"


def test_the_long_files_exist():
    units = [*LONG, *SHARING_FOLDERS, *INDEPENDENT]
    assert [unit for unit in units if not (packages.TOP / unit).exists()] == []
