"""Early stopping: handlers that decide after each validation whether training stops."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

from smalltext_core.conversion import is_number, is_whole
from smalltext_core.errors import InvalidInputError
from smalltext_core.messages import brief, shown
from smalltext_torch.progress import stacklevel_of_caller

MEASURED = ("train_loss", "train_acc", "val_loss", "val_acc")
"""The names of the metrics that the training loop passes to handlers."""

Measurements = Mapping[str, "float | None"]
"""The values of the metrics, by name; those of the validation set are None if there is none."""


@runtime_checkable
class EarlyStoppingHandler(Protocol):
    """Decides after every validation whether training continues.

    A handler that also has a method ``reset()`` is reset when training begins, so that one object can be used for
    any number of training runs.
    """

    def check_early_stop(self, epoch: int, measured_values: Measurements) -> bool:
        """Return True to stop.

        Parameters
        ----------
        epoch : int
            The number of the epoch, from 1.
        measured_values : mapping of str to (float or None)
            The value of each metric in `MEASURED`.
        """
        ...


@dataclass(frozen=True)
class Metric:
    """A metric of training or validation.

    Parameters
    ----------
    name : {"train_loss", "train_acc", "val_loss", "val_acc"}
        The name of the metric.
    dtype : type, default=float
        The type of its values.
    lower_is_better : bool, default=True
        True for a loss, False for an accuracy.

    Examples
    --------
    >>> Metric("val_acc", lower_is_better=False).improves(0.9, 0.8)
    True
    """

    name: str
    dtype: type = float
    lower_is_better: bool = True

    def improves(self, value: float, other: float) -> bool:
        """Return whether one value is strictly better than another.

        Parameters
        ----------
        value : float
            The new value.
        other : float
            The value to compare with.
        """
        return bool(value < other if self.lower_is_better else value > other)


class EarlyStopping:
    """Stops when a metric has not improved for a while, or has reached a threshold.

    Parameters
    ----------
    metric : Metric
        The metric to monitor.
    min_delta : float, default=1e-14
        The minimum change that counts as an improvement.
    patience : int, default=5
        The maximum number of consecutive checks without improvement; training stops at the next one. Below 0,
        there is no limit. NaN counts as no improvement.
    threshold : float, default=0.0
        Training stops as soon as the metric is better than this; 0 disables the threshold.

    Raises
    ------
    InvalidInputError
        If `min_delta` is negative, both patience and threshold are disabled, the metric is unknown, or the
        threshold of an accuracy lies outside [0, 1].

    Examples
    --------
    >>> handler = EarlyStopping(Metric("val_loss"), patience=1)
    >>> [handler.check_early_stop(epoch, {"val_loss": loss}) for epoch, loss in enumerate([2, 1, 3, 3], start=1)]
    [False, False, False, True]
    """

    def __init__(
        self, metric: Metric, min_delta: float = 1e-14, patience: int = 5, threshold: float = 0.0
    ) -> None:
        if not isinstance(metric, Metric):
            raise InvalidInputError("metric", shown(metric), "a Metric, such as Metric('val_loss')")
        if not isinstance(metric.name, str) or metric.name not in MEASURED:
            raise InvalidInputError("metric", shown(metric.name), f"one of {', '.join(MEASURED)}")
        if not is_number(min_delta) or not min_delta >= 0:
            raise InvalidInputError("min_delta", shown(min_delta), "a number, 0 or above")
        if not is_number(patience):
            raise InvalidInputError("patience", shown(patience), "a number")
        if not is_number(threshold):
            raise InvalidInputError("threshold", shown(threshold), "a number")
        if patience < 0 and threshold <= 0:
            raise InvalidInputError(
                "patience",
                f"{brief(patience)} with threshold={brief(threshold)}",
                "a patience of 0 or above, or a threshold above 0",
                "To never stop early, use NoopEarlyStopping() or early_stopping='none'.",
            )
        if metric.name.endswith("_acc") and not 0 <= threshold <= 1:
            raise InvalidInputError("threshold", shown(threshold), "a number from 0 to 1 for an accuracy")
        self.metric = metric
        self.min_delta = min_delta
        self.patience = patience
        self.threshold = threshold
        self.reset()

    def reset(self) -> None:
        """Forget all previous validations."""
        self._best: float | None = None
        self._seen = 0
        self._without_improvement = 0

    def check_early_stop(self, epoch: int, measured_values: Measurements) -> bool:
        """Return True if the threshold is passed or the patience is exhausted.

        Raises
        ------
        InvalidInputError
            If `epoch` is below 1.
        """
        if epoch < 1:
            raise InvalidInputError("epoch", shown(epoch), "1 or above")
        value = measured_values.get(self.metric.name)
        if value is None:
            return False
        if self.threshold > 0 and self.metric.improves(value, self.threshold):
            return True
        self._seen += 1
        if self._is_improvement(value):
            self._best = value
            self._without_improvement = 0
        elif self._seen > 1:
            self._without_improvement += 1
        return bool(0 <= self.patience < self._without_improvement)

    def _is_improvement(self, value: float) -> bool:
        if math.isnan(value):
            return False
        if self._best is None:
            return True
        return self.metric.improves(value, self._best) and abs(value - self._best) >= self.min_delta


class _Condition:
    """A combination of several handlers, all of which are called in every check."""

    def __init__(self, early_stopping_handlers: Iterable[EarlyStoppingHandler]) -> None:
        if not isinstance(early_stopping_handlers, Iterable):
            given, allowed = shown(early_stopping_handlers), "a sequence of handlers"
            raise InvalidInputError("early_stopping_handlers", given, allowed, "One handler: [handler].")
        self.handlers = tuple(early_stopping_handlers)
        if not self.handlers:
            raise InvalidInputError("early_stopping_handlers", "none", "one handler or more")
        for handler in self.handlers:
            as_early_stopping_handler(handler, "early_stopping_handlers")

    def reset(self) -> None:
        """Reset every handler that can be reset."""
        for handler in self.handlers:
            reset(handler)

    def _answers(self, epoch: int, measured_values: Measurements) -> list[bool]:
        return [bool(handler.check_early_stop(epoch, measured_values)) for handler in self.handlers]


class EarlyStoppingOrCondition(_Condition):
    """Stops as soon as any of several handlers stops.

    Parameters
    ----------
    early_stopping_handlers : sequence of EarlyStoppingHandler
        One or more handlers, each of which is called after every validation.

    Examples
    --------
    >>> accuracy = EarlyStopping(Metric("val_acc", lower_is_better=False), patience=-1, threshold=0.9)
    >>> handler = EarlyStoppingOrCondition([EarlyStopping(Metric("val_loss"), patience=5), accuracy])
    >>> handler.check_early_stop(1, {"val_loss": 0.3, "val_acc": 0.95})
    True
    """

    def check_early_stop(self, epoch: int, measured_values: Measurements) -> bool:
        """Return True if any handler stops."""
        return any(self._answers(epoch, measured_values))


class EarlyStoppingAndCondition(_Condition):
    """Stops when all of several handlers stop at the same validation.

    Parameters
    ----------
    early_stopping_handlers : sequence of EarlyStoppingHandler
        One or more handlers, each of which is called after every validation.

    Examples
    --------
    >>> accuracy = EarlyStopping(Metric("val_acc", lower_is_better=False), patience=-1, threshold=0.9)
    >>> handler = EarlyStoppingAndCondition([EarlyStopping(Metric("val_loss"), patience=5), accuracy])
    >>> handler.check_early_stop(1, {"val_loss": 0.3, "val_acc": 0.95})
    False
    """

    def check_early_stop(self, epoch: int, measured_values: Measurements) -> bool:
        """Return True if every handler stops."""
        return all(self._answers(epoch, measured_values))


class NoopEarlyStopping:
    """Never stops.

    Examples
    --------
    >>> NoopEarlyStopping().check_early_stop(1, {"val_loss": 0.3})
    False
    """

    def check_early_stop(self, epoch: int, measured_values: Measurements) -> bool:  # noqa: ARG002
        """Return False."""
        return False


def as_early_stopping_handler(handler: Any, argument: str = "early_stopping") -> EarlyStoppingHandler:
    """Return a handler unchanged, or for 'none' one that never stops; raise InvalidInputError otherwise."""
    if isinstance(handler, str) and handler == "none":
        return NoopEarlyStopping()
    if isinstance(handler, type) or not isinstance(handler, EarlyStoppingHandler):
        raise InvalidInputError(
            argument,
            shown(handler),
            "None, 'none', or an object with check_early_stop(epoch, measured_values)",
            "See smalltext_torch.EarlyStopping.",
        )
    return handler


def reset(handler: object) -> None:
    """Reset a handler if it has a method ``reset()``."""
    forget = getattr(handler, "reset", None)
    if callable(forget):
        forget()


@dataclass(frozen=True)
class ConstructorEarlyStopping:
    """Early stopping as the deprecated constructor parameters configure it; `parameter` is the name of the first.

    Training stops after `no_improvement` epochs without a lower validation loss (0: never), or as soon as the
    training accuracy is above `accuracy` (-1: never).
    """

    no_improvement: int
    accuracy: float
    parameter: str

    def __post_init__(self) -> None:
        whole = is_whole(self.no_improvement)
        if not whole:
            raise InvalidInputError(
                self.parameter, shown(self.no_improvement), "a whole number; 0 switches it off"
            )
        if not is_number(self.accuracy) or not self.accuracy <= 1:
            raise InvalidInputError(
                "early_stopping_acc", shown(self.accuracy), "a number up to 1; -1 switches it off"
            )

    def used(self) -> list[str]:
        """Return the names of the arguments that are not at their defaults."""
        used = [self.parameter] if self.no_improvement != 5 else []
        return [*used, "early_stopping_acc"] if self.accuracy != -1 else used

    def checked_override(
        self, given: EarlyStoppingHandler | Literal["none"] | None
    ) -> EarlyStoppingHandler | None:
        """Return the handler passed to `fit` after checking it, or None if the constructor's arguments apply."""
        if given is None:
            return None
        handler = as_early_stopping_handler(given)
        if self.used():
            warnings.warn(
                f"fit() was given early_stopping, the constructor {' and '.join(self.used())}: fit() decides.",
                UserWarning,
                stacklevel=stacklevel_of_caller(),
            )
        return handler

    def handler(self, validations_per_epoch: int) -> EarlyStoppingHandler:
        """Return the handler that the constructor's arguments configure, for a number of validations per epoch."""
        handlers: list[EarlyStoppingHandler] = []
        if self.no_improvement > 0:
            patience = self.no_improvement * validations_per_epoch
            handlers.append(EarlyStopping(Metric("val_loss"), patience=patience))
        if self.accuracy > 0:
            metric = Metric("train_acc", lower_is_better=False)
            handlers.append(EarlyStopping(metric, patience=-1, threshold=self.accuracy))
        if not handlers:
            return NoopEarlyStopping()
        return handlers[0] if len(handlers) == 1 else EarlyStoppingOrCondition(handlers)
