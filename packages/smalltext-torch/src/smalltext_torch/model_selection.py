"""Model selection: handlers that select which weights to keep."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

import torch
from torch import nn
from torch.optim import Optimizer

from smalltext_core.errors import InvalidInputError
from smalltext_core.messages import shown
from smalltext_core.validation import check_mapping
from smalltext_torch.early_stopping import MEASURED, Measurements, Metric
from smalltext_torch.inference import check_returned

METRICS = tuple(Metric(name, lower_is_better=name.endswith("_loss")) for name in MEASURED)


@dataclass(frozen=True)
class ModelSelectionResult:
    """A model that was added to a handler.

    Parameters
    ----------
    model_id : str
        The numbers of the epoch and of the validation after which it was added.
    model_path : str or None
        None, since the training loop keeps weights in memory and writes no files.
    measured_values : mapping of str to (float or None)
        The values of the metrics by name.
    fields : mapping of str to Any, default={}
        Additional data.

    Examples
    --------
    >>> ModelSelectionResult("1-0", None, {"val_loss": 0.3}).measured_values["val_loss"]
    0.3
    """

    model_id: str
    model_path: str | None
    measured_values: Measurements
    fields: Mapping[str, Any] = field(default_factory=dict)


@runtime_checkable
class ModelSelectionHandler(Protocol):
    """Receives the model after every validation, and selects the best one so far.

    The loop calls `select` after each `add_model`. If it returns the model just added, a copy of its weights
    replaces the checkpoint. A model can therefore only be selected directly after it was added.
    """

    def add_model(
        self,
        model_id: str,
        model_path: str | None,
        measured_values: Measurements,
        fields: Mapping[str, Any] | None = None,
    ) -> object:
        """Record a model and its metrics.

        Parameters
        ----------
        model_id : str
            Unique within one training: ``"<epoch>-<number of the validation in it>"``.
        model_path : str or None
            The training loop passes None.
        measured_values : mapping of str to (float or None)
            The value of each metric in `smalltext_torch.early_stopping.MEASURED`.
        fields : mapping of str to Any, optional
            Additional data.
        """
        ...

    def select(self, select_by: str | Sequence[str] | None = None) -> ModelSelectionResult | None:
        """Return the best model so far, or None to keep the final one.

        Parameters
        ----------
        select_by : str or sequence of str, optional
            Names of metrics, the most important first; the default of the handler if None.
        """
        ...


class ModelSelection:
    """Keeps the model with the best value of the first metric; further metrics break ties.

    Parameters
    ----------
    default_select_by : str or sequence of str, default=("val_loss", "val_acc")
        Names of metrics, the most important first. If models tie on all of them, the first one is kept.
    metrics : sequence of Metric, optional
        The metrics that can be selected by; by default all.
    required : sequence of str, default=("val_loss", "val_acc")
        The metrics that every model must have.
    fields_config : mapping of str to type, optional
        The names and types of additional data that `add_model` accepts.

    Raises
    ------
    InvalidInputError
        If a name in `default_select_by` or `required` is not one of the metrics, or an argument has another type.

    Examples
    --------
    >>> selection = ModelSelection()
    >>> for name, loss, accuracy in [("a", 0.5, 0.8), ("b", 0.4, 0.7), ("c", 0.4, 0.9)]:
    ...     _ = selection.add_model(name, None, {"val_loss": loss, "val_acc": accuracy})
    >>> selection.select().model_id
    'c'
    """

    def __init__(
        self,
        default_select_by: str | Sequence[str] = ("val_loss", "val_acc"),
        metrics: Sequence[Metric] = METRICS,
        required: Sequence[str] = ("val_loss", "val_acc"),
        fields_config: Mapping[str, type] | None = None,
    ) -> None:
        listed = _listed(metrics)
        for metric in listed:
            if not isinstance(metric, Metric):
                raise InvalidInputError(
                    "metrics", shown(metric), "a sequence of Metric, such as Metric('val_loss')"
                )
        self.metrics = {metric.name: metric for metric in listed}
        self.default_select_by = self._known(default_select_by, "default_select_by")
        self.required = self._known(required, "required")
        self.fields_config = check_mapping("fields_config", fields_config)
        self.reset()

    def reset(self) -> None:
        """Remove all models."""
        self._models: dict[str, ModelSelectionResult] = {}

    def add_model(
        self,
        model_id: str,
        model_path: str | None,
        measured_values: Measurements,
        fields: Mapping[str, Any] | None = None,
    ) -> str:
        """Record a model and its metrics, and return its id.

        Raises
        ------
        InvalidInputError
            If the id or the path was added before, a required value is missing, or a field is not configured.
        """
        if model_id in self._models:
            raise InvalidInputError("model_id", shown(model_id), "an id that was not added before")
        if model_path is not None and any(model_path == model.model_path for model in self._models.values()):
            raise InvalidInputError("model_path", shown(model_path), "a path that was not added before")
        for name in self.required:
            if measured_values.get(name) is None:
                raise InvalidInputError("measured_values", f"no {name}", f"values for {', '.join(self.required)}")
        for name in fields or {}:
            if name not in self.fields_config:
                raise InvalidInputError(
                    "fields", shown(name), f"some of {', '.join(self.fields_config) or 'none'}"
                )
        self._models[model_id] = ModelSelectionResult(
            model_id, model_path, dict(measured_values), dict(fields or {})
        )
        return model_id

    def select(self, select_by: str | Sequence[str] | None = None) -> ModelSelectionResult | None:
        """Return the best of the models that were added, or None if there is none.

        Parameters
        ----------
        select_by : str or sequence of str, optional
            Names of metrics, the most important first; by default `default_select_by`.
        """
        names = self.default_select_by if select_by is None else self._known(select_by, "select_by")
        return min(self._models.values(), key=lambda model: self._rank(model, names), default=None)

    def _rank(self, model: ModelSelectionResult, names: tuple[str, ...]) -> tuple[float, ...]:
        """Return a key that sorts the best model first; missing and NaN values come last."""
        rank = []
        for name in names:
            value = model.measured_values.get(name)
            if value is None or math.isnan(value):
                rank.append(float("inf"))
            else:
                rank.append(value if self.metrics[name].lower_is_better else -value)
        return tuple(rank)

    def _known(self, names: str | Sequence[str], argument: str) -> tuple[str, ...]:
        listed = _listed(names)
        for name in listed:
            if not isinstance(name, str) or name not in self.metrics:
                raise InvalidInputError(argument, shown(name), f"some of {', '.join(self.metrics)}")
        return listed


def _listed(given: Any) -> tuple[Any, ...]:
    """Return the elements of a sequence, or anything else as the only element."""
    return tuple(given) if isinstance(given, Iterable) and not isinstance(given, str) else (given,)


class NoopModelSelection:
    """Keeps the final model, without copying weights.

    Examples
    --------
    >>> NoopModelSelection().select() is None
    True
    """

    def add_model(
        self,
        model_id: str,
        model_path: str | None,  # noqa: ARG002
        measured_values: Measurements,  # noqa: ARG002
        fields: Mapping[str, Any] | None = None,  # noqa: ARG002
    ) -> str:
        """Return the id."""
        return model_id

    def select(self, select_by: str | Sequence[str] | None = None) -> ModelSelectionResult | None:  # noqa: ARG002
        """Return None."""
        return None


def as_model_selection_handler(handler: Any) -> ModelSelectionHandler:
    """Return a handler unchanged, the default handler for None, or one that keeps the final model for 'none'."""
    if handler is None:
        return ModelSelection()
    if isinstance(handler, str) and handler == "none":
        return NoopModelSelection()
    if isinstance(handler, type) or not isinstance(handler, ModelSelectionHandler):
        raise InvalidInputError(
            "model_selection",
            shown(handler),
            "None, 'none', or an object with add_model(...) and select()",
            "See smalltext_torch.ModelSelection.",
        )
    return handler


class ConfiguresModelSelection(Protocol):
    """The member of a `TorchClassifier` that chooses its default handler; the class describes it."""

    def default_model_selection(self) -> ModelSelectionHandler | Literal["none"] | None: ...  # noqa: D102


def chosen_handler(
    classifier: ConfiguresModelSelection, given: ModelSelectionHandler | Literal["none"] | None
) -> ModelSelectionHandler:
    """Return the caller's handler, or the default one, for which PluginError is raised if it is none."""
    if given is not None:
        return as_model_selection_handler(given)
    made = classifier.default_model_selection()
    if made is None or made == "none":
        return as_model_selection_handler(made)
    return check_returned(classifier, "default_model_selection", made, ModelSelectionHandler)  # type: ignore[type-abstract]


class BestWeights:
    """An in-memory checkpoint of the parameters that an optimizer trains and of the network's buffers."""

    def __init__(self, network: nn.Module, optimizer: Optimizer) -> None:
        trained = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        self._live: list[torch.Tensor] = [*trained, *network.buffers()]
        self._kept: list[torch.Tensor] = []

    @torch.no_grad()
    def keep(self) -> None:
        """Copy the weights, replacing the previous copy."""
        if not self._kept:
            self._kept = [tensor.detach().clone() for tensor in self._live]
            return
        for kept, live in zip(self._kept, self._live, strict=True):
            kept.copy_(live)

    @torch.no_grad()
    def restore(self) -> None:
        """Restore the weights from the copy, if there is one, and free it."""
        for kept, live in zip(self._kept, self._live, strict=False):
            live.copy_(kept)
        self._kept = []
