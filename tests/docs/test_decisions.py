"""The index of decisions lists each of them, as it is."""

from __future__ import annotations

import re

from docs import decisions


def test_the_index_lists_every_decision_with_its_title_status_and_date():
    assert decisions.index_table() == decisions.table(), "write it again: python -m docs.decisions"


def test_numbers_of_decisions_are_used_once():
    numbers = [path.name[:4] for path in decisions.FOLDER.glob("0*.md")]
    assert len(numbers) == len(set(numbers))


def test_a_decision_refers_to_existing_ones_only():
    for path in sorted(decisions.FOLDER.glob("0*.md")):
        text = path.read_text(encoding="utf-8")
        named = {int(number) for number in re.findall(r"\bdecision (\d+)", text)}
        existing = {int(other.name[:4]) for other in decisions.FOLDER.glob("0*.md")}
        assert named <= existing, path.name
