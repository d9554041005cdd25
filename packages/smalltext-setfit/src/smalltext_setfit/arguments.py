"""The arguments that configure the model: the sentence transformer, and `model_kwargs` for setfit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from smalltext_core.errors import InvalidInputError
from smalltext_core.messages import brief, shown
from smalltext_core.validation import check_flag, check_mapping
from smalltext_torch.model_loading import ModelLoadingStrategy, abbreviated, as_source
from smalltext_torch.progress import warn_deprecated

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


@dataclass(frozen=True)
class SetFitModelArguments:
    """The pretrained sentence transformer to fine-tune, and where to look for it.

    Parameters
    ----------
    sentence_transformer_model : str or path
        The folder of a sentence transformer, which may begin with ``~``, or its name on the Hugging Face hub.
    model_loading_strategy : ModelLoadingStrategy or str, default=ModelLoadingStrategy.DEFAULT
        Whether the model may, or must, be downloaded: "default", "always-local" or "always-download".

    Raises
    ------
    InvalidInputError
        If an argument has the wrong type, is empty, or is not one of the strategies.

    Examples
    --------
    >>> SetFitModelArguments("sentence-transformers/all-MiniLM-L6-v2").model_loading_strategy
    <ModelLoadingStrategy.DEFAULT: 'default'>
    """

    sentence_transformer_model: str
    model_loading_strategy: ModelLoadingStrategy

    def __init__(
        self,
        sentence_transformer_model: str | Path,
        model_loading_strategy: ModelLoadingStrategy | str = ModelLoadingStrategy.DEFAULT,
    ) -> None:
        argument = "sentence_transformer_model"
        object.__setattr__(self, argument, as_source(argument, sentence_transformer_model))
        object.__setattr__(self, "model_loading_strategy", ModelLoadingStrategy.of(model_loading_strategy))

    @classmethod
    def of(cls, model: SetFitModelArguments | str | Path) -> SetFitModelArguments:
        """Return arguments unchanged, and the default ones for the name or folder of a model.

        Parameters
        ----------
        model : SetFitModelArguments, str or path
            Arguments, or the name or folder of a sentence transformer.

        Returns
        -------
        SetFitModelArguments

        Raises
        ------
        InvalidInputError
            If `model` has the wrong type or is empty.
        """
        return model if isinstance(model, SetFitModelArguments) else cls(model)

    def to_json(self) -> dict[str, Any]:
        """Return the arguments as JSON, from which the constructor restores them."""
        return {
            "sentence_transformer_model": abbreviated(self.sentence_transformer_model),
            "model_loading_strategy": self.model_loading_strategy.value,
        }


MANAGED_IN_MODEL = {
    "device": "Use device of the constructor",
    "labels": "Use label_names of the dataset",
    "model_card_data": "No model card is written",
    "trust_remote_code": "Models that bring custom code are refused",
    "use_differentiable_head": "Use use_differentiable_head of the constructor",
    **dict.fromkeys(("force_download", "local_files_only"), "Use model_loading_strategy of SetFitModelArguments"),
    **dict.fromkeys(("model_id", "pretrained_model_name_or_path"), "Use setfit_model_args of the constructor"),
}
"""Arguments of `SetFitModel.from_pretrained` that the classifier sets itself, and their replacements."""

MANAGED_IN_HEAD = {
    "class_weight": "Use class_weight of the constructor",
    "device": "Use device of the constructor",
    "in_features": "It follows from the model",
    "multitarget": "Use multi_label of the constructor",
    "n_jobs": "It has no effect",
    "out_features": "Use num_classes of the constructor",
    "random_state": "Use seed of the constructor",
    "warm_start": "Use warm_start of the constructor, which is about the sentence transformer",
}
"""Parameters of the head that the classifier sets itself, and their replacements."""

Renamed = Mapping[str, tuple[str, Callable[[Mapping[str, Any], Any], Any]]]
"""Deprecated names, each with its new name and a function that converts its value, given all arguments."""


def unchanged(_: Mapping[str, Any], value: Any) -> Any:
    """Return the value of an argument that was only renamed."""
    return value


RENAMED_IN_MODEL: Renamed = {
    "cache_folder": ("cache_dir", unchanged),
    "normalize": ("normalize_embeddings", unchanged),
    "use_auth_token": ("token", unchanged),
}
"""Deprecated names of arguments of `SetFitModel.from_pretrained` and of sentence-transformers."""


@dataclass(frozen=True)
class ModelKwargs:
    """The arguments of ``SetFitModel.from_pretrained`` that can be set; see setfit's documentation for details.

    Parameters
    ----------
    normalize_embeddings : bool, default=False
        Whether embeddings are scaled to unit length.
    cache_dir : str or path, optional
        The folder for downloaded models; by default that of sentence-transformers.

    Other Parameters
    ----------------
    head_params : mapping, optional
        Parameters of the head: those of scikit-learn's `LogisticRegression`, whose `C` may be "auto", or of a
        differentiable head (`temperature`, `eps` and `bias`).
    multi_target_strategy : {"one-vs-rest", "multi-output"}, optional
        Accepted for compatibility with setfit, without effect: multi-label heads are always independent per class.
    revision : str, optional
        The branch, tag or commit of the model on the hub.
    token : str or bool, optional
        The access token for the hub, or whether to use the stored one. It is not saved.

    Raises
    ------
    InvalidInputError
        If an argument has the wrong type or is out of range.
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
        if not isinstance(self.cache_dir, (str, Path, type(None))):
            raise InvalidInputError("cache_dir", shown(self.cache_dir), "a path, or None")
        if not isinstance(self.revision, (str, type(None))):
            raise InvalidInputError("revision", shown(self.revision), "the name of a revision, or None")
        if not isinstance(self.token, (str, bool, type(None))):
            raise InvalidInputError("token", f"a {type(self.token).__name__}", "a string, True, False or None")
        strategy = self.multi_target_strategy
        if strategy is not None and (
            not isinstance(strategy, str) or strategy not in ("one-vs-rest", "multi-output")
        ):
            raise InvalidInputError(
                "multi_target_strategy",
                shown(self.multi_target_strategy),
                "'one-vs-rest', or 'multi-output' (which is the same)",
                "The columns of multi-label probabilities are independent of one another.",
            )


