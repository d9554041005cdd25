"""What is to be looked for on this machine alone: nobody else is asked, though peft is installed."""

from __future__ import annotations

import shutil
import socket
import time
from pathlib import Path

import huggingface_hub
import numpy as np
import pytest
import transformers

import smalltext_core as st
from smalltext_torch.model_loading import OFFLINE
from smalltext_transformers import TransformerModelArguments
from transformers_backend.tiny_models import tiny_model

peft = pytest.importorskip("peft")

NAME = "org/tiny"


@pytest.fixture
def asked(monkeypatch):
    """Return the hosts that were asked for; each of them refuses."""
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
def cache_dir(tmp_path):
    """Return a cache of the hub that holds the tiny model, as if it had been downloaded."""
    commit, home = "a" * 40, tmp_path / "hub" / f"models--{NAME.replace('/', '--')}"
    (home / "refs").mkdir(parents=True)
    (home / "refs" / "main").write_text(commit)
    shutil.copytree(Path(tiny_model()), home / "snapshots" / commit)
    return tmp_path / "hub"


def local(strategy="always-local"):
    return TransformerModelArguments(NAME, model_loading_strategy=strategy)


def test_always_local_asks_nobody(make, topics, cache_dir, asked):
    make(model=local(), cache_dir=cache_dir).fit(topics)
    assert asked == []


@pytest.mark.parametrize("variable", OFFLINE)
def test_with_a_variable_that_says_offline_nobody_is_asked(make, topics, cache_dir, asked, monkeypatch, variable):
    monkeypatch.setenv(variable, "Yes")
    make(model=local("default"), cache_dir=cache_dir).fit(topics)
    assert asked == []


def test_a_model_that_may_be_downloaded_is_asked_for(make, topics, cache_dir, asked):
    make(model=local("default"), cache_dir=cache_dir, num_epochs=1).fit(topics)
    assert asked != []


def test_an_adapter_is_trained_saved_and_loaded_without_asking_anybody(make, topics, cache_dir, asked, tmp_path):
    adapter = peft.LoraConfig(r=2, target_modules=["query"])
    classifier = make(model=local(), cache_dir=cache_dir, peft_config=adapter).fit(topics)
    classifier.save(tmp_path / "saved")
    again = st.load(tmp_path / "saved")
    np.testing.assert_array_equal(again.predict_proba(topics), classifier.predict_proba(topics))
    assert asked == []
