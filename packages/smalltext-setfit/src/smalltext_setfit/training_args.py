"""Training arguments: `trainer_kwargs`, with the names of setfit's arguments, and the number of steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from smalltext_core.conversion import is_whole
from smalltext_core.errors import InvalidInputError
from smalltext_core.messages import shown
from smalltext_core.validation import (
    check_choice,
    check_count,
    check_flag,
    check_positive,
    check_within,
)
from smalltext_setfit.arguments import Renamed, current_kwargs, unchanged
from smalltext_setfit.sampler import SAMPLING_STRATEGIES
from smalltext_torch.training_set import is_auto

if TYPE_CHECKING:
    from torch import nn
    from transformers.trainer_callback import TrainerCallback

LOGGING_STRATEGIES = ("no", "steps", "epoch")

AUTO: Literal["auto"] = "auto"
"""The value of a parameter that is chosen based on the data or the encoder."""

MinSteps: TypeAlias = "int | Literal['auto']"

AUTO_STEPS, MIN_AUTO_STEPS = 40, 20
"""The number of steps with ``min_steps="auto"``, and the minimum for many long texts; see decisions 37 and 51."""

LOSSES = ("CosineSimilarityLoss", "ContrastiveLoss", "OnlineContrastiveLoss", "CoSENTLoss", "AnglELoss")
"""The losses of sentence-transformers that compare pairs of texts."""

_LAST_MODEL = "Training keeps its last model only"
_NO_FILES = "Training writes no files; use save()"
_NO_REPORTS = "Nothing is reported; give callbacks"
_VALIDATION = "Use validation_set of fit(), or validate()"

MANAGED_IN_TRAINING = {
    "args": "Give its fields, such as num_epochs",
    "column_mapping": "Texts and labels come from the dataset",
    "eval_dataset": "Use validation_set of fit()",
    "max_length": "Use max_seq_len of the constructor",
    "model": "Use setfit_model_args of the constructor",
    "model_init": "Use a SetFitClassificationFactory",
    "seed": "Use seed of the constructor",
    "show_progress_bar": "Set the environment variable SMALL_TEXT_PROGRESS_BARS to 0 or 1",
    "train_dataset": "Use train_set of fit()",
    "trial": "Search over parameters with a SetFitClassificationFactory for each choice of them",
    "use_amp": "Use precision='auto' of the constructor",
    **dict.fromkeys(
        ("body_classifier_learning_rate", "body_embedding_learning_rate"),
        "Use body_learning_rate=(pairs, end to end)",
    ),
    **dict.fromkeys(
        ("batch_size", "classifier_batch_size", "embedding_batch_size"), "Use mini_batch_size of the constructor"
    ),
    **dict.fromkeys(("metric", "metric_kwargs"), "Use validate()"),
    **dict.fromkeys(("greater_is_better", "load_best_model_at_end", "metric_for_best_model"), _LAST_MODEL),
    **dict.fromkeys(("eval_delay", "eval_max_steps", "eval_steps"), _VALIDATION),
    **dict.fromkeys(("eval_strategy", "evaluation_strategy"), _VALIDATION),
    **dict.fromkeys(("output_dir", "save_steps", "save_strategy", "save_total_limit"), _NO_FILES),
    **dict.fromkeys(("logging_dir", "report_to", "run_name"), _NO_REPORTS),
    **dict.fromkeys(
        ("distance_metric", "margin", "samples_per_label"),
        f"It is a parameter of triplet losses; loss is one of {LOSSES}",
    ),
}
"""Arguments of setfit's trainer that the classifier sets itself, and their replacements."""


def _epochs(kwargs: Mapping[str, Any], _: Any) -> tuple[Any, Any]:
    return kwargs.get("embedding_num_epochs", 1), kwargs.get("classifier_num_epochs", 16)


def _negated(_: Mapping[str, Any], frozen: Any) -> bool:
    return not check_flag("keep_body_frozen", frozen)


RENAMED_IN_TRAINING: Renamed = {
    "classifier_num_epochs": ("num_epochs", _epochs),
    "embedding_num_epochs": ("num_epochs", _epochs),
    "keep_body_frozen": ("end_to_end", _negated),
    "learning_rate": ("body_learning_rate", unchanged),
    "loss_class": ("loss", unchanged),
}
"""Deprecated names of arguments of setfit's trainer."""


@dataclass(frozen=True)
class HeadTrainingArgs:
    """The training arguments of a differentiable head.

    Parameters
    ----------
    num_epochs : int
    learning_rate : float
    l2_weight : float
        Weight decay.
    """

    num_epochs: int
    learning_rate: float
    l2_weight: float


NUM_EPOCHS = (1, 16)
"""The default numbers of epochs for training on pairs and for training a differentiable head."""

