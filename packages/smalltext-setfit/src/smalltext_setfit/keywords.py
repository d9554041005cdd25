"""What may be handed on to setfit: which keywords are its own, which have another name here, and which are old."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from smalltext_core.errors import InvalidInputError
from smalltext_setfit.pairs import SAMPLING_STRATEGIES
from smalltext_torch.parameters import check_count, check_positive

LOSSES = ("CosineSimilarityLoss", "ContrastiveLoss", "OnlineContrastiveLoss", "CoSENTLoss", "AnglELoss")
"""The losses of sentence-transformers that compare pairs of texts."""

MANAGED_IN_TRAINING = {
    "args": "give its fields, such as num_epochs",
    "batch_size": "use mini_batch_size of the constructor",
    "column_mapping": "texts and labels come from the dataset",
    "eval_dataset": "use validation_set of fit()",
    "greater_is_better": "nothing is kept of a training but its last model",
    "load_best_model_at_end": "nothing is kept of a training but its last model",
    "logging_dir": "nothing is reported; give callbacks",
    "max_length": "use max_seq_len of the constructor",
    "metric": "use validate()",
    "metric_for_best_model": "nothing is kept of a training but its last model",
    "metric_kwargs": "use validate()",
    "model": "use setfit_model_args of the constructor",
    "model_init": "use a SetFitClassificationFactory",
    "output_dir": "training writes no files; use save()",
    "report_to": "nothing is reported; give callbacks",
    "run_name": "nothing is reported; give callbacks",
    "seed": "use seed of the constructor",
    "show_progress_bar": "set the environment variable SMALL_TEXT_PROGRESS_BARS to 0 or 1",
    "train_dataset": "use train_set of fit()",
    "use_amp": "use precision='auto' of the constructor",
    **dict.fromkeys(
        ("eval_delay", "eval_max_steps", "eval_steps", "eval_strategy", "evaluation_strategy"),
        "use validation_set of fit(), or validate()",
    ),
    **dict.fromkeys(("save_steps", "save_strategy", "save_total_limit"), "training writes no files; use save()"),
    **dict.fromkeys(
        ("distance_metric", "margin", "samples_per_label"), f"it belongs to triplets; loss is one of {LOSSES}"
    ),
}
"""Keywords of setfit's trainer and its arguments that this class manages, and what to use in their place."""

MANAGED_IN_MODEL = {
    "device": "use device of the constructor",
    "force_download": "use model_loading_strategy of SetFitModelArguments",
    "labels": "use label_names of the dataset",
    "local_files_only": "use model_loading_strategy of SetFitModelArguments",
    "model_card_data": "no model card is written",
    "model_id": "use setfit_model_args of the constructor",
    "pretrained_model_name_or_path": "use setfit_model_args of the constructor",
    "trust_remote_code": "models that bring code of their own are refused",
    "use_differentiable_head": "use use_differentiable_head of the constructor",
}
"""The same for `SetFitModel.from_pretrained`."""

MANAGED_IN_HEAD = {
    "class_weight": "use class_weight of the constructor",
    "device": "use device of the constructor",
    "in_features": "it follows from the model",
    "multitarget": "use multi_label of the constructor",
    "n_jobs": "it has no effect",
    "out_features": "use num_classes of the constructor",
    "random_state": "use seed of the constructor",
    "warm_start": "every fit starts from the pretrained model",
}
"""The same for the parameters of the head."""

RENAMED_IN_TRAINING = {
    "classifier_num_epochs": "num_epochs=(1, {})",
    "embedding_num_epochs": "num_epochs=({}, 16)",
    "keep_body_frozen": "end_to_end",
    "learning_rate": "body_learning_rate",
    "loss_class": "loss",
}
"""What keywords of setfit's trainer are called now."""

RENAMED_IN_MODEL = {"use_auth_token": "token", "cache_folder": "cache_dir", "normalize": "normalize_embeddings"}
"""What keywords of `SetFitModel.from_pretrained` and of sentence-transformers are called now."""


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


