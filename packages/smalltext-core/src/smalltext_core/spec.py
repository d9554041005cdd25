"""What a plugin provides: the hook, and the specs of classifiers that it returns."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pluggy

from smalltext_core.errors import InvalidInputError, PluginError
from smalltext_core.lazy_import import raised_by_signal, random_state_kept
from smalltext_core.messages import shown

PROJECT = "smalltext"
"""The name of the entry-point group and of the pluggy project."""

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)
"""Marks a plugin's implementation of a hook."""

ABILITIES = ("multi_label", "weights", "validate", "embed", "dropout_sampling", "save", "distributed")
"""The optional abilities that a spec may declare, beyond the three methods of the protocol."""

CLASSIFIER_NAME = re.compile(r"[a-z0-9]+([._-][a-z0-9]+)*")
_TARGET = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")


@dataclass(frozen=True)
class ClassifierSpec:
    """The description of a plugin's classifier; creating one imports nothing.

    Parameters
    ----------
    name : str
        The name: lower-case letters and digits, joined by dots, dashes or underscores.
    summary : str
        One line for the list of classifiers.
    protocol : int
        The `smalltext_core.PROTOCOL_VERSION` that the classifier was written for, as a literal: the constant would
        always match the installed core.
    classifier : str
        The location of the class, as ``"module:attribute"``.
    factory : str, default="smalltext_core.factory:ConstructorFactory"
        The location of its factory class, in the same form.
    builder : str, optional
        The location of a function that takes the number of classes and keyword arguments and returns a factory; by
        default, the class is called with them. ``smalltext info`` lists the parameters of the function or class.
    dataset : str, optional
        The location of the backend's class of encoded datasets, if it has one.
    abilities : tuple of str, default=()
        The `ABILITIES` that the classifier has.
    trainable : bool, default=True
        False for a classifier that can only be loaded, such as an exported model; `classifiers` omits it.

    Examples
    --------
    >>> spec = ClassifierSpec(
    ...     name="sklearn",
    ...     summary="Any scikit-learn estimator",
    ...     protocol=1,
    ...     classifier="smalltext_sklearn.classifier:SklearnClassifier",
    ...     factory="smalltext_sklearn.factory:SklearnClassifierFactory",
    ...     builder="smalltext_sklearn.factory:build",
    ...     abilities=("multi_label", "weights", "save"),
    ... )
    """

    name: str
    summary: str
    protocol: int
    classifier: str
    factory: str = "smalltext_core.factory:ConstructorFactory"
    builder: str | None = None
    dataset: str | None = None
    abilities: tuple[str, ...] = ()
    trainable: bool = True

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not CLASSIFIER_NAME.fullmatch(self.name):
            raise InvalidInputError("name", shown(self.name), "lower-case letters and digits, such as 'my-svm'")
        if not isinstance(self.summary, str) or not self.summary.strip() or "\n" in self.summary:
            raise InvalidInputError("summary", shown(self.summary), "one line of text")
        if isinstance(self.protocol, bool) or not isinstance(self.protocol, int):
            raise InvalidInputError("protocol", shown(self.protocol), "a whole number, such as 1")
        for argument in ("classifier", "factory", "builder", "dataset"):
            target = getattr(self, argument)
            optional = target is None and argument in ("builder", "dataset")
            if not optional and (not isinstance(target, str) or not _TARGET.fullmatch(target)):
                raise InvalidInputError(argument, shown(target), "'module:attribute'")
        abilities = self.abilities
        if not isinstance(abilities, tuple | list) or any(one not in ABILITIES for one in abilities):
            raise InvalidInputError("abilities", shown(abilities), f"a tuple of some of {', '.join(ABILITIES)}")
        object.__setattr__(self, "abilities", tuple(abilities))

    def resolve(self, part: str) -> Any:
        """Import a part of the classifier; PluginError, with the cause chained, if that fails.

        Parameters
        ----------
        part : str
            "classifier", "factory", "builder" (the class if None) or "dataset".
        """
        target = getattr(self, part)
        if target is None and part == "dataset":
            raise PluginError(f"The classifier {self.name!r} has no dataset class; use TextDataset.")
        target = target or self.classifier
        module, _, path = target.partition(":")
        try:
            with random_state_kept(module):
                found: Any = importlib.import_module(module)
            for attribute in path.split("."):
                found = getattr(found, attribute)
        except (Exception, SystemExit, KeyboardInterrupt) as error:
            if raised_by_signal(error):
                raise
            what = f"The {part.replace('classifier', 'class')} of the classifier {self.name!r} could not be loaded"
            raise PluginError(f"{what} from {target!r}: {type(error).__name__}: {error}") from error
        return found


@hookspec
def smalltext_classifiers() -> Iterable[ClassifierSpec]:  # type: ignore[empty-body]
    """Return the specs of the classifiers that this plugin provides.

    The module that implements it is named by an entry point of the group ``smalltext`` and imports only
    smalltext_core, so that listing classifiers is quick. Added in protocol version 1.

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
