"""Wheels, built once, and the environments that tests share: none of them changes one."""

from __future__ import annotations

import subprocess
import sys

import pytest

from house import packages
from install.environments import empty_environment


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
