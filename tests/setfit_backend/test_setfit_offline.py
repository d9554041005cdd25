"""Without downloads, no connection is attempted, also if peft is installed."""

from __future__ import annotations

import pytest

from setfit_backend.tiny_sentence_transformers import tiny_sentence_transformer
from smalltext_core.errors import InvalidInputError
from smalltext_setfit import SetFitModelArguments
from smalltext_torch.model_loading import OFFLINE

pytest.importorskip("peft")


def local(name, strategy="always-local"):
    return SetFitModelArguments(name, strategy)


@pytest.mark.parametrize("name", ["org/tiny", "tiny"])
def test_always_local_makes_no_request(make, topics, hub_cache, asked, name):
    full_name = name if "/" in name else f"sentence-transformers/{name}"
    cache = hub_cache(full_name, tiny_sentence_transformer())
    make(model=local(name), model_kwargs={"cache_dir": cache}).fit(topics)
    assert asked == []


@pytest.mark.parametrize("variable", OFFLINE)
def test_with_an_offline_variable_no_host_is_contacted(make, topics, hub_cache, asked, monkeypatch, variable):
    monkeypatch.setenv(variable, "Yes")
    cache = hub_cache("org/tiny", tiny_sentence_transformer())
    make(model=local("org/tiny", "default"), model_kwargs={"cache_dir": cache}).fit(topics)
    assert asked == []


def test_models_are_in_the_cache_of_sentence_transformers(make, topics, hub_cache, asked, monkeypatch):
    cache = hub_cache("org/tiny", tiny_sentence_transformer())
    monkeypatch.setenv("SENTENCE_TRANSFORMERS_HOME", str(cache))
    make(model=local("org/tiny")).fit(topics)
    assert asked == []


def test_a_model_that_was_not_downloaded_is_refused_without_a_request(make, topics, tmp_path, asked):
    with pytest.raises(InvalidInputError, match="sentence_transformer_model: got 'org/tiny'"):
        make(model=local("org/tiny"), model_kwargs={"cache_dir": tmp_path}).fit(topics)
    assert asked == []
