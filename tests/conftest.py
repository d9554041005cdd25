"""For all tests: what is collected in this folder."""

from __future__ import annotations


def pytest_ignore_collect(collection_path):
    """Collect tests alone here; the doctests that run are those of the packages."""
    if collection_path.suffix == ".py" and not collection_path.name.startswith("test_"):
        return True
    return None
