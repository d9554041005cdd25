"""The documentation lists the checks of the kit correctly."""

from __future__ import annotations

import re

from architecture import packages
from smalltext_testing import checks, plugin_checks

GUIDE = (packages.TOP / "docs/how-to/use-the-conformance-kit.md").read_text(encoding="utf-8")


def test_the_guide_lists_every_check_with_its_rule_and_summary():
    rows = [f"| {check.rule or 'plugin'} | `{check.name}` | {check.summary} |" for check in every_check()]
    assert [line for line in GUIDE.splitlines() if "| `check_" in line] == rows


def test_the_guide_says_how_many_checks_there_are():
    (sentence,) = re.findall(r"There are (\d+) checks of a classifier and (\d+) of its plugin", GUIDE)
    assert sentence == (str(len(checks())), str(len(plugin_checks())))


def test_every_rule_of_the_explanation_has_a_check_and_the_other_way_round():
    page = (packages.TOP / "docs/explanation/rules.md").read_text(encoding="utf-8")
    numbers = {int(number) for number in re.findall(r"^(\d+)\. ", page, re.MULTILINE)}
    assert {check.rule for check in checks()} == numbers


def every_check():
    return (*plugin_checks(), *checks())
