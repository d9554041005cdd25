"""Without downloads, no connection is attempted, also if peft is installed."""

from __future__ import annotations

import numpy as np
import pytest

import smalltext_core as st
from smalltext_torch.model_loading import OFFLINE
from smalltext_transformers import TransformerModelArguments
from transformers_backend.tiny_models import tiny_model

peft = pytest.importorskip("peft")

NAME = "org/tiny"


@pytest.fixture
def cache_dir(hub_cache):
    return hub_cache(NAME, tiny_model())


def local(strategy="always-local"):
    return TransformerModelArguments(NAME, model_loading_strategy=strategy)


def test_always_local_makes_no_request(make, topics, cache_dir, asked):
    make(model=local(), cache_dir=cache_dir).fit(topics)
    assert asked == []


@pytest.mark.parametrize("variable", OFFLINE)
def test_with_an_offline_variable_no_host_is_contacted(make, topics, cache_dir, asked, monkeypatch, variable):
    monkeypatch.setenv(variable, "Yes")
    make(model=local("default"), cache_dir=cache_dir).fit(topics)
    assert asked == []


def test_a_model_that_may_be_downloaded_is_requested(make, topics, cache_dir, asked):
    make(model=local("default"), cache_dir=cache_dir, num_epochs=1).fit(topics)
    assert asked != []


def test_an_adapter_is_trained_saved_and_loaded_without_requests(make, topics, cache_dir, asked, tmp_path):
    adapter = peft.LoraConfig(r=2, target_modules=["query"])
    classifier = make(model=local(), cache_dir=cache_dir, peft_config=adapter).fit(topics)
    classifier.save(tmp_path / "saved")
    again = st.load(tmp_path / "saved")
    np.testing.assert_array_equal(again.predict_proba(topics), classifier.predict_proba(topics))
    assert asked == []
