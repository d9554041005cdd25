"""The names of keywords: those that this class manages itself, with advice, and old ones, which are translated."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from smalltext_core.errors import InvalidInputError
from smalltext_core.messages import brief, shown
from smalltext_core.validation import check_flag, check_mapping
from smalltext_torch.progress import warn_deprecated

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
    "trial": "search over parameters with a SetFitClassificationFactory for each choice of them",
    "use_amp": "use precision='auto' of the constructor",
    **dict.fromkeys(
        ("body_classifier_learning_rate", "body_embedding_learning_rate"),
        "use body_learning_rate=(pairs, end to end)",
    ),
    **dict.fromkeys(("classifier_batch_size", "embedding_batch_size"), "use mini_batch_size of the constructor"),
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
    "warm_start": "use warm_start of the constructor, which is about the sentence transformer",
}
"""The same for the parameters of the head."""

Given = Mapping[str, Any]


@dataclass(frozen=True)
class Renamed:
    """What an old keyword is called now.

    Parameters
    ----------
    new : str
    value : callable
        Turns all that was given, and what the old name holds, into what the new one does.
    """

    new: str
    value: Callable[[Given, Any], Any] = lambda _, value: value


def _epochs(given: Given, _: Any) -> tuple[Any, Any]:
    return given.get("embedding_num_epochs", 1), given.get("classifier_num_epochs", 16)


RENAMED_IN_TRAINING = {
    "classifier_num_epochs": Renamed("num_epochs", _epochs),
    "embedding_num_epochs": Renamed("num_epochs", _epochs),
    "keep_body_frozen": Renamed("end_to_end", lambda _, frozen: not check_flag("keep_body_frozen", frozen)),
    "learning_rate": Renamed("body_learning_rate"),
    "loss_class": Renamed("loss"),
}
"""What keywords of setfit's trainer are called now."""

RENAMED_IN_MODEL = {
    "cache_folder": Renamed("cache_dir"),
    "normalize": Renamed("normalize_embeddings"),
    "use_auth_token": Renamed("token"),
}
"""What keywords of `SetFitModel.from_pretrained` and of sentence-transformers are called now."""


def translated(argument: str, keywords: object, renamed: Mapping[str, Renamed]) -> dict[str, Any]:
    """Give keywords their present names, and warn of the old ones.

    Raises
    ------
    InvalidInputError
        If they are no mapping from names, or if something has both its names.
    """
    given = check_mapping(argument, keywords)
    current = {name: value for name, value in given.items() if name not in renamed}
    for old in sorted(given.keys() & renamed.keys()):
        new, value = renamed[old].new, renamed[old].value(given, given[old])
        if new in given:
            raise InvalidInputError(argument, f"both {old!r} and {new!r}", f"{new!r}", f"{old} is an old name.")
        # What is only called otherwise is not told: it may be a token.
        warn_deprecated(f"{old} in {argument}", new if value is given[old] else f"{new}={brief(value)}")
        current[new] = value
    return current


def check_names(argument: str, keywords: Given, managed: Mapping[str, str], known: Iterable[str]) -> None:
    """Refuse keywords that are managed, with advice, and those that are unknown."""
    refuse_managed(argument, keywords, managed)
    unknown = sorted(keywords.keys() - set(known))
    if unknown:
        raise InvalidInputError(argument, f"the keyword {shown(unknown[0])}", f"{', '.join(known)}")


def refuse_managed(argument: str, keywords: Given, managed: Mapping[str, str]) -> None:
    """Refuse keywords that are managed, and say what to use in their place."""
    for name in keywords:
        if name in managed:
            raise InvalidInputError(
                argument,
                f"the keyword {name!r}",
                "keywords that this class does not manage",
                f"{managed[name]}.",
            )
