"""Validation of the keyword arguments that are passed on to setfit: `trainer_kwargs` and `model_kwargs`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from smalltext_core.conversion import is_whole
from smalltext_core.errors import InvalidInputError
from smalltext_core.messages import brief, shown
from smalltext_core.validation import (
    check_choice,
    check_count,
    check_flag,
    check_mapping,
    check_positive,
    check_within,
)
from smalltext_setfit.sampler import SAMPLING_STRATEGIES
from smalltext_torch.progress import warn_deprecated

if TYPE_CHECKING:
    from torch import nn
    from transformers import TrainerCallback

LOGGING_STRATEGIES = ("no", "steps", "epoch")

LOSSES = ("CosineSimilarityLoss", "ContrastiveLoss", "OnlineContrastiveLoss", "CoSENTLoss", "AnglELoss")
"""The losses of sentence-transformers that compare pairs of texts."""

_LAST_MODEL = "training keeps its last model only"
_NO_FILES = "training writes no files; use save()"
_NO_REPORTS = "nothing is reported; give callbacks"
_VALIDATION = "use validation_set of fit(), or validate()"

MANAGED_IN_TRAINING = {
    "args": "give its fields, such as num_epochs",
    "column_mapping": "texts and labels come from the dataset",
    "eval_dataset": "use validation_set of fit()",
    "max_length": "use max_seq_len of the constructor",
    "model": "use setfit_model_args of the constructor",
    "model_init": "use a SetFitClassificationFactory",
    "seed": "use seed of the constructor",
    "show_progress_bar": "set the environment variable SMALL_TEXT_PROGRESS_BARS to 0 or 1",
    "train_dataset": "use train_set of fit()",
    "trial": "search over parameters with a SetFitClassificationFactory for each choice of them",
    "use_amp": "use precision='auto' of the constructor",
    **dict.fromkeys(
        ("body_classifier_learning_rate", "body_embedding_learning_rate"),
        "use body_learning_rate=(pairs, end to end)",
    ),
    **dict.fromkeys(
        ("batch_size", "classifier_batch_size", "embedding_batch_size"), "use mini_batch_size of the constructor"
    ),
    **dict.fromkeys(("metric", "metric_kwargs"), "use validate()"),
    **dict.fromkeys(("greater_is_better", "load_best_model_at_end", "metric_for_best_model"), _LAST_MODEL),
    **dict.fromkeys(("eval_delay", "eval_max_steps", "eval_steps"), _VALIDATION),
    **dict.fromkeys(("eval_strategy", "evaluation_strategy"), _VALIDATION),
    **dict.fromkeys(("output_dir", "save_steps", "save_strategy", "save_total_limit"), _NO_FILES),
    **dict.fromkeys(("logging_dir", "report_to", "run_name"), _NO_REPORTS),
    **dict.fromkeys(
        ("distance_metric", "margin", "samples_per_label"),
        f"it is a parameter of triplet losses; loss is one of {LOSSES}",
    ),
}
"""Arguments of setfit's trainer that the classifier sets itself, and what to use instead."""

MANAGED_IN_MODEL = {
    "device": "use device of the constructor",
    "labels": "use label_names of the dataset",
    "model_card_data": "no model card is written",
    "trust_remote_code": "models that bring custom code are refused",
    "use_differentiable_head": "use use_differentiable_head of the constructor",
    **dict.fromkeys(("force_download", "local_files_only"), "use model_loading_strategy of SetFitModelArguments"),
    **dict.fromkeys(("model_id", "pretrained_model_name_or_path"), "use setfit_model_args of the constructor"),
}
"""Arguments of `SetFitModel.from_pretrained` that the classifier sets itself, and what to use instead."""

