"""The builder behind the name ``kimcnn``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from smalltext_kimcnn.factory import KimCNNFactory


def build(
    num_classes: int,
    *,
    multi_label: bool = False,
    embeddings: str | Path | None = None,
    static: bool = False,
    embedding_dim: int = 300,
    num_epochs: int = 10,
    mini_batch_size: int = 25,
    lr: float = 0.001,
    max_seq_len: int = 60,
    out_channels: int = 100,
    kernel_heights: Sequence[int] = (3, 4, 5),
    filter_padding: int = 0,
    dropout: float = 0.5,
    max_norm: float | None = 3.0,
    max_gradient_norm: float = 3.0,
    min_frequency: int = 1,
    lowercase: bool = True,
    validation_set_size: float = 0.1,
    class_weight: Literal["balanced"] | Mapping[str, float] | Mapping[int, float] | None = None,
    multi_label_threshold: float = 0.5,
    precision: Literal["float32", "auto"] = "float32",
    warm_start: bool = False,
    device: str | None = None,
    seed: int | None = None,
    mixed_precision: bool | None = None,
) -> KimCNNFactory:
    """Make a factory of KimCNN classifiers.

    Parameters
    ----------
    num_classes : int
        The number of classes.
    multi_label : bool, default=False
        Whether several classes, or none, may apply to a text.
    embeddings : path, optional
        A file of pretrained word vectors: GloVe or word2vec text, or .npy or .safetensors with a list of words
        beside it; by default vectors are learned from scratch.
    static : bool, default=False
        Whether the word vectors stay as they are, instead of being trained along.
    embedding_dim : int, default=300
        The length of word vectors that are learned from scratch.
    num_epochs : int, default=10
        How often training goes over the texts, at most; it stops when validation no longer improves.
    mini_batch_size : int, default=25
        How many texts a step of training sees.
    lr : float, default=0.001
        The learning rate of the optimizer, Adam.
    max_seq_len : int, default=60
        How many tokens of a text are looked at, filter padding included.
    out_channels : int, default=100
        How many filters there are of each height.
    kernel_heights : sequence of int, default=(3, 4, 5)
        How many words the filters see.
    filter_padding : int, default=0
        How many padding tokens stand before each text, and after it.
    dropout : float, default=0.5
        The share of features that is left out in training.
    max_norm : float or None, default=3.0
        The length that no class's weights in the last layer exceed; None lets them grow.
    max_gradient_norm : float, default=3.0
        Longer gradients are shortened to this.
    min_frequency : int, default=1
        How often a word has to occur in the training texts to be known.
    lowercase : bool, default=True
        Whether words that differ in case alone are one word.
    validation_set_size : float, default=0.1
        The share of the training texts to set aside for validation if no validation texts are given.
    class_weight : "balanced" or mapping of str (or int) to float, optional
        How much each class counts in training; "balanced" makes up for unequal counts.
    multi_label_threshold : float, default=0.5
        In multi-label problems a class applies if its probability is greater than this.
    precision : {"float32", "auto"}, default="float32"
        "auto" multiplies in bfloat16 or float16 where the device is faster with it.
    warm_start : bool, default=False
        Whether `fit` goes on from the model of the `fit` before, instead of starting again. Each new classifier
        starts with no model.
    device : str, optional
        Where to compute, such as cpu or cuda; by default the best there is.
    seed : int, optional
        Makes training reproducible; the same seed, data and machine give the same bits.
    mixed_precision : bool, optional
        The former name of `precision`: True is "auto", False is "float32".

    Returns
    -------
    KimCNNFactory

    Raises
    ------
    InvalidInputError
        If a parameter is not what is described above.

    Examples
    --------
    >>> build(2, kernel_heights=(2, 3), seed=1).new()
    KimCNNClassifier(num_classes=2)
    """
    return KimCNNFactory(
        "kimcnn",
        num_classes,
        {
            "multi_label": multi_label,
            "embeddings": embeddings,
            "static": static,
            "embedding_dim": embedding_dim,
            "num_epochs": num_epochs,
            "mini_batch_size": mini_batch_size,
            "lr": lr,
            "max_seq_len": max_seq_len,
            "out_channels": out_channels,
            "kernel_heights": kernel_heights,
            "filter_padding": filter_padding,
            "dropout": dropout,
            "max_norm": max_norm,
            "max_gradient_norm": max_gradient_norm,
            "min_frequency": min_frequency,
            "lowercase": lowercase,
            "validation_set_size": validation_set_size,
            "class_weight": class_weight,
            "multi_label_threshold": multi_label_threshold,
            "precision": precision,
            "mixed_precision": mixed_precision,
            "warm_start": warm_start,
            "device": device,
            "seed": seed,
        },
    )
