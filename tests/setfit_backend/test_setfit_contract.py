"""The conformance kit for setfit: both heads, single-label and multi-label."""

from __future__ import annotations

import pytest

import smalltext_core as st
from setfit_backend.tiny_sentence_transformers import tiny_sentence_transformer
from smalltext_testing import parametrize_checks

QUICK = {"mini_batch_size": 16, "num_iterations": 2, "min_steps": 6, "lr": 5e-3, "seed": 1}
DIFFERENTIABLE = {"use_differentiable_head": True, "head_lr": 0.1}
UNCACHED = {"embedding_cache_size": 0}
"""With a cache, texts that were encoded before could not reveal a dependence on the batch."""


def factory(num_classes, multi_label, **parameters):
    model = tiny_sentence_transformer(num_hidden_layers=1)
    return st.create_factory(
        "setfit", num_classes, multi_label=multi_label, model=model, **{**QUICK, **parameters}
    )


@parametrize_checks(
    factory(3, multi_label=False),
    factory(2, multi_label=True),
    ids=["single-label", "multi-label"],
)
@pytest.mark.filterwarnings("ignore:.* have more than .* tokens")
@pytest.mark.usefixtures("forked_checks", "fewer_rounds")
def test_setfit_passes_the_conformance_kit(check):
    check()


@pytest.mark.nightly
@parametrize_checks(
    factory(3, multi_label=False, **DIFFERENTIABLE, **UNCACHED),
    factory(2, multi_label=True, **DIFFERENTIABLE, **UNCACHED),
    ids=["single-label", "multi-label"],
)
@pytest.mark.filterwarnings("ignore:.* have more than .* tokens")
def test_setfit_with_a_differentiable_head_passes_the_conformance_kit(check):
    check()