@dataclass(frozen=True)
class TrainingKeywords:
    """The arguments of setfit's training that are the caller's to choose; see its documentation.

    Of a pair, the first number is for contrasting pairs, the second for a differentiable head.
    """

    num_epochs: int | tuple[int, int] = (1, 16)
    max_steps: int = -1
    sampling_strategy: str = "oversampling"
    num_iterations: int | None = None
    body_learning_rate: float | tuple[float, float] = (2e-5, 1e-5)
    head_learning_rate: float = 1e-2
    loss: Any = "CosineSimilarityLoss"
    end_to_end: bool = False
    warmup_proportion: float = 0.1
    l2_weight: float | None = 0.01
    logging_strategy: str = "no"
    logging_first_step: bool = False
    logging_steps: int = 50
    callbacks: tuple[Any, ...] = field(default=())

    def __post_init__(self) -> None:
        for number in _pair(self.num_epochs):
            _check_whole("num_epochs", number, 0)
        if self.max_steps != -1:
            check_count("max_steps", self.max_steps)
        if self.sampling_strategy not in SAMPLING_STRATEGIES:
            allowed = f"one of {', '.join(SAMPLING_STRATEGIES)}"
            raise InvalidInputError("sampling_strategy", repr(self.sampling_strategy), allowed)
        if self.num_iterations is not None:
            check_count("num_iterations", self.num_iterations)
        for rate in _pair(self.body_learning_rate):
            check_positive("body_learning_rate", rate)
        check_positive("head_learning_rate", self.head_learning_rate)
        if self.loss_name not in LOSSES:
            raise InvalidInputError("loss", repr(self.loss), f"a loss of pairs, one of {', '.join(LOSSES)}")
        if isinstance(self.warmup_proportion, bool) or not 0 <= self.warmup_proportion <= 1:
            raise InvalidInputError("warmup_proportion", repr(self.warmup_proportion), "a number from 0 to 1")
        if self.l2_weight is not None and not 0 <= self.l2_weight < float("inf"):
            raise InvalidInputError("l2_weight", repr(self.l2_weight), "a finite number, 0 or above, or None")

    @property
    def loss_name(self) -> str:
        """The name of the loss, which may be given as a class."""
        return self.loss if isinstance(self.loss, str) else str(getattr(self.loss, "__name__", self.loss))

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
    """The arguments of `SetFitModel.from_pretrained` that are the caller's to choose; see its documentation."""

    head_params: Mapping[str, Any] = field(default_factory=dict)
    normalize_embeddings: bool = False
    multi_target_strategy: str | None = None
    cache_dir: str | None = None
    revision: str | None = None
    token: str | bool | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.head_params, Mapping):
            raise InvalidInputError("head_params", repr(self.head_params), "a mapping from names to values")
        _refuse_managed("head_params", self.head_params, MANAGED_IN_HEAD)
        strategies = (None, "one-vs-rest", "multi-output")
        if self.multi_target_strategy not in strategies:
            raise InvalidInputError(
                "multi_target_strategy",
                repr(self.multi_target_strategy),
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
        current = _translated(argument, _as_mapping(argument, keywords), RENAMED_IN_TRAINING, stacklevel=5)
        _check_names(argument, current, MANAGED_IN_TRAINING, known)
        chosen.update(current)
    chosen["callbacks"] = tuple(chosen.get("callbacks") or ())
    return TrainingKeywords(**chosen)


def current_names(argument: str, keywords: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return what setfit is trained with under the present names, and warn of old ones."""
    return _translated(argument, _as_mapping(argument, keywords), RENAMED_IN_TRAINING, stacklevel=4)


def model_keywords(keywords: Mapping[str, Any] | None) -> ModelKeywords:
    """Return what the model is made with; the same rules as for `training_keywords`."""
    current = _translated("model_kwargs", _as_mapping("model_kwargs", keywords), RENAMED_IN_MODEL, stacklevel=4)
    _check_names("model_kwargs", current, MANAGED_IN_MODEL, [one.name for one in fields(ModelKeywords)])
    return ModelKeywords(**current)


def _as_mapping(argument: str, keywords: Mapping[str, Any] | None) -> dict[str, Any]:
    if keywords is None:
        return {}
    if not isinstance(keywords, Mapping):
        raise InvalidInputError(argument, repr(keywords), "a mapping from names to values, or None")
    return dict(keywords)


def _translated(
    argument: str, keywords: dict[str, Any], renamed: Mapping[str, str], stacklevel: int
) -> dict[str, Any]:
    """Give keywords their present names, and warn of the old ones."""
    current = {name: value for name, value in keywords.items() if name not in renamed}
    for old, value in keywords.items():
        if old not in renamed:
            continue
        new, _, rest = renamed[old].partition("=")
        replacement = renamed[old].format(value)
        if new in current:
            raise InvalidInputError(argument, f"both {old!r} and {new!r}", f"{new!r}", f"{old} is an old name.")
        warnings.warn(
            f"{old} in {argument} is deprecated; use {replacement} instead.",
            DeprecationWarning,
            stacklevel=stacklevel,
        )
        if old == "keep_body_frozen":
            current[new] = not value
        elif rest:
            current[new] = (value, 16) if old == "embedding_num_epochs" else (1, value)
        else:
            current[new] = value
    return current


def _check_names(argument: str, keywords: Mapping[str, Any], managed: Mapping[str, str], known: list[str]) -> None:
    _refuse_managed(argument, keywords, managed)
    unknown = sorted(set(keywords) - set(known))
    if unknown:
        raise InvalidInputError(argument, f"the keyword {unknown[0]!r}", f"{', '.join(known)}")


def _refuse_managed(argument: str, keywords: Mapping[str, Any], managed: Mapping[str, str]) -> None:
    for name in keywords:
        if name in managed:
            raise InvalidInputError(
                argument, f"the keyword {name!r}", "keywords that this class does not manage", f"{managed[name]}."
            )


def _pair(value: Any) -> tuple[Any, Any]:
    if isinstance(value, (tuple, list)):
        if len(value) != 2:
            raise InvalidInputError("num_epochs or body_learning_rate", repr(value), "one number, or two")
        return value[0], value[1]
    return value, value


def _check_whole(argument: str, value: object, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise InvalidInputError(argument, repr(value), f"a whole number, {least} or above")