def current_model_kwargs(kwargs: object) -> dict[str, Any]:
    """Return arguments of `SetFitModel.from_pretrained` under their current names, after validation."""
    current = current_kwargs("model_kwargs", kwargs, RENAMED_IN_MODEL, MANAGED_IN_MODEL, ModelKwargs)
    ModelKwargs(**current)
    return current


def current_kwargs(
    argument: str,
    kwargs: object,
    renamed: Renamed,
    managed: Mapping[str, str],
    declared: type[DataclassInstance],
) -> dict[str, Any]:
    """Return keyword arguments under their current names; refuse unknown ones and those that the class manages.

    Parameters
    ----------
    argument : str
        The name of the mapping in errors.
    kwargs : mapping or None
        The keyword arguments.
    renamed : mapping
        Deprecated names, each of which is replaced with a warning.
    managed : mapping
        Names of arguments that the classifier sets itself, and their replacements.
    declared : type
        The dataclass whose fields are allowed.
    """
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
    refuse_managed(argument, current, managed)
    known = [one.name for one in fields(declared)]
    unknown = sorted(current.keys() - set(known))
    if unknown:
        raise InvalidInputError(argument, f"the keyword {shown(unknown[0])}", f"{', '.join(known)}")
    return current


def refuse_managed(argument: str, kwargs: Mapping[str, Any], managed: Mapping[str, str]) -> None:
    """Raise InvalidInputError, which names the replacement, for a keyword that the classifier sets itself."""
    for name in kwargs:
        if name in managed:
            allowed = "keywords that this class does not manage"
            raise InvalidInputError(argument, f"the keyword {name!r}", allowed, f"{managed[name]}.")
