"""The builder behind the name ``setfit``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from smalltext_setfit.arguments import SetFitModelArguments
from smalltext_setfit.factory import SetFitClassificationFactory


def build(
    num_classes: int,
    *,
    model: str | Path,
    multi_label: bool = False,
    model_loading_strategy: str = "default",
    max_seq_len: int = 512,
    use_differentiable_head: bool = False,
    mini_batch_size: int = 32,
    num_epochs: int = 1,
    head_num_epochs: int = 16,
    max_steps: int = -1,
    sampling_strategy: Literal["oversampling", "undersampling", "unique"] = "oversampling",
    num_iterations: int | None = None,
    pairs_per_text: int = 40,
    lr: float = 2e-5,
    head_lr: float = 1e-2,
    loss: str = "CosineSimilarityLoss",
    normalize_embeddings: bool = False,
    precision: Literal["float32", "auto"] = "float32",
    class_weight: Literal["balanced"] | Mapping[str, float] | Mapping[int, float] | None = None,
    multi_label_threshold: float = 0.5,
    warm_start: bool = False,
    device: str | None = None,
    cache_dir: str | Path | None = None,
    seed: int | None = None,
) -> SetFitClassificationFactory:
    """Make a factory of classifiers that fine-tune a sentence transformer on a few texts.

    Parameters
    ----------
    num_classes : int
        The number of classes.
    model : str or path
        The folder of a sentence transformer, or the name of one on the Hugging Face hub.
    multi_label : bool, default=False
        Whether several classes, or none, may apply to a text.
    model_loading_strategy : {"default", "always-local", "always-download"}, default="default"
        Whether anything may, or must, be downloaded.
    max_seq_len : int, default=512
        How many tokens of a text are looked at; no more than the model has positions for.
    use_differentiable_head : bool, default=False
        Whether the head is trained by gradients, instead of being fitted by logistic regression.
    mini_batch_size : int, default=32
        How many pairs of texts a step of training sees.
    num_epochs : int, default=1
        How often as many pairs are drawn as the sampling strategy says.
    head_num_epochs : int, default=16
        How often the training of a differentiable head goes over the texts.
    max_steps : int, default=-1
        How many steps pairs are contrasted for, in place of `num_epochs`.
    sampling_strategy : {"oversampling", "undersampling", "unique"}, default="oversampling"
        How many pairs there are of the same class, and how many of two classes: as many as of the one that has
        more, as of the one that has less, or each pair once.
    num_iterations : int, optional
        So many pairs of each kind for every text, in place of a sampling strategy.
    pairs_per_text : int, default=40
        The limit of how many pairs are drawn in an epoch: so many times the number of texts.
    lr : float, default=2e-5
        The rate at which the sentence transformer learns.
    head_lr : float, default=0.01
        The rate at which a differentiable head learns.
    loss : str, default="CosineSimilarityLoss"
        The name of a loss of sentence-transformers that compares pairs.
    normalize_embeddings : bool, default=False
        Whether embeddings are scaled to a length of 1.
    precision : {"float32", "auto"}, default="float32"
        "auto" multiplies in bfloat16 or float16 where the device is faster with it.
    class_weight : "balanced" or mapping of str (or int) to float, optional
        How much each class counts.
    multi_label_threshold : float, default=0.5
        In multi-label problems a class applies if its probability is greater than this.
    warm_start : bool, default=False
        Whether `fit` goes on from the sentence transformer of the `fit` before, instead of from the pretrained
        one; the head is fitted anew. Each new classifier starts from the pretrained one.
    device : str, optional
        Where to compute, such as cpu or cuda; by default the best there is.
    cache_dir : path, optional
        Where downloads are kept; by default where all of sentence-transformers keeps them.
    seed : int, optional
        Makes training reproducible; the same seed, data and machine give the same bits.

    Returns
    -------
    SetFitClassificationFactory

    Raises
    ------
    InvalidInputError
        If a parameter is not what is described above.

    Examples
    --------
    >>> build(2, model="sentence-transformers/all-MiniLM-L6-v2", seed=1).new()
    SetFitClassification('sentence-transformers/all-MiniLM-L6-v2', num_classes=2)
    """
    return SetFitClassificationFactory(
        SetFitModelArguments(model, model_loading_strategy),
        num_classes,
        {
            "multi_label": multi_label,
            "max_seq_len": max_seq_len,
            "use_differentiable_head": use_differentiable_head,
            "mini_batch_size": mini_batch_size,
            "model_kwargs": {
                "normalize_embeddings": normalize_embeddings,
                "cache_dir": str(cache_dir) if isinstance(cache_dir, Path) else cache_dir,
            },
            "trainer_kwargs": {
                "num_epochs": (num_epochs, head_num_epochs),
                "max_steps": max_steps,
                "sampling_strategy": sampling_strategy,
                "num_iterations": num_iterations,
                "body_learning_rate": lr,
                "head_learning_rate": head_lr,
                "loss": loss,
            },
            "device": device,
            "class_weight": class_weight,
            "pairs_per_text": pairs_per_text,
            "precision": precision,
            "multi_label_threshold": multi_label_threshold,
            "warm_start": warm_start,
            "seed": seed,
        },
    )
