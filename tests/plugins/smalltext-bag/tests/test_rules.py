"""The rules for smalltext classifiers: one test per check; failures explain what to do."""

from collections.abc import Callable
from typing import Any

from smalltext_core import create_factory
from smalltext_testing import check_plugin, parametrize_checks

QUICK: dict[str, Any] = {"num_epochs": 8, "lr": 0.1, "seed": 1}


def test_the_plugin_passes_its_checks() -> None:
    check_plugin("bag")


@parametrize_checks(
    create_factory("bag", num_classes=3, **QUICK),
    create_factory("bag", num_classes=2, **QUICK),
    create_factory(
        "bag",
        num_classes=3,
        multi_label=True,
        class_weight="balanced",
        **{**QUICK, "lr": 0.2},
    ),
    ids=["three-classes", "two-classes", "multi-label"],
)
def test_keeps_the_rules(check: Callable[[], None]) -> None:
    check()
