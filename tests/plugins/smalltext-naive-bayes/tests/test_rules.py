"""The rules for smalltext classifiers: one test per check; failures explain what to do."""

from collections.abc import Callable

from smalltext_core import create_factory
from smalltext_testing import check_plugin, parametrize_checks


def test_the_plugin_passes_its_checks() -> None:
    check_plugin("naive-bayes")


@parametrize_checks(
    create_factory("naive-bayes", num_classes=3),
    create_factory("naive-bayes", num_classes=3, multi_label=True),
    ids=["single-label", "multi-label"],
)
def test_keeps_the_rules(check: Callable[[], None]) -> None:
    check()
