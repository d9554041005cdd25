"""Arguments: numpy numbers are accepted, and invalid values are rejected before any work."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from smalltext_core import load
from smalltext_core.errors import InvalidInputError
from smalltext_transformers import (
    FineTuningArguments,
    TransformerBasedClassification,
    TransformerBasedClassificationFactory,
    TransformerModelArguments,
)
from transformers_backend.tiny_models import tiny_model


def test_numpy_numbers_are_accepted(make, topics, tmp_path):
    arguments = FineTuningArguments(
        np.float32(0.01), np.float32(0.5), gradual_unfreezing=np.int64(1), cut_fraction=np.float32(0.1)
    )
    classifier = make(fine_tuning_arguments=arguments, memory_fix=np.int64(1)).fit(topics)
    classifier.save(tmp_path / "saved")
    assert load(tmp_path / "saved").fine_tuning_arguments == arguments


@pytest.mark.parametrize("wrong", [np.float64("nan"), np.float32(1.5), np.bool_(True), "0.5"])
def test_an_invalid_decay_is_refused(wrong):
    with pytest.raises(InvalidInputError, match="layerwise_gradient_decay"):
        FineTuningArguments(0.01, wrong)


@pytest.mark.parametrize("wrong", [5, "", " ", b"folder", True])
def test_an_invalid_cache_dir_is_refused(wrong):
    with pytest.raises(InvalidInputError, match="^cache_dir"):
        TransformerBasedClassification("a-model", 2, cache_dir=wrong)


@pytest.mark.parametrize("wrong", ["none", None, "best"])
def test_model_selection_of_the_constructor_is_a_flag(wrong):
    with pytest.raises(
        InvalidInputError, match=r'^model_selection: .*True or False.*fit\(model_selection="none"\)'
    ):
        TransformerBasedClassification("a-model", 2, model_selection=wrong)


@pytest.mark.parametrize("argument", ["model", "tokenizer", "config"])
def test_a_folder_may_begin_with_a_tilde(tmp_path, monkeypatch, argument):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    shutil.copytree(tiny_model(), tmp_path / "tiny")
    arguments = TransformerModelArguments(**{"model": "a-model", argument: "~/tiny"})
    assert getattr(arguments, argument) == str(tmp_path / "tiny")


@pytest.mark.parametrize("wrong", [{"foo": 1}, {"num_epochs": 1, "num_classes": 3}, [1], "seed"])
def test_a_factory_refuses_unknown_parameters(wrong):
    with pytest.raises(InvalidInputError, match="^kwargs: .*num_epochs"):
        TransformerBasedClassificationFactory("a-model", 2, wrong)
