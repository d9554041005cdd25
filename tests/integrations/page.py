"""The page for people who come from small-text, as one line of text in which tests look for what it says."""

from __future__ import annotations

from architecture import packages

MIGRATION = packages.TOP / "docs" / "migration.md"


def says(phrase: str) -> bool:
    """Tell whether the page holds a phrase, wherever its lines are broken."""
    return " ".join(phrase.split()) in " ".join(MIGRATION.read_text(encoding="utf-8").split())
