"""Makes SetFit classifiers, all alike and all unfitted."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from smalltext_core import ClassifierFactory
from smalltext_setfit.arguments import SetFitModelArguments
from smalltext_setfit.classifier import SetFitClassification


class SetFitClassificationFactory(ClassifierFactory):
    """Makes `SetFitClassification` objects of the same parameters.

    Parameters
    ----------
    setfit_model_args : SetFitModelArguments, str or path
        Which pretrained sentence transformer; the name or the folder of one will do.
    num_classes : int
        The number of classes.
    classification_kwargs : mapping, optional
        Further parameters of SetFitClassification, such as ``multi_label`` or ``seed``.

    Raises
    ------
    InvalidInputError
        If a parameter does not fit.

    Examples
    --------
    >>> SetFitClassificationFactory("sentence-transformers/all-MiniLM-L6-v2", 2, {"seed": 1}).new()
    SetFitClassification('sentence-transformers/all-MiniLM-L6-v2', num_classes=2)
    """

    def __init__(
        self,
        setfit_model_args: SetFitModelArguments | str | Path,
        num_classes: int,
        classification_kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        self.setfit_model_args = SetFitModelArguments.of(setfit_model_args)
        self.num_classes = num_classes
        self.classification_kwargs = dict(classification_kwargs or {})
        self.new()

    def new(self) -> SetFitClassification:
        """Return a new, unfitted classifier."""
        return SetFitClassification(self.setfit_model_args, self.num_classes, **self.classification_kwargs)

    def __repr__(self) -> str:
        """Name the model and the number of classes."""
        model = self.setfit_model_args.sentence_transformer_model
        return f"{type(self).__name__}({model!r}, num_classes={self.num_classes})"
