"""For all tests: what is collected, which tests run nightly, what was skipped, and a network that refuses."""

from __future__ import annotations

import contextlib
import gc
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import warnings
from collections import defaultdict
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import pytest

import cpu_times
import fork_server
from work_units import LONG, work_unit

INSTALL_BROWSER = "apt-get install --yes --no-install-recommends chromium chromium-driver"
"""The command for Debian and its relatives; `.ci/run` gives it too."""

EXPENSIVE_CHECKS = {
    "check_factory_works_in_another_process",
    "check_saved_model_loads_in_new_process",
    "check_repeated_training_leaks_no_memory",
    "check_repeated_training_leaves_no_files",
    "check_repeated_training_leaves_no_threads",
}
"""The checks that import a backend in a new process or train twenty times: three quarters of the kit's cost."""

CHECKS_OF_ANY_LABELS = {
    "check_classifiers_share_no_state",
    "check_dataset_changed_after_training_does_not_matter",
    "check_deepcopy_is_independent",
    "check_failed_fit_keeps_the_model",
    "check_global_random_state_is_not_changed",
    "check_global_random_state_is_not_read",
    "check_loaded_model_can_be_trained",
    "check_same_seed_gives_same_bits",
    "check_scale_of_weights_does_not_matter",
    "check_saved_model_can_be_replaced",
    "check_second_fit_replaces_label_names",
    "check_second_fit_starts_from_scratch",
    "check_second_fit_uses_its_own_weights",
    "check_settings_of_the_caller_are_not_changed",
    "check_unusual_texts_can_be_trained_on",
    "check_weights_of_one_equal_no_weights",
}
"""The checks that train anew and say nothing about labels, of which there are one or several a text."""

_ROUNDS = 6
"""How often the kit trains by default where that takes long."""


def pytest_ignore_collect(collection_path):
    """Collect tests alone here; the doctests that run are those of the packages."""
    if collection_path.suffix == ".py" and not collection_path.name.startswith("test_"):
        return True
    return None


def pytest_addoption(parser):
    parser.addoption("--nightly", action="store_true", help="run the tests that are marked nightly, too")
    cpu_times.add_option(parser)


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(config, items):
    """Deselect nightly tests unless `--nightly` is given, whatever else `-m` and `-k` select."""
    _refuse_addresses_in_names(items)
    _mark_expensive_checks(items)
    result = yield
    if not config.getoption("nightly"):
        _deselect_nightly_tests(config, items)
    return result


@pytest.hookimpl(tryfirst=True)
def pytest_collection():
    """Collect no garbage while modules are imported and tests are collected: a sixth of the time, for nothing."""
    gc.disable()


def pytest_collection_finish():
    """Exempt what imports and the collection created, which is never garbage, from later garbage collection."""
    gc.collect()
    gc.freeze()
    gc.enable()


def _refuse_addresses_in_names(items):
    """Refuse tests that are named after an address in memory: parallel workers would collect different tests."""
    named = [item.nodeid for item in items if " at 0x" in item.nodeid]
    if named:
        raise pytest.UsageError(f"a test is named after an address in memory; give it ids=...: {named[0]}")


def _mark_expensive_checks(items):
    """Run such checks of the conformance kit for the first factory of each file, and nightly for all."""
    first = {}
    for item in items:
        check = item.callspec.params.get("check") if hasattr(item, "callspec") else None
        context = getattr(check, "context", None)
        if context is None or first.setdefault(item.path, context) is context:
            continue
        if check.check.name in EXPENSIVE_CHECKS | CHECKS_OF_ANY_LABELS:
            item.add_marker(pytest.mark.nightly)


