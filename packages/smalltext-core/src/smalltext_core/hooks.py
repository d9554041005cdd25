"""The pluggy hook that a plugin implements, and the mark that says so."""

from __future__ import annotations

from collections.abc import Iterable

import pluggy

from smalltext_core.spec import ClassifierSpec

PROJECT = "smalltext"
"""The name of the entry-point group and of the pluggy project."""

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)
"""Marks a plugin's implementation of a hook."""


@hookspec
def smalltext_classifiers() -> Iterable[ClassifierSpec]:  # type: ignore[empty-body]
    """Return the specs of the classifiers that this plugin brings.

    The module that implements it is named by an entry point of the group ``smalltext`` and imports
    smalltext_core alone, so that listing what is installed stays quick. Added in protocol version 1.

    Examples
    --------
    >>> from smalltext_core import ClassifierSpec, hookimpl
    >>> @hookimpl
    ... def smalltext_classifiers():
    ...     yield ClassifierSpec(
    ...         name="majority",
    ...         summary="Always the most frequent class",
    ...         protocol=1,
    ...         classifier="my_package.classifier:Majority",
    ...         factory="my_package.classifier:MajorityFactory",
    ...         builder="my_package.classifier:build",
    ...     )
    """
