"""accelerate has global state, which training neither leaves behind nor takes from the caller."""

from __future__ import annotations

import os

import numpy as np
import pytest
from accelerate import Accelerator
from accelerate.state import AcceleratorState, GradientState
from transformers import TrainerCallback


@pytest.fixture(autouse=True)
def no_state():
    """Reset changes by other tests."""
    AcceleratorState._reset_state(reset_partial_state=True)
    yield
    AcceleratorState._reset_state(reset_partial_state=True)


@pytest.fixture
def proba(make, topics):
    return make().fit(topics).predict_proba(topics)


class Enough(TrainerCallback):
    def on_step_end(self, *_, **__):
        raise RuntimeError("enough")


def test_the_caller_can_configure_accelerate_after_training(make, topics):
    make().fit(topics)
    assert Accelerator(mixed_precision="bf16", cpu=True).mixed_precision == "bf16"


def test_the_callers_configuration_is_kept_and_has_no_effect(make, topics, proba):
    theirs = Accelerator(mixed_precision="bf16", cpu=True, gradient_accumulation_steps=3)
    np.testing.assert_array_equal(make().fit(topics).predict_proba(topics), proba)
    with pytest.raises(RuntimeError, match="enough"):
        make(trainer_kwargs={"callbacks": [Enough()]}).fit(topics)
    assert (theirs.mixed_precision, AcceleratorState().mixed_precision) == ("bf16", "bf16")
    assert (theirs.gradient_accumulation_steps, GradientState().num_steps) == (3, 3)


@pytest.mark.parametrize(
    ("name", "value"), [("ACCELERATE_MIXED_PRECISION", "bf16"), ("ACCELERATE_GRADIENT_ACCUMULATION_STEPS", "4")]
)
def test_environment_variables_are_kept_and_have_no_effect(make, topics, proba, monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    before = dict(os.environ)
    np.testing.assert_array_equal(make().fit(topics).predict_proba(topics), proba)
    assert dict(os.environ) == before