def _deselect_nightly_tests(config, items):
    nightly = [item for item in items if item.get_closest_marker("nightly")]
    if nightly:
        config.hook.pytest_deselected(items=nightly)
        items[:] = [item for item in items if not item.get_closest_marker("nightly")]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Hand out whole files with `--dist loadfile`: what the tests of one share is made once, not once a worker.

    The marker `xdist_group` would say the same, but it has no effect with pytest 9.2 and pytest-xdist 3.8.
    """
    if config.getoption("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling

    class Scheduling(LoadFileScheduling):
        def _split_scope(self, nodeid):
            return work_unit(nodeid)

        def schedule(self):
            """Put long units at the front of the queue, which is in the order of their numbers of tests."""
            super().schedule()
            for unit in reversed(LONG):
                if unit in self.workqueue:
                    self.workqueue.move_to_end(unit, last=False)

    return Scheduling(config, log)


def pytest_terminal_summary(terminalreporter, config):
    """Say what was skipped for want of a browser, and how the nightly tests went."""
    _report_skipped_browser_tests(terminalreporter)
    if config.getoption("nightly"):
        _report_nightly_tests(terminalreporter)


def _report_nightly_tests(terminalreporter):
    """Print each nightly test: its outcome, its duration with fixtures, its figures from `record_property`."""
    terminalreporter.section("nightly tests")
    durations = defaultdict(float)
    for reports in terminalreporter.stats.values():
        for report in reports:
            if isinstance(report, pytest.TestReport):
                durations[report.nodeid] += report.duration
    for outcome in ("passed", "skipped", "failed", "error", "xfailed", "xpassed"):
        for report in terminalreporter.getreports(outcome):
            if "nightly" in report.keywords:
                figures = "".join(f", {name}: {value}" for name, value in report.user_properties)
                terminalreporter.line(f"{outcome} {report.nodeid} in {durations[report.nodeid]:.0f} s{figures}")


def _report_skipped_browser_tests(terminalreporter):
    """Say once how many tests need a browser that is not installed, and how to install it."""
    reports = terminalreporter.getreports(
        "skipped"
    )  # of tests, and of files that are skipped as they are collected
    skipped = [report for report in reports if "browser" in getattr(report, "keywords", ())]
    if skipped:
        terminalreporter.section("no browser")
        terminalreporter.line(
            f"{len(skipped)} tests were skipped because Chromium and chromedriver are not both installed."
        )
        terminalreporter.line(f"Install them with the system's package manager: {INSTALL_BROWSER}")


def pytest_configure(config):
    """Set up hypothesis, CPU times, what is cheaper than nightly, and the fork server that workers share."""
    cpu_times.register(config)
    if not config.getoption("nightly"):
        config.pluginmanager.register(_ForkedDoctests())
        _do_not_wait_for_the_disk(config)
    if config.getoption("numprocesses", None) and hasattr(os, "fork"):
        sharing = contextlib.ExitStack()
        sharing.enter_context(fork_server.share())
        config.add_cleanup(sharing.close)
    if find_spec("hypothesis") is not None:
        from hypothesis import HealthCheck, settings

        examples = 100 if config.getoption("nightly") else 50
        settings.register_profile(
            "any machine",
            deadline=None,
            max_examples=examples,
            suppress_health_check=[HealthCheck.too_slow],
        )
        settings.load_profile("any machine")


def _do_not_wait_for_the_disk(config):
    """Replace `os.fsync` in this process: temporary files need not outlive a power failure.

    Thousands of calls of some milliseconds each would be a tenth of the time on a disk. Processes that tests start
    and kill call the real one, and so do nightly tests.
    """
    real = os.fsync
    os.fsync = lambda descriptor: None
    config.add_cleanup(lambda: setattr(os, "fsync", real))


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str


@pytest.fixture
def smalltext(monkeypatch, capsys):
    """Return a function that runs the command `smalltext` in this process, and returns how it ended."""
    from smalltext_cli import app
    from smalltext_cli.console import ending_signals

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["smalltext", *map(str, arguments)])
        handlers, shown = {one: signal.getsignal(one) for one in ending_signals()}, warnings.showwarning
        capsys.readouterr()
        try:
            with pytest.raises(SystemExit) as end:
                app.main()
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)
            warnings.showwarning = shown
        out, err = capsys.readouterr()
        return Ended(int(end.value.code or 0), out, err)

    return run


def _run_forked(command, *, env, timeout, **_):
    done = fork_server.run(command[1:], env=env, timeout=timeout)
    return subprocess.CompletedProcess(command, done.returncode, "", done.stderr.decode("utf-8", "replace"))


@pytest.fixture
def forked_checks(monkeypatch, pytestconfig):
    """Have the conformance kit fork the processes that it starts; nightly they are new, as for everybody else."""
    if not pytestconfig.getoption("nightly"):
        monkeypatch.setattr("smalltext_testing._saving.subprocess", SimpleNamespace(run=_run_forked))


class _ForkedDoctests:
    """What `forked_checks` is for the doctests of the kit, which see no fixture of this file."""

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item):
        if not isinstance(item, pytest.DoctestItem) or not item.name.startswith("smalltext_testing."):
            return (yield)
        with pytest.MonkeyPatch.context() as monkeypatch:
            monkeypatch.setattr("smalltext_testing._saving.subprocess", SimpleNamespace(run=_run_forked))
            return (yield)


@pytest.fixture
def fewer_rounds(monkeypatch, pytestconfig):
    """Have the kit train fewer times to see what is left in memory and on disk; nightly twenty times."""
    if not pytestconfig.getoption("nightly"):
        monkeypatch.setattr("smalltext_testing._training._ROUNDS", _ROUNDS)
        monkeypatch.setattr("smalltext_testing._training._MEASURED_ROUNDS", range(_ROUNDS - 3, _ROUNDS + 1))


@pytest.fixture
def asked(monkeypatch):
    """Return the hosts that were asked for; each of them refuses."""
    import huggingface_hub
    import transformers

    from smalltext_torch.model_loading import OFFLINE

    hosts = []

    def refuse(*given, **_):
        hosts.append(given)
        raise OSError("there is no network")

    for variable in OFFLINE:
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    # Once a day the hub's client asks what it is to tell the hub of its user; only this keeps it from that.
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_DISABLE_TELEMETRY", True)
    monkeypatch.setattr(transformers.utils.hub, "_is_offline_mode", False, raising=False)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(time, "sleep", lambda _: None)
    return hosts


@pytest.fixture
def hub_cache(tmp_path):
    """Return a function that makes a cache of the hub which holds a folder as if it had been downloaded."""

    def cache(name, folder):
        commit, home = "a" * 40, tmp_path / "hub" / f"models--{name.replace('/', '--')}"
        (home / "refs").mkdir(parents=True)
        (home / "refs" / "main").write_text(commit)
        shutil.copytree(Path(folder), home / "snapshots" / commit)
        return tmp_path / "hub"

    return cache


@pytest.fixture(scope="session")
def browser(tmp_path_factory):
    """Chromium without a window; a test that needs it is skipped where it is not installed, except in CI."""
    programs = [shutil.which(name) for name in ("chromium", "chromium-browser", "google-chrome")]
    program, driver = next(filter(None, programs), None), shutil.which("chromedriver")
    if program is None or driver is None:
        missing = "needs chromium and chromedriver, which are not both installed"
        pytest.fail(missing) if os.environ.get("CI") else pytest.skip(missing)
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = program
    quiet = ("quic", "gpu", "background-networking", "component-update", "sync")
    for argument in ("headless", "no-sandbox", "no-first-run", *(f"disable-{what}" for what in quiet)):
        options.add_argument(f"--{argument}")
    options.add_argument(f"--user-data-dir={tmp_path_factory.mktemp('profile')}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driven = webdriver.Chrome(options=options, service=Service(driver))
    yield driven
    driven.quit()
