"""Public names are documented: every parameter has a description, type and default; every class has an example."""

from __future__ import annotations

import inspect

import pytest

from architecture import docstrings, public_face

MODULES = [name for name in public_face.MODULES if public_face.is_installed(name)]


@pytest.mark.parametrize("module", MODULES)
def test_public_names_are_documented(module):
    assert not sorted(set(docstrings.gaps(module)) - docstrings.known_gaps())


def documented(x: int, *rest: int, flag: bool = False) -> None:
    """Do something.

    Parameters
    ----------
    x : int
        A number of things.
    *rest : int
        More of them.
    flag : bool, default=False
        Whether to do it.
    """


def undocumented(x: int, y: int, *, flag: bool = False, other: int = 0) -> None:
    """Do something.

    Parameters
    ----------
    x : int
    flag
        Whether to do it.
    gone : int
        A parameter of an earlier version.
    """


def test_a_complete_docstring_has_no_gaps():
    assert not list(docstrings.gaps_of_call("f", documented, inspect.getdoc(documented)))


def test_gaps_are_found():
    assert list(docstrings.gaps_of_call("f", undocumented, inspect.getdoc(undocumented))) == [
        "f(x): no words",
        "f(y): not described",
        "f(flag): no type",
        "f(flag): no default",
        "f(other): not described",
        "f(gone): no such parameter",
    ]


def test_a_class_without_an_example_is_found():
    assert "Empty: no example" in docstrings.gaps_of_class("Empty", type("Empty", (), {"__doc__": "Nothing."}))
