"""Makes SetFit classifiers, all alike and all unfitted."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from smalltext_core import ClassifierFactory
from smalltext_core.validation import check_mapping
from smalltext_setfit.arguments import SetFitModelArguments
from smalltext_setfit.classifier import SetFitClassification
from smalltext_setfit.names import check_names

PARAMETERS = [
    name
    for name in inspect.signature(SetFitClassification).parameters
    if name not in ("setfit_model_args", "num_classes")
]
"""What the classifiers can be given beside what the factory is."""


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
        given = check_mapping("classification_kwargs", classification_kwargs)
        check_names("classification_kwargs", given, {}, PARAMETERS)
        first = SetFitClassification(self.setfit_model_args, num_classes, **given)
        # Under their present names: who used old ones is warned once, not of every classifier.
        current: dict[str, Any] = {
            name: getattr(first, name) for name in ("model_kwargs", "trainer_kwargs") if name in given
        }
        self.classification_kwargs = {**given, **current}

    def new(self) -> SetFitClassification:
        """Return a new, unfitted classifier."""
        return SetFitClassification(self.setfit_model_args, self.num_classes, **self.classification_kwargs)

    def __repr__(self) -> str:
        """Name the model and the number of classes."""
        model = self.setfit_model_args.sentence_transformer_model
        return f"{type(self).__name__}({model!r}, num_classes={self.num_classes})"