BODY_LEARNING_RATES = (2e-5, 1e-5)
"""The default learning rates of the sentence transformer for training on pairs and end to end."""

LEARNING_RATES_BY_SIZE = ((512, 1e-4), (1024, 4e-5))
"""Numbers of dimensions, and the learning rate "auto" on pairs for encoders with fewer dimensions."""

LEARNING_RATE_OF_LARGE = 2e-5
"""The learning rate "auto" for all larger encoders."""

PRETRAINED_SHARE = 0.75
"""The `pretrained_share` of classifiers created by name; see decision 37."""

HEAD_LEARNING_RATE = 1e-2
"""The default learning rate of a differentiable head."""


@dataclass(frozen=True)
class TrainingArgs:
    """The supported training arguments of the setfit library; see its documentation for details.

    Parameters
    ----------
    num_epochs : int or pair of int, default=(1, 16)
        The numbers of epochs of contrastive training on pairs, and of training a differentiable head, or one
        number for both. Each at least 0.
    max_steps : int, default=-1
        The number of optimizer steps on pairs, instead of `num_epochs`; -1 for no limit.
    sampling_strategy : {"oversampling", "undersampling", "unique"}, default="oversampling"
        How positive and negative pairs are balanced: by repeating the rarer kind, by leaving out pairs of the more
        frequent kind, or not at all, with each pair once.
    num_iterations : int, optional
        The number of positive pairs and of negative pairs per text, instead of a sampling strategy. At least 1.
    body_learning_rate : float, pair of float or "auto", default=(2e-5, 1e-5)
        The learning rates of the sentence transformer for training on pairs and end to end, or one for both.
        "auto" depends on the number of dimensions: 1e-4 below 512, 4e-5 below 1,024, else 2e-5; end to end, half
        of that.
    head_learning_rate : float, default=0.01
        The learning rate of a differentiable head.
    loss : str or type, default="CosineSimilarityLoss"
        The contrastive loss on pairs: a loss class of sentence-transformers, or its name.

    Other Parameters
    ----------------
    end_to_end : bool, default=False
        Whether the sentence transformer is trained together with a differentiable head.
    warmup_proportion : float, default=0.1
        The share of steps with linear warmup of the learning rate, from 0 to 1.
    l2_weight : float or None, default=0.01
        The weight decay of a differentiable head; None is 0.
    logging_strategy : {"no", "steps", "epoch"}, default="no"
        When the loss is logged.
    logging_first_step : bool, default=False
        Whether the loss of the first step is logged.
    logging_steps : int, default=50
        The number of steps between logs, if `logging_strategy` is "steps".
    callbacks : sequence of TrainerCallback, default=()
        Callbacks of transformers, called during training on pairs.

    Raises
    ------
    InvalidInputError
        If an argument has the wrong type or is out of range.
    """

    num_epochs: int | tuple[int, int] = NUM_EPOCHS
    max_steps: int = -1
    sampling_strategy: Literal["oversampling", "undersampling", "unique"] = "oversampling"
    num_iterations: int | None = None
    body_learning_rate: float | tuple[float, float] | Literal["auto"] = BODY_LEARNING_RATES
    head_learning_rate: float = HEAD_LEARNING_RATE
    loss: str | type[nn.Module] = "CosineSimilarityLoss"
    end_to_end: bool = False
    warmup_proportion: float = 0.1
    l2_weight: float | None = 0.01
    logging_strategy: Literal["no", "steps", "epoch"] = "no"
    logging_first_step: bool = False
    logging_steps: int = 50
    callbacks: Sequence[TrainerCallback] = ()

    def __post_init__(self) -> None:
        for number in _as_pair(self.num_epochs):
            check_count("num_epochs", number, minimum=0)
        if not is_whole(self.max_steps) or self.max_steps != -1:
            check_count("max_steps", self.max_steps)
        check_choice("sampling_strategy", self.sampling_strategy, SAMPLING_STRATEGIES)
        if self.num_iterations is not None:
            check_count("num_iterations", self.num_iterations)
        for rate in () if is_auto(self.body_learning_rate) else _as_pair(self.body_learning_rate):
            check_positive("body_learning_rate", rate)
        check_positive("head_learning_rate", self.head_learning_rate)
        if self.loss_name not in LOSSES:
            raise InvalidInputError("loss", shown(self.loss), f"a loss of pairs, one of {', '.join(LOSSES)}")
        check_within("warmup_proportion", self.warmup_proportion, 0, 1)
        if self.l2_weight is not None:
            check_within("l2_weight", self.l2_weight, 0)
        check_flag("end_to_end", self.end_to_end)
        check_flag("logging_first_step", self.logging_first_step)
        check_count("logging_steps", self.logging_steps)
        check_choice("logging_strategy", self.logging_strategy, LOGGING_STRATEGIES)
        _check_callbacks(self.callbacks)

    @property
    def loss_name(self) -> str:
        """The name of the loss, also if it was passed as a class."""
        return self.loss if isinstance(self.loss, str) else str(getattr(self.loss, "__name__", ""))

    @property
    def epochs(self) -> tuple[int, int]:
        """The numbers of epochs of contrastive training and of training a differentiable head."""
        first, second = _as_pair(self.num_epochs)
        return int(first), int(second)

    @property
    def body_learning_rates(self) -> tuple[float, float]:
        """The learning rates of the sentence transformer in contrastive and in end-to-end training."""
        first, second = _as_pair(self.body_learning_rate)
        return float(first), float(second)

    def for_encoder(self, dimensions: int) -> TrainingArgs:
        """Return arguments in which the learning rate "auto" is replaced according to the size of the encoder."""
        if not is_auto(self.body_learning_rate):
            return self
        by_size = (rate for limit, rate in LEARNING_RATES_BY_SIZE if dimensions < limit)
        rate = next(by_size, LEARNING_RATE_OF_LARGE)
        return replace(self, body_learning_rate=(rate, rate / 2))

    def num_steps(self, batches: int, min_steps: MinSteps, max_auto_steps: float = np.inf) -> int:
        """Return the number of optimizer steps of contrastive training.

        Parameters
        ----------
        batches : int
            The number of batches of an epoch; 0 if there are no pairs.
        min_steps : int or "auto"
            The parameter of the classifier.
        max_auto_steps : float, optional
            The maximum number of steps for "auto", unless it is below `MIN_AUTO_STEPS`.
        """
        if not batches or (not self.epochs[0] and self.max_steps < 0):
            return 0
        if self.max_steps > 0:
            return self.max_steps
        steps = self.epochs[0] * batches
        if not is_auto(min_steps):
            return max(steps, min_steps)
        if self.num_iterations is not None or self.epochs != NUM_EPOCHS:
            return steps
        return int(min(AUTO_STEPS, max(MIN_AUTO_STEPS, max_auto_steps)))

    @property
    def head_training(self) -> HeadTrainingArgs:
        """The training arguments of a differentiable head."""
        return HeadTrainingArgs(self.epochs[1], float(self.head_learning_rate), float(self.l2_weight or 0))


