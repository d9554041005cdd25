"""Makes transformer classifiers, all alike and all unfitted."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from smalltext_core import ClassifierFactory
from smalltext_core.errors import InvalidInputError
from smalltext_core.messages import shown
from smalltext_transformers.arguments import TransformerModelArguments
from smalltext_transformers.classifier import TransformerBasedClassification


class TransformerBasedClassificationFactory(ClassifierFactory):
    """Makes `TransformerBasedClassification` objects of the same parameters.

    Parameters
    ----------
    transformer_model_args : TransformerModelArguments, str or path
        Which pretrained model; the name or the folder of one will do.
    num_classes : int
        The number of classes.
    kwargs : mapping, optional
        Further parameters of TransformerBasedClassification, such as ``multi_label`` or ``seed``.

    Raises
    ------
    InvalidInputError
        If a parameter does not fit.

    Examples
    --------
    >>> TransformerBasedClassificationFactory("bert-base-uncased", 2, {"num_epochs": 3}).new()
    TransformerBasedClassification('bert-base-uncased', num_classes=2)
    """

    def __init__(
        self,
        transformer_model_args: TransformerModelArguments | str | Path,
        num_classes: int,
        kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        self.transformer_model_args = TransformerModelArguments.of(transformer_model_args)
        self.num_classes = num_classes
        self.kwargs = _keywords(kwargs)
        self.new()

    def new(self) -> TransformerBasedClassification:
        """Return a new, unfitted classifier."""
        return TransformerBasedClassification(self.transformer_model_args, self.num_classes, **self.kwargs)

    def __repr__(self) -> str:
        """Name the model and the number of classes."""
        return f"{type(self).__name__}({self.transformer_model_args.model!r}, num_classes={self.num_classes})"


def _keywords(kwargs: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return keyword arguments that the classifier takes beside those that the factory takes itself."""
    known = list(inspect.signature(TransformerBasedClassification).parameters)[2:]
    allowed = f"a mapping from parameters of TransformerBasedClassification to values: {', '.join(known)}"
    if not isinstance(kwargs, (Mapping, type(None))):
        raise InvalidInputError("kwargs", shown(kwargs), allowed)
    given = dict(kwargs or {})
    unknown = next((name for name in given if name not in known), None)
    if unknown is not None:
        raise InvalidInputError("kwargs", shown(unknown), allowed)
    return given
