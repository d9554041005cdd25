"""The factory of SetFit classifiers, and the builder behind the name ``setfit``."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, Literal

from smalltext_core.factory import ConstructorFactory, checked_keywords, pop_keywords, with_parameters_of
from smalltext_core.validation import check_flag, check_mapping
from smalltext_setfit.arguments import ModelKwargs, SetFitModelArguments
from smalltext_setfit.classifier import SetFitClassification
from smalltext_setfit.training_args import (
    AUTO,
    HEAD_LEARNING_RATE,
    NUM_EPOCHS,
    PRETRAINED_SHARE,
    TrainingArgs,
)


class SetFitClassificationFactory(ConstructorFactory[SetFitClassification]):
    """Create `SetFitClassification` objects with the same model and parameters.

    Parameters
    ----------
    setfit_model_args : SetFitModelArguments, str or path
        The pretrained sentence transformer: a name on the Hugging Face hub, the path of a folder, or either with
        further arguments.
    num_classes : int
        The number of classes.
    classification_kwargs : mapping, optional
        Further parameters of `SetFitClassification`; InvalidInputError is raised if one is unknown or invalid.

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
        self.label = self.setfit_model_args.sentence_transformer_model
        given = checked_keywords(SetFitClassification, classification_kwargs, "classification_kwargs")
        classifier = partial(SetFitClassification, self.setfit_model_args)
        first = classifier(num_classes, **given)
        for name in {"model_kwargs", "trainer_kwargs"} & given.keys():
            given[name] = getattr(first, name)  # under current names, so that deprecated ones warn once
        super().__init__(classifier, num_classes, **given)
        self.classification_kwargs = self.kwargs


@with_parameters_of(
    *(SetFitModelArguments, SetFitClassification, TrainingArgs, ModelKwargs),
    without=("model_kwargs", "trainer_kwargs", "body_learning_rate", "head_learning_rate"),
    by_name={
        **dict.fromkeys(("max_seq_len", "min_steps", "calibration"), AUTO),
        **dict.fromkeys(("validation_set_size", "multi_label_threshold"), AUTO),
        "pretrained_share": PRETRAINED_SHARE,
    },
)
def build(
    num_classes: int,
    *,
    model: str | Path,
    num_epochs: int = NUM_EPOCHS[0],
    head_num_epochs: int = NUM_EPOCHS[1],
    lr: float | Literal["auto"] = AUTO,
    head_lr: float = HEAD_LEARNING_RATE,
    **parameters: Any,
) -> SetFitClassificationFactory:
    """Create a factory of classifiers that fine-tune a sentence transformer on a few texts.

    Parameters
    ----------
    num_classes : int
        The number of classes.
    model : str or path
        The folder of a sentence transformer, or its name on the Hugging Face hub.
    num_epochs : int, default=1
        The number of epochs of contrastive training on pairs of texts.
    head_num_epochs : int, default=16
        The number of epochs of training a differentiable head.
    lr : float or "auto", default="auto"
        The learning rate of the sentence transformer; "auto" depends on its number of dimensions: 1e-4 below 512,
        4e-5 below 1,024, else 2e-5.
    head_lr : float, default=0.01
        The learning rate of a differentiable head.
    **parameters
        Further parameters of `SetFitModelArguments`, `SetFitClassification`, `TrainingArgs` and
        `ModelKwargs`; InvalidInputError is raised if one is unknown or invalid.
    """
    source = SetFitModelArguments(model, **pop_keywords(SetFitModelArguments, parameters))
    model_kwargs = pop_keywords(ModelKwargs, parameters)
    if not check_flag("use_differentiable_head", parameters.get("use_differentiable_head", False)):
        model_kwargs["head_params"] = {"C": AUTO, **check_mapping("head_params", model_kwargs.get("head_params"))}
    parameters["model_kwargs"] = model_kwargs
    parameters["trainer_kwargs"] = {
        "num_epochs": (num_epochs, head_num_epochs),
        "body_learning_rate": lr,
        "head_learning_rate": head_lr,
        **pop_keywords(TrainingArgs, parameters),
    }
    return SetFitClassificationFactory(source, num_classes, parameters)
