"""For all tests: what is collected in this folder, and a network that refuses."""

from __future__ import annotations

import shutil
import socket
import time
from pathlib import Path

import pytest


def pytest_ignore_collect(collection_path):
    """Collect tests alone here; the doctests that run are those of the packages."""
    if collection_path.suffix == ".py" and not collection_path.name.startswith("test_"):
        return True
    return None


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
