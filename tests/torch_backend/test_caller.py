"""Warnings are attributed to the line that called smalltext, not to a line of smalltext."""

from __future__ import annotations

import warnings

import pytest

from smalltext_torch.progress import stacklevel_of_caller


def module(name, source):
    """Return the namespace of a module with this name and source."""
    found = {"__name__": name, "warnings": warnings, "stacklevel_of_caller": stacklevel_of_caller}
    exec(compile(source, f"/library/{name}.py", "exec"), found)
    return found


INNER = module("smalltext_torch.inner", "def warn(): warnings.warn('look', stacklevel=stacklevel_of_caller())")


@pytest.mark.parametrize("depth", [0, 1, 5])
def test_a_warning_is_attributed_to_the_caller_at_any_depth(depth):
    outer = module("smalltext_setfit.outer", "def call(warn, depth): call(warn, depth - 1) if depth else warn()")
    with pytest.warns(UserWarning, match="look") as told:
        outer["call"](INNER["warn"], depth)
    assert told[0].filename == __file__


def test_the_warning_points_to_the_calling_code():
    between = module("somebody", "def call(warn): warn()")
    with pytest.warns(UserWarning, match="look") as told:
        between["call"](INNER["warn"])
    assert told[0].filename == "/library/somebody.py"
