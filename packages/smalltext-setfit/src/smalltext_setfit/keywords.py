"""What may be handed on to setfit, checked: how it trains, and what model it makes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from smalltext_core.errors import InvalidInputError
from smalltext_core.messages import shown
from smalltext_core.validation import (
    check_choice,
    check_count,
    check_flag,
    check_mapping,
    check_positive,
    check_within,
)
from smalltext_core.values import is_whole
from smalltext_setfit.names import (
    LOSSES,
    MANAGED_IN_HEAD,
    MANAGED_IN_MODEL,
    MANAGED_IN_TRAINING,
    RENAMED_IN_MODEL,
    RENAMED_IN_TRAINING,
    check_names,
    refuse_managed,
    translated,
)
from smalltext_setfit.pairs import SAMPLING_STRATEGIES

if TYPE_CHECKING:
    from torch import nn
    from transformers import TrainerCallback

T = TypeVar("T")

LOGGING_STRATEGIES = ("no", "steps", "epoch")


@dataclass(frozen=True)
class HeadTraining:
    """How a head is trained by gradients.

    Parameters
    ----------
    num_epochs : int
    learning_rate : float
    l2_weight : float
    """

    num_epochs: int
    learning_rate: float
    l2_weight: float


NUM_EPOCHS = (1, 16)
"""The default numbers of epochs, of training on pairs and of training a differentiable head."""

BODY_LEARNING_RATES = (2e-5, 1e-5)
"""The default learning rates of the sentence transformer, on pairs and end to end."""

HEAD_LEARNING_RATE = 1e-2
"""The default learning rate of a differentiable head."""


@dataclass(frozen=True)
class TrainingKeywords:
    """The training arguments of the setfit library that can be set; its documentation says more on each.

    Parameters
    ----------
    num_epochs : int or pair of int, default=(1, 16)
        The number of epochs: of contrastive training on pairs, and of training a differentiable head. One number
        is used for both. Each at least 0.
    max_steps : int, default=-1
        The number of optimizer steps on pairs, in place of `num_epochs`; -1 for no limit.
    sampling_strategy : {"oversampling", "undersampling", "unique"}, default="oversampling"
        How positive and negative pairs are balanced: by repeating the rarer kind, by leaving out pairs of the more
        frequent kind, or not at all, with each pair once.
    num_iterations : int, optional
        The number of positive and of negative pairs for each text, in place of a sampling strategy. At least 1.
    body_learning_rate : float or pair of float, default=(2e-5, 1e-5)
        The learning rate of the sentence transformer: on pairs, and end to end. One number is used for both.
    head_learning_rate : float, default=0.01
        The learning rate of a differentiable head.
    loss : str or type, default="CosineSimilarityLoss"
        The contrastive loss on pairs: the name of a loss class of sentence-transformers, or that class.

    Other Parameters
    ----------------
    end_to_end : bool, default=False
        Whether the sentence transformer is trained along with a differentiable head.
    warmup_proportion : float, default=0.1
        The share of steps during which the learning rate rises linearly, from 0 to 1.
    l2_weight : float or None, default=0.01
        The weight decay of a differentiable head; None is 0.
    logging_strategy : {"no", "steps", "epoch"}, default="no"
        When the loss is logged.
    logging_first_step : bool, default=False
        Whether the loss of the first step is logged.
    logging_steps : int, default=50
        The number of steps from log to log, where `logging_strategy` is "steps".
    callbacks : sequence of TrainerCallback, default=()
        Callbacks of transformers, called during training on pairs.

    Raises
    ------
    InvalidInputError
        If an argument is not what is described here.
    """

    num_epochs: int | tuple[int, int] = NUM_EPOCHS
    max_steps: int = -1
    sampling_strategy: Literal["oversampling", "undersampling", "unique"] = "oversampling"
    num_iterations: int | None = None
    body_learning_rate: float | tuple[float, float] = BODY_LEARNING_RATES
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
        for number in _pair(self.num_epochs):
            check_count("num_epochs", number, 0)
        if not is_whole(self.max_steps) or self.max_steps != -1:
            check_count("max_steps", self.max_steps)
        check_choice("sampling_strategy", self.sampling_strategy, SAMPLING_STRATEGIES)
        if self.num_iterations is not None:
            check_count("num_iterations", self.num_iterations)
        for rate in _pair(self.body_learning_rate):
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
        """The name of the loss, which may be given as a class."""
        return self.loss if isinstance(self.loss, str) else str(getattr(self.loss, "__name__", ""))

    @property
    def epochs(self) -> tuple[int, int]:
        """For how many epochs pairs are contrasted, and a differentiable head is trained."""
        first, second = _pair(self.num_epochs)
        return int(first), int(second)

    @property
    def body_learning_rates(self) -> tuple[float, float]:
        """The rate at which the body learns from pairs, and that at which it learns end to end."""
        first, second = _pair(self.body_learning_rate)
        return float(first), float(second)

    @property
    def head_training(self) -> HeadTraining:
        """How a differentiable head is trained."""
        return HeadTraining(self.epochs[1], float(self.head_learning_rate), float(self.l2_weight or 0))


@dataclass(frozen=True)
class ModelKeywords:
    """The arguments of ``SetFitModel.from_pretrained`` that can be set; setfit's documentation says more on each.

    Parameters
    ----------
    normalize_embeddings : bool, default=False
        Whether embeddings are scaled to unit length.
    cache_dir : str or path, optional
        The folder of downloaded models; by default that of sentence-transformers.

    Other Parameters
    ----------------
    head_params : mapping, optional
        Parameters of the head: of scikit-learn's `LogisticRegression`; of a differentiable head `temperature`,
        `eps` and `bias`.
    multi_target_strategy : {"one-vs-rest", "multi-output"}, optional
        Accepted for setfit's sake: multi-label heads are independent for each class in any case.
    revision : str, optional
        The branch, tag or commit of the model on the hub.
    token : str or bool, optional
        The access token for the hub, or whether to use the one that is stored. It is not saved.

    Raises
    ------
    InvalidInputError
        If an argument is not what is described here.
    """

    head_params: Mapping[str, Any] = field(default_factory=dict)
    normalize_embeddings: bool = False
    multi_target_strategy: str | None = None
    cache_dir: str | Path | None = None
    revision: str | None = None
    token: str | bool | None = None

    def __post_init__(self) -> None:
        refuse_managed("head_params", check_mapping("head_params", self.head_params), MANAGED_IN_HEAD)
        check_flag("normalize_embeddings", self.normalize_embeddings)
        _check_type("cache_dir", self.cache_dir, (str, Path), "a path, or None")
        _check_type("revision", self.revision, (str,), "the name of a revision, or None")
        if not isinstance(self.token, (str, bool, type(None))):
            raise InvalidInputError("token", f"a {type(self.token).__name__}", "a string, True, False or None")
        strategies = (None, "one-vs-rest", "multi-output")
        if self.multi_target_strategy not in strategies:
            raise InvalidInputError(
                "multi_target_strategy",
                shown(self.multi_target_strategy),
                "'one-vs-rest', or 'multi-output' (which is the same)",
                "The columns of multi-label probabilities are independent of one another.",
            )


def training_keywords(*given: tuple[str, Mapping[str, Any] | None]) -> TrainingKeywords:
    """Return what setfit is trained with, of what the caller gave, the last one deciding.

    Parameters
    ----------
    *given : tuple of (str, mapping or None)
        What an argument is called, and what it holds.

    Raises
    ------
    InvalidInputError
        If a keyword is managed, unknown, or holds what it must not.
    """
    known = [one.name for one in fields(TrainingKeywords)]
    chosen: dict[str, Any] = {}
    for argument, keywords in given:
        current = translated(argument, keywords, RENAMED_IN_TRAINING)
        check_names(argument, current, MANAGED_IN_TRAINING, known)
        chosen.update(current)
    if chosen.get("callbacks") is None:
        chosen["callbacks"] = ()
    return TrainingKeywords(**chosen)


def model_keywords(keywords: Mapping[str, Any] | None) -> ModelKeywords:
    """Return what the model is made with; the same rules as for `training_keywords`."""
    current = translated("model_kwargs", keywords, RENAMED_IN_MODEL)
    check_names("model_kwargs", current, MANAGED_IN_MODEL, [one.name for one in fields(ModelKeywords)])
    return ModelKeywords(**current)


def _pair(value: Any) -> tuple[Any, Any]:
    if isinstance(value, (tuple, list)):
        if len(value) != 2:
            raise InvalidInputError("num_epochs or body_learning_rate", shown(value), "one number, or two")
        return value[0], value[1]
    return value, value


def _check_type(argument: str, value: object, types: tuple[type, ...], allowed: str) -> None:
    if value is not None and not isinstance(value, types):
        raise InvalidInputError(argument, shown(value), allowed)


def _check_callbacks(callbacks: object) -> None:
    from transformers import TrainerCallback

    several = isinstance(callbacks, (list, tuple))
    if not several or not all(isinstance(one, TrainerCallback) for one in callbacks):  # type: ignore[attr-defined]
        raise InvalidInputError("callbacks", shown(callbacks), "a list of TrainerCallback objects of transformers")
