"""The exceptions of smalltext. They also derive from built-in ones; messages are a single printable line."""

from __future__ import annotations

from smalltext_core.messages import LIMIT, one_line

MESSAGE_LIMIT = 1500
"""The maximum number of characters of a message; `args` are not shortened."""


class SmallTextError(Exception):
    """The base of all exceptions that smalltext raises on purpose."""

    def __str__(self) -> str:
        return one_line(super().__str__(), MESSAGE_LIMIT)


class InvalidInputError(SmallTextError, ValueError):
    """An argument has a value that is not allowed; it is raised before anything is changed.

    Parameters
    ----------
    argument : str
        The name of the argument.
    given : str
        The value, as the message shows it.
    allowed : str
        The values that are allowed.
    next_step : str, default=""
        A sentence that tells the user what to do, unless that is obvious.

    Examples
    --------
    >>> raise InvalidInputError("weights", "nan at row 3", "finite numbers, 0 or above")
    Traceback (most recent call last):
    ...
    smalltext_core.errors.InvalidInputError: weights: got nan at row 3; allowed: finite numbers, 0 or above.
    """

    def __init__(self, argument: str, given: str, allowed: str, next_step: str = "") -> None:
        super().__init__(argument, given, allowed, next_step)
        self.argument = argument
        self.given = given
        self.allowed = allowed
        self.next_step = next_step

    def __str__(self) -> str:
        argument, given, allowed = one_line(self.argument), one_line(self.given), one_line(self.allowed, 2 * LIMIT)
        return f"{argument}: got {given}; allowed: {allowed}. {one_line(self.next_step, 2 * LIMIT)}".rstrip()


class NotFittedError(SmallTextError, ValueError, AttributeError):
    """A classifier was used before `fit` was called.

    Parameters
    ----------
    classifier : object
        The classifier, or the name of its class.
    """

    def __init__(self, classifier: object) -> None:
        name = classifier if isinstance(classifier, str) else type(classifier).__name__
        super().__init__(name)

    def __str__(self) -> str:
        return f"This {one_line(self.args[0])} is not fitted yet; call fit(train_set) first."


class ReadOnlyError(SmallTextError, TypeError):
    """A view of a dataset was about to be changed."""


class UnsupportedError(SmallTextError, NotImplementedError):
    """The operation is not supported by this classifier or estimator."""


class UnknownClassifierError(SmallTextError, LookupError):
    """No installed plugin registers a classifier under this name."""


class AmbiguousNameError(SmallTextError, LookupError):
    """Several distributions register this name; each is reachable as ``distribution:name``."""


class PluginError(SmallTextError, RuntimeError):
    """A plugin could not be loaded, or does not match its spec."""


class ProtocolVersionError(PluginError):
    """A plugin and this smalltext-core were written for different versions of the protocol."""


class ModelFolderError(SmallTextError, ValueError):
    """A folder is not a saved model, is damaged, or must not be written to."""


class ModelNotSavedError(OSError, ModelFolderError):
    """A model could not be written, for example because the disk is full; an older one is left unchanged.

    Its arguments are those of an OSError: `errno`, `strerror` and `filename` (the folder of the model).
    """

    def __str__(self) -> str:
        what = f"{one_line(str(self.filename))}: the model could not be written ({one_line(str(self.strerror))})"
        return f"{what}; the folder is unchanged. Free some space, or choose another folder."


class UntrustedModelError(ModelFolderError):
    """A saved model contains types that are loaded only if they are listed in `trusted`."""
