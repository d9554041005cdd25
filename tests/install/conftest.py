"""Wheels, built once, and the environments that tests share: none of them changes one."""

from __future__ import annotations

import subprocess
import sys

import pytest

from house import packages
from install.environments import empty_environment, linked

PLUGINS = packages.TOP / "tests" / "plugins"


@pytest.fixture(scope="session")
def wheels(tmp_path_factory):
    """Return a folder with the sdist of every package, and the wheel built from that sdist."""
    folder = tmp_path_factory.mktemp("wheels")
    for name in packages.NAMES:
        command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, packages.folder(name)]
        subprocess.run(command, check=True, capture_output=True)
    return folder


@pytest.fixture(scope="session")
def core_environment(tmp_path_factory, wheels):
    environment = empty_environment(tmp_path_factory.mktemp("core"), wheels)
    environment.install("smalltext-core")
    return environment


@pytest.fixture(scope="session")
def sklearn_environment(tmp_path_factory, wheels):
    environment = empty_environment(tmp_path_factory.mktemp("sklearn"), wheels)
    environment.install("smalltext-sklearn")
    return environment


@pytest.fixture(scope="session")
def cli_environment(tmp_path_factory, wheels):
    environment = empty_environment(tmp_path_factory.mktemp("cli"), wheels)
    environment.install("smalltext-cli", "smalltext-sklearn")
    return environment


@pytest.fixture(scope="session")
def plugin_wheels(tmp_path_factory):
    """Return a folder with the wheels of the backends of other people."""
    folder = tmp_path_factory.mktemp("plugin-wheels")
    for name in ("smalltext-naive-bayes", "smalltext-bag"):
        command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, PLUGINS / name]
        subprocess.run(command, check=True, capture_output=True)
    return folder


@pytest.fixture(scope="session")
def naive_bayes_environment(tmp_path_factory, wheels, plugin_wheels):
    """An environment with the command, naive Bayes, what these need, and pytest."""
    environment = empty_environment(tmp_path_factory.mktemp("naive-bayes"), wheels)
    environment.install(
        "--find-links", str(plugin_wheels), "smalltext-naive-bayes", "smalltext-cli", "smalltext-testing[pytest]"
    )
    return environment


@pytest.fixture(scope="session")
def bag_environment(tmp_path_factory, wheels, plugin_wheels, naive_bayes_environment):
    """An environment into which the bag of embeddings is installed; the command and torch are seen elsewhere."""
    environment = empty_environment(tmp_path_factory.mktemp("bag"), wheels)
    environment.see(naive_bayes_environment.packages, linked(tmp_path_factory.mktemp("torch"), "torch"))
    environment.install("--find-links", str(plugin_wheels), "smalltext-bag")
    return environment
