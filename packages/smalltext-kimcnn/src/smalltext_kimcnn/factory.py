"""Makes KimCNN classifiers, all alike and all unfitted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from smalltext_core import ClassifierFactory
from smalltext_core.validation import check_mapping
from smalltext_kimcnn.classifier import KimCNNClassifier


class KimCNNFactory(ClassifierFactory):
    """Makes `KimCNNClassifier` objects of the same parameters.

    Parameters
    ----------
    classifier_name : str
        A name of the caller's choice, which changes nothing.
    num_classes : int
        The number of classes.
    kwargs : mapping, optional
        Further parameters of KimCNNClassifier, such as ``multi_label`` or ``seed``.

    Raises
    ------
    InvalidInputError
        If a parameter does not fit.

    Examples
    --------
    >>> KimCNNFactory("kimcnn", 2, {"num_epochs": 3}).new()
    KimCNNClassifier(num_classes=2)
    """

    def __init__(self, classifier_name: str, num_classes: int, kwargs: Mapping[str, Any] | None = None) -> None:
        self.classifier_name = classifier_name
        self.num_classes = num_classes
        self.kwargs = check_mapping("kwargs", kwargs)
        self.new()

    def new(self) -> KimCNNClassifier:
        """Return a new, unfitted classifier."""
        return KimCNNClassifier(self.num_classes, **self.kwargs)

    def __repr__(self) -> str:
        """Name the number of classes."""
        return f"{type(self).__name__}({self.classifier_name!r}, num_classes={self.num_classes})"
