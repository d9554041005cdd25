"""The record of a training: one plain dict for every validation."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol, TypedDict

from smalltext_core.errors import InvalidInputError
from smalltext_core.messages import shown


class HistoryRecord(TypedDict):
    """What was known after one validation.

    Attributes
    ----------
    epoch : int
        The epoch that training was in, from 1.
    step : int
        How many batches had been trained on.
    train_loss, train_acc : float
        Means over the texts trained on since the validation before, under dropout and while the weights moved.
    val_loss, val_acc : float or None
        Means over the validation texts; None without any.
    learning_rate : float
        Of the last step; of several parameter groups, the greatest.
    seconds : float
        Since training began.
    best : bool
        Whether this is the model that was selected: so far, when a callback is called; at the end, in `history_`.
    """

    epoch: int
    step: int
    train_loss: float
    train_acc: float
    val_loss: float | None
    val_acc: float | None
    learning_rate: float
    seconds: float
    best: bool


class TrainingCallback(Protocol):
    """Anything that can be called with a record, after every validation: ``print``, say, or a list's ``append``.

    Whatever it raises ends the training, and the classifier stays what it was.
    """

    def __call__(self, record: HistoryRecord, /) -> object:
        """Take note of a record."""
        ...


def check_callbacks(callbacks: object) -> tuple[TrainingCallback, ...]:
    """Return callbacks as a tuple, or say what they have to be."""
    listed: tuple[Any, ...] = (callbacks,)
    if isinstance(callbacks, Iterable) and getattr(callbacks, "ndim", 1) != 0:
        listed = tuple(callbacks)
    for callback in listed:
        if not callable(callback):
            raise InvalidInputError("callbacks", shown(callback), "functions that take a HistoryRecord")
    return listed
