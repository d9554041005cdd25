from __future__ import annotations

import pytest

from robustness import backends


@pytest.fixture(scope="session")
def fitted():
    """Return a function that returns the fitted classifier of a backend; no test may change it."""
    found = {}

    def of(name):
        if name not in found:
            found[name] = backends.fitted(name)
        return found[name]

    return of