MANAGED_IN_HEAD = {
    "class_weight": "use class_weight of the constructor",
    "device": "use device of the constructor",
    "in_features": "it follows from the model",
    "multitarget": "use multi_label of the constructor",
    "n_jobs": "it has no effect",
    "out_features": "use num_classes of the constructor",
    "random_state": "use seed of the constructor",
    "warm_start": "use warm_start of the constructor, which is about the sentence transformer",
}
"""Parameters of the head that the classifier sets itself, and what to use instead."""


def _epochs(kwargs: Mapping[str, Any], _: Any) -> tuple[Any, Any]:
    return kwargs.get("embedding_num_epochs", 1), kwargs.get("classifier_num_epochs", 16)


def _unchanged(_: Mapping[str, Any], value: Any) -> Any:
    return value


def _negated(_: Mapping[str, Any], frozen: Any) -> bool:
    return not check_flag("keep_body_frozen", frozen)


Renamed = Mapping[str, tuple[str, Callable[[Mapping[str, Any], Any], Any]]]
"""Deprecated names, each with its new name, and the function of all arguments and its value that converts it."""

RENAMED_IN_TRAINING: Renamed = {
    "classifier_num_epochs": ("num_epochs", _epochs),
    "embedding_num_epochs": ("num_epochs", _epochs),
    "keep_body_frozen": ("end_to_end", _negated),
    "learning_rate": ("body_learning_rate", _unchanged),
    "loss_class": ("loss", _unchanged),
}
"""Deprecated names of arguments of setfit's trainer."""

RENAMED_IN_MODEL: Renamed = {
    "cache_folder": ("cache_dir", _unchanged),
    "normalize": ("normalize_embeddings", _unchanged),
    "use_auth_token": ("token", _unchanged),
}
"""Deprecated names of arguments of `SetFitModel.from_pretrained` and of sentence-transformers."""


@dataclass(frozen=True)
class HeadTrainingArgs:
    """How a differentiable head is trained.

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
"""The default numbers of epochs, of training on pairs and of training a differentiable head."""

BODY_LEARNING_RATES = (2e-5, 1e-5)
"""The default learning rates of the sentence transformer, on pairs and end to end."""

HEAD_LEARNING_RATE = 1e-2
"""The default learning rate of a differentiable head."""


@dataclass(frozen=True)
class TrainingArgs:
    """The training arguments of the setfit library that can be set; see its documentation for details.

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
        If an argument has another type or is out of range.
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
        for number in _as_pair(self.num_epochs):
            check_count("num_epochs", number, minimum=0)
        if not is_whole(self.max_steps) or self.max_steps != -1:
            check_count("max_steps", self.max_steps)
        check_choice("sampling_strategy", self.sampling_strategy, SAMPLING_STRATEGIES)
        if self.num_iterations is not None:
            check_count("num_iterations", self.num_iterations)
        for rate in _as_pair(self.body_learning_rate):
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
        """The name of the loss, which may be passed as a class."""
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

    @property
    def head_training(self) -> HeadTrainingArgs:
        """How a differentiable head is trained."""
        return HeadTrainingArgs(self.epochs[1], float(self.head_learning_rate), float(self.l2_weight or 0))


