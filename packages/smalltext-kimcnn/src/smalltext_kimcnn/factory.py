"""The factory of KimCNN classifiers, and the builder behind the name ``kimcnn``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from smalltext_core.factory import ConstructorFactory, checked_keywords, with_parameters_of
from smalltext_kimcnn.classifier import KimCNNClassifier
from smalltext_torch.training_set import is_auto

BY_NAME = {
    "kernel_heights": (1, 2, 3),
    "embedding_init": "lsa",
    "max_seq_len": 500,
    "lr": 0.003,
    "min_steps": "auto",
    "validation_set_size": "auto",
    "calibration": "auto",
    "multi_label_threshold": "auto",
}
"""Defaults of classifiers created by name: chosen for small training sets, or based on the training set."""


class KimCNNFactory(ConstructorFactory[KimCNNClassifier]):
    """Create `KimCNNClassifier` objects with the same parameters.

    Parameters
    ----------
    classifier_name : str
        Any name for the classifiers, which is only displayed.
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


@with_parameters_of(KimCNNClassifier, by_name=BY_NAME)
def build(num_classes: int, **parameters: Any) -> KimCNNFactory:
    """Create a factory of classifiers with the convolutional network of Kim (2014).

    With `num_epochs`, `min_steps` "auto" is 0, so that no epochs are added.

    Parameters
    ----------
    num_classes : int
        The number of classes.
    **parameters
        Further parameters of `KimCNNClassifier`; InvalidInputError is raised if one is unknown or invalid.
    """
    if "num_epochs" in parameters and is_auto(parameters["min_steps"]):
        parameters["min_steps"] = 0
    return KimCNNFactory("kimcnn", num_classes, parameters)
