"""The factory of KimCNN classifiers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from smalltext_core.factory import ConstructorFactory, checked_keywords
from smalltext_kimcnn.classifier import KimCNNClassifier


class KimCNNFactory(ConstructorFactory[KimCNNClassifier]):
    """Create `KimCNNClassifier` objects with the same parameters.

    Parameters
    ----------
    classifier_name : str
        A name for the classifiers. It is only shown, and may be any.
    num_classes : int
        The number of classes.
    kwargs : mapping, optional
        Further parameters of `KimCNNClassifier`; InvalidInputError is raised if one is unknown or invalid.

    Examples
    --------
    >>> KimCNNFactory("kimcnn", 2, {"num_epochs": 3}).new()
    KimCNNClassifier(num_classes=2)
    """

    def __init__(self, classifier_name: str, num_classes: int, kwargs: Mapping[str, Any] | None = None) -> None:
        self.classifier_name = self.label = classifier_name
        super().__init__(KimCNNClassifier, num_classes, **checked_keywords(KimCNNClassifier, kwargs))