@dataclass(frozen=True)
class ModelKwargs:
    """The arguments of ``SetFitModel.from_pretrained`` that can be set; see setfit's documentation for details.

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
        Accepted for compatibility with setfit: multi-label heads are independent for each class in any case.
    revision : str, optional
        The branch, tag or commit of the model on the hub.
    token : str or bool, optional
        The access token for the hub, or whether to use the one that is stored. It is not saved.

    Raises
    ------
    InvalidInputError
        If an argument has another type or is out of range.
    """

    head_params: Mapping[str, Any] = field(default_factory=dict)
    normalize_embeddings: bool = False
    multi_target_strategy: str | None = None
    cache_dir: str | Path | None = None
    revision: str | None = None
    token: str | bool | None = None

    def __post_init__(self) -> None:
        _refuse_managed("head_params", check_mapping("head_params", self.head_params), MANAGED_IN_HEAD)
        check_flag("normalize_embeddings", self.normalize_embeddings)
        if not isinstance(self.cache_dir, (str, Path, type(None))):
            raise InvalidInputError("cache_dir", shown(self.cache_dir), "a path, or None")
        if not isinstance(self.revision, (str, type(None))):
            raise InvalidInputError("revision", shown(self.revision), "the name of a revision, or None")
        if not isinstance(self.token, (str, bool, type(None))):
            raise InvalidInputError("token", f"a {type(self.token).__name__}", "a string, True, False or None")
        if self.multi_target_strategy not in (None, "one-vs-rest", "multi-output"):
            raise InvalidInputError(
                "multi_target_strategy",
                shown(self.multi_target_strategy),
                "'one-vs-rest', or 'multi-output' (which is the same)",
                "The columns of multi-label probabilities are independent of one another.",
            )


def parse_training_args(**given: Mapping[str, Any] | None) -> TrainingArgs:
    """Validate and merge arguments of setfit's training; later mappings override earlier ones.

    Parameters
    ----------
    **given : mapping or None
        The mappings, by the names of the parameters that hold them.

    Raises
    ------
    InvalidInputError
        If an argument is unknown, set by the classifier itself, or has a value that is not allowed.
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
    return _current_kwargs(argument, kwargs, RENAMED_IN_TRAINING, MANAGED_IN_TRAINING, TrainingArgs)


def current_model_kwargs(kwargs: object) -> dict[str, Any]:
    """Return arguments of `SetFitModel.from_pretrained` under their current names, after validation."""
    current = _current_kwargs("model_kwargs", kwargs, RENAMED_IN_MODEL, MANAGED_IN_MODEL, ModelKwargs)
    ModelKwargs(**current)
    return current


def _current_kwargs(
    argument: str,
    kwargs: object,
    renamed: Renamed,
    managed: Mapping[str, str],
    declared: type[TrainingArgs | ModelKwargs],
) -> dict[str, Any]:
    """Translate deprecated names, with a warning each, and refuse unknown and managed ones."""
    given = check_mapping(argument, kwargs)
    current = {name: value for name, value in given.items() if name not in renamed}
    for old in sorted(given.keys() & renamed.keys()):
        new, convert = renamed[old]
        if new in given:
            raise InvalidInputError(argument, f"both {old!r} and {new!r}", f"{new!r}", f"{old} is deprecated.")
        value = convert(given, given[old])
        # The warning does not show a value that stays the same: it may be an access token.
        warn_deprecated(f"{old} in {argument}", new if value is given[old] else f"{new}={brief(value)}")
        current[new] = value
    _refuse_managed(argument, current, managed)
    known = [one.name for one in fields(declared)]
    unknown = sorted(current.keys() - set(known))
    if unknown:
        raise InvalidInputError(argument, f"the keyword {shown(unknown[0])}", f"{', '.join(known)}")
    return current


def _refuse_managed(argument: str, kwargs: Mapping[str, Any], managed: Mapping[str, str]) -> None:
    for name in kwargs:
        if name in managed:
            allowed = "keywords that this class does not manage"
            raise InvalidInputError(argument, f"the keyword {name!r}", allowed, f"{managed[name]}.")


def _as_pair(value: Any) -> tuple[Any, Any]:
    if isinstance(value, (tuple, list)):
        if len(value) != 2:
            raise InvalidInputError("num_epochs or body_learning_rate", shown(value), "one number, or two")
        return value[0], value[1]
    return value, value


def _check_callbacks(callbacks: object) -> None:
    from transformers import TrainerCallback

    several = isinstance(callbacks, (list, tuple))
    if not several or not all(isinstance(one, TrainerCallback) for one in callbacks):  # type: ignore[attr-defined]
        raise InvalidInputError("callbacks", shown(callbacks), "a list of TrainerCallback objects of transformers")
