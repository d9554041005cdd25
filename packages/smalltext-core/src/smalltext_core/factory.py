"""The factory of classifiers whose plugin brings no factory of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from smalltext_core.classifier import AnyClassifier, ClassifierFactory


class ConstructorFactory(ClassifierFactory):
    """Makes classifiers by calling their class, always with the same arguments.

    Parameters
    ----------
    classifier : type
        The class, or whatever makes a classifier of these arguments.
    num_classes : int
        Given as the first argument.
    multi_label : bool, default=False
        Handed on only if it is true, so that a class for single-label problems need not know of it.
    **parameters
        Handed on by name.

    Raises
    ------
    Exception
        What the class raises at an argument that it does not take: now, not when the first classifier is made.
    """

    def __init__(
        self,
        classifier: Callable[..., AnyClassifier],
        num_classes: int,
        *,
        multi_label: bool = False,
        **parameters: Any,
    ) -> None:
        self.classifier = classifier
        self.num_classes = num_classes
        self.multi_label = multi_label
        self.parameters = parameters
        self.new()

    def new(self) -> AnyClassifier:
        """Return a new, unfitted classifier."""
        kind = {"multi_label": True} if self.multi_label else {}
        return self.classifier(self.num_classes, **kind, **self.parameters)

    def __repr__(self) -> str:
        """Name the class and the number of classes."""
        name = getattr(self.classifier, "__name__", repr(self.classifier))
        return f"{type(self).__name__}({name}, num_classes={self.num_classes})"
