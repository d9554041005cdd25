"""The factory of transformer classifiers, and the builder behind the name ``transformers``."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from smalltext_core.factory import ConstructorFactory, checked_keywords, pop_keywords, with_parameters_of
from smalltext_torch.training_set import is_auto
from smalltext_transformers.arguments import FineTuningArguments, TransformerModelArguments
from smalltext_transformers.classifier import TransformerBasedClassification

BY_NAME = {
    "lr": "auto",
    "max_seq_len": "auto",
    "min_steps": "auto",
    "validation_set_size": "auto",
    "calibration": "auto",
    "multi_label_threshold": "auto",
}
"""Defaults of classifiers created by name, which depend on the training set and the model."""


class TransformerBasedClassificationFactory(ConstructorFactory[TransformerBasedClassification]):
    """Create `TransformerBasedClassification` objects with the same model and parameters.

    Parameters
    ----------
    transformer_model_args : TransformerModelArguments, str or path
        The pretrained model: a name on the Hugging Face hub, the path of a folder, or either with further
        arguments.
    num_classes : int
        The number of classes.
    kwargs : mapping, optional
        Further parameters of `TransformerBasedClassification`; InvalidInputError is raised if one is unknown or
        invalid.

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
        self.label = self.transformer_model_args.model
        keywords = checked_keywords(TransformerBasedClassification, kwargs)
        classifier = partial(TransformerBasedClassification, self.transformer_model_args)
        super().__init__(classifier, num_classes, **keywords)


@with_parameters_of(
    TransformerModelArguments,
    TransformerBasedClassification,
    without=("fine_tuning_arguments",),
    by_name=BY_NAME,
)
def build(
    num_classes: int,
    *,
    model: str | Path,
    layerwise_gradient_decay: float | None = None,
    gradual_unfreezing: int | None = None,
    **parameters: Any,
) -> TransformerBasedClassificationFactory:
    """Create a factory of classifiers that fine-tune a pretrained transformer.

    With `num_epochs`, `min_steps` "auto" is 0, so that no epochs are added.

    Parameters
    ----------
    num_classes : int
        The number of classes.
    model : str or path
        The folder of a pretrained model, or its name on the Hugging Face hub.
    layerwise_gradient_decay : float, optional
        The factor by which the learning rate decreases from each layer to the one below it; by default, all layers
        have the same learning rate. See `FineTuningArguments`.
    gradual_unfreezing : int, optional
        The number of top layers to train in the first epoch, with one more in each further epoch; by default, all
        layers are trained from the beginning. See `FineTuningArguments`.
    **parameters
        Further parameters of `TransformerModelArguments` and `TransformerBasedClassification`; InvalidInputError
        is raised if one is unknown or invalid.
    """
    if "num_epochs" in parameters and is_auto(parameters["min_steps"]):
        parameters["min_steps"] = 0
    source = TransformerModelArguments(model, **pop_keywords(TransformerModelArguments, parameters))
    if layerwise_gradient_decay is not None or gradual_unfreezing is not None:
        fine_tuning = FineTuningArguments(parameters["lr"], layerwise_gradient_decay, gradual_unfreezing)
        parameters["fine_tuning_arguments"] = fine_tuning
    return TransformerBasedClassificationFactory(source, num_classes, parameters)
