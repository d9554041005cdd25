"""Parameters that still work and have a better place."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Literal

from smalltext_core.errors import InvalidInputError
from smalltext_core.messages import shown
from smalltext_core.values import is_number, is_whole
from smalltext_torch.caller import stacklevel_of_caller
from smalltext_torch.early_stopping import (
    EarlyStopping,
    EarlyStoppingHandler,
    EarlyStoppingOrCondition,
    Metric,
    NoopEarlyStopping,
    as_early_stopping_handler,
)


def warn_deprecated(parameter: str, replacement: str) -> None:
    """Warn whoever called into this library that a parameter, which still works, has a better place.

    Parameters
    ----------
    parameter : str
        What was used, such as ``"early_stopping_acc"``.
    replacement : str
        What to use, such as ``"fit(early_stopping=...)"``.
    """
    warnings.warn(
        f"{parameter} is deprecated; use {replacement} instead.",
        DeprecationWarning,
        stacklevel=stacklevel_of_caller(),
    )


@dataclass(frozen=True)
class ConstructorEarlyStopping:
    """Early stopping as the constructors of classifiers take it: two numbers, in place of a handler for `fit`.

    Parameters
    ----------
    no_improvement : int
        How many epochs the validation loss may bring no improvement; 0 or below: any number.
    accuracy : float
        Stop once the accuracy on the training texts is above this; 0 or below: whatever it is.
    parameter : str
        What the constructor calls the first of these.
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

    def overruled(self, given: EarlyStoppingHandler | Literal["none"] | None) -> EarlyStoppingHandler | None:
        """Return what `fit` was given, checked, or None where the constructor's arguments decide."""
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
        """Return what the constructor's arguments ask for, given how often an epoch is validated indeed."""
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
