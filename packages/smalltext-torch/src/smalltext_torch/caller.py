"""Whom a warning is for: the line that called into smalltext, however many of its own functions lie between."""

from __future__ import annotations

import sys

OWN = "smalltext_"
"""How the names of these packages begin."""


def stacklevel_of_caller() -> int:
    """Return the `stacklevel` with which the function that calls this one warns the caller of the library.

    Python shows a DeprecationWarning, by default, only to the script whose line it is about.
    """
    frame, level = sys._getframe(1), 1
    while frame.f_globals.get("__name__", "").startswith(OWN) and frame.f_back is not None:
        frame, level = frame.f_back, level + 1
    return level