def check_min_steps(value: object) -> MinSteps:
    """Return a minimum number of steps, 0 or above, or "auto"; raise InvalidInputError for anything else."""
    if is_auto(value):
        return AUTO
    if not is_whole(value) or value < 0:
        raise InvalidInputError("min_steps", shown(value), "a whole number, 0 or above, or 'auto'")
    return int(value)


def parse_training_args(**given: Mapping[str, Any] | None) -> TrainingArgs:
    """Validate and merge arguments of setfit's training; later mappings override earlier ones.

    Parameters
    ----------
    **given : mapping or None
        The mappings, by the names of their parameters.

    Raises
    ------
    InvalidInputError
        If an argument is unknown, set by the classifier itself, or not allowed.
    """
    merged: dict[str, Any] = {}
    for argument, kwargs in given.items():
        if kwargs is not None and not isinstance(kwargs, Mapping) and argument == "setfit_train_kwargs":
            advice = "The third argument of fit is setfit_train_kwargs; pass weights=... by keyword."
            allowed = "a mapping from names to values, or None"
            raise InvalidInputError(argument, type(kwargs).__name__, allowed, advice)
        merged.update(current_trainer_kwargs(kwargs, argument))
    if merged.get("callbacks") is None:
        merged["callbacks"] = ()
    return TrainingArgs(**merged)


def current_trainer_kwargs(kwargs: object, argument: str = "trainer_kwargs") -> dict[str, Any]:
    """Return arguments of setfit's training under their current names, without checking their values."""
    return current_kwargs(argument, kwargs, RENAMED_IN_TRAINING, MANAGED_IN_TRAINING, TrainingArgs)


def _as_pair(value: Any) -> tuple[Any, Any]:
    if isinstance(value, (tuple, list)):
        if len(value) != 2:
            raise InvalidInputError("num_epochs or body_learning_rate", shown(value), "one number, or two")
        return value[0], value[1]
    return value, value


def _check_callbacks(callbacks: object) -> None:
    from transformers.trainer_callback import TrainerCallback

    several = isinstance(callbacks, (list, tuple))
    if not several or not all(isinstance(one, TrainerCallback) for one in callbacks):  # type: ignore[attr-defined]
        raise InvalidInputError("callbacks", shown(callbacks), "a list of TrainerCallback objects of transformers")
