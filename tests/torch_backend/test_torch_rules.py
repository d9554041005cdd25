"""The conformance kit over the test backend: what the base class gives every backend for nothing."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from smalltext_core.testing import parametrize_checks
from torch_backend.bag_of_embeddings import BagFactory

SETTINGS = {"num_epochs": 8, "lr": 0.2}


@pytest.mark.slow
@parametrize_checks(
    BagFactory(3, SETTINGS),
    BagFactory(2, SETTINGS),
    BagFactory(3, {"multi_label": True, "class_weight": "balanced", **SETTINGS}),
    ids=["three-classes", "two-classes", "multi-label"],
)
def test_keeps_the_rules(check: Callable[[], None]) -> None:
    check()
