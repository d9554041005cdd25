"""The builder behind the name ``transformers``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from smalltext_transformers.arguments import FineTuningArguments, TransformerModelArguments
from smalltext_transformers.factory import TransformerBasedClassificationFactory


def build(
    num_classes: int,
    *,
    model: str | Path,
    multi_label: bool = False,
    tokenizer: str | Path | None = None,
    config: str | Path | None = None,
    model_loading_strategy: str = "default",
    num_epochs: int = 10,
    lr: float = 2e-5,
    mini_batch_size: int = 12,
    max_seq_len: int | None = None,
    long_texts: Literal["truncate", "window"] = "truncate",
    validation_set_size: float = 0.1,
    validations_per_epoch: int = 1,
    model_selection: bool = True,
    layerwise_gradient_decay: float | None = None,
    gradual_unfreezing: int | None = None,
    precision: Literal["float32", "auto"] = "float32",
    class_weight: Literal["balanced"] | Mapping[str, float] | Mapping[int, float] | None = None,
    multi_label_threshold: float = 0.5,
    max_gradient_norm: float = 1.0,
    warm_start: bool = False,
    device: str | None = None,
    cache_dir: str | Path | None = None,
    seed: int | None = None,
) -> TransformerBasedClassificationFactory:
    """Make a factory of classifiers that fine-tune a pretrained transformer.

    Parameters
    ----------
    num_classes : int
        The number of classes.
    model : str or path
        The folder of a pretrained model, or the name of one on the Hugging Face hub.
    multi_label : bool, default=False
        Whether several classes, or none, may apply to a text.
    tokenizer : str or path, optional
        Where the tokenizer is; by default where the model is.
    config : str or path, optional
        Where the configuration is; by default where the model is.
    model_loading_strategy : {"default", "always-local", "always-download"}, default="default"
        Whether anything may, or must, be downloaded.
    num_epochs : int, default=10
        How often training goes over the texts, at most; it stops when validation no longer improves.
    lr : float, default=2e-5
        The learning rate of the optimizer, AdamW; it falls to 0 linearly.
    mini_batch_size : int, default=12
        How many texts a step of training sees.
    max_seq_len : int, optional
        How many tokens of a text are looked at; by default as many as the model takes.
    long_texts : {"truncate", "window"}, default="truncate"
        What becomes of the rest of longer texts: nothing, or it is scored in overlapping windows.
    validation_set_size : float, default=0.1
        The share of the training texts to set aside if there is no validation set.
    validations_per_epoch : int, default=1
        How often an epoch is validated: evenly spaced, the last time at its end.
    model_selection : bool, default=True
        Whether the model with the least validation loss is kept, instead of the last one.
    layerwise_gradient_decay : float, optional
        What the learning rate is multiplied with from a layer to the one below it.
    gradual_unfreezing : int, optional
        How many of the uppermost layers are trained in the first epoch; in each further one it is one more.
    precision : {"float32", "auto"}, default="float32"
        "auto" multiplies in bfloat16 or float16 where the device is faster with it.
    class_weight : "balanced" or mapping of str (or int) to float, optional
        How much each class counts.
    multi_label_threshold : float, default=0.5
        In multi-label problems a class applies if its probability is greater than this.
    max_gradient_norm : float, default=1.0
        Longer gradients are shortened to this.
    warm_start : bool, default=False
        Whether `fit` goes on from the model of the `fit` before, instead of from the pretrained one. Each
        new classifier starts from the pretrained one.
    device : str, optional
        Where to compute, such as cpu or cuda; by default the best there is.
    cache_dir : path, optional
        Where downloads are kept; by default where all of transformers keeps them.
    seed : int, optional
        Makes training reproducible; the same seed, data and machine give the same bits.

    Returns
    -------
    TransformerBasedClassificationFactory

    Raises
    ------
    InvalidInputError
        If a parameter is not what is described above.

    Examples
    --------
    >>> build(2, model="bert-base-uncased", seed=1).new()
    TransformerBasedClassification('bert-base-uncased', num_classes=2)
    """
    arguments = None
    if layerwise_gradient_decay is not None or gradual_unfreezing is not None:
        arguments = FineTuningArguments(lr, layerwise_gradient_decay, gradual_unfreezing)
    return TransformerBasedClassificationFactory(
        TransformerModelArguments(model, tokenizer, config, model_loading_strategy),
        num_classes,
        {
            "multi_label": multi_label,
            "num_epochs": num_epochs,
            "lr": lr,
            "mini_batch_size": mini_batch_size,
            "max_seq_len": max_seq_len,
            "long_texts": long_texts,
            "validation_set_size": validation_set_size,
            "validations_per_epoch": validations_per_epoch,
            "model_selection": model_selection,
            "fine_tuning_arguments": arguments,
            "precision": precision,
            "class_weight": class_weight,
            "multi_label_threshold": multi_label_threshold,
            "max_gradient_norm": max_gradient_norm,
            "warm_start": warm_start,
            "device": device,
            "cache_dir": cache_dir,
            "seed": seed,
        },
    )
