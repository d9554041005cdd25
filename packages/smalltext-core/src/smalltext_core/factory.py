"""Factories and builders, which pass keyword arguments on to the class of a classifier.

The class declares its parameters once, in its signature and its docstring. Whatever else takes them (a factory, a
builder, ``smalltext info``) reads them from there.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeVar

from smalltext_core.classifier import AnyClassifier, ClassifierFactory
from smalltext_core.errors import InvalidInputError
from smalltext_core.messages import shown

B = TypeVar("B", bound=Callable[..., Any])


class ConstructorFactory(ClassifierFactory):
    """Create classifiers by calling their class, always with the same arguments.

    It is the base of factories with other constructors: they override `new`, and `description` for their ``repr``.

    Parameters
    ----------
    classifier : type
        The class, or any callable that returns a classifier.
    num_classes : int
        The number of classes, passed as the first argument.
    multi_label : bool, default=False
        Whether several classes, or none, may apply to a text. Passed on unless it is False, so that a class for
        single-label problems does not need the parameter.
    **parameters
        Passed on by keyword.

    Attributes
    ----------
    kwargs : dict
        The keyword arguments of every new classifier.

    Raises
    ------
    Exception
        What the class raises for an invalid argument: now, not when the first classifier is needed.

    Examples
    --------
    >>> from smalltext_core import Classifier
    >>> class Majority(Classifier):
    ...     def __init__(self, num_classes, *, smoothing=1.0):
    ...         self.num_classes, self.smoothing = num_classes, smoothing
    ...
    ...     def fit(self, train_set, weights=None): ...
    ...     def predict(self, data_set, return_proba=False): ...
    ...     def predict_proba(self, data_set): ...
    >>> factory = ConstructorFactory(Majority, 3, smoothing=0.5)
    >>> factory, factory.new().smoothing
    (ConstructorFactory(Majority, num_classes=3), 0.5)
    """

    def __init__(
        self,
        classifier: Callable[..., AnyClassifier],
        num_classes: int,
        *,
        multi_label: bool = False,
        **parameters: Any,
    ) -> None:
        self.classifier = classifier
        self.num_classes = num_classes
        self.kwargs = parameters if multi_label is False else {"multi_label": multi_label, **parameters}
        self.new()

    def new(self) -> AnyClassifier:
        """Return a new, unfitted classifier."""
        return self.classifier(self.num_classes, **self.kwargs)

    def description(self) -> str:
        """Return what ``repr`` shows before the number of classes."""
        return getattr(self.classifier, "__name__", repr(self.classifier))

    def __repr__(self) -> str:
        """Name the class, or the model, and the number of classes."""
        return f"{type(self).__name__}({self.description()}, num_classes={self.num_classes})"


def checked_keywords(
    classifier: Callable[..., Any], keywords: Mapping[str, Any] | None, argument: str = "kwargs"
) -> dict[str, Any]:
    """Return a copy of the keyword arguments of a classifier, if its class takes them after ``num_classes``.

    Parameters
    ----------
    classifier : type
        The class, whose signature says which keyword arguments there are.
    keywords : mapping of str to Any, or None
        None is an empty mapping.
    argument : str, default="kwargs"
        The name of the argument in error messages.

    Raises
    ------
    InvalidInputError
        If `keywords` is not a mapping, or has a key that is not a parameter of the class.
    """
    names = list(inspect.signature(classifier).parameters)
    known = names[names.index("num_classes") + 1 :]
    allowed = f"a mapping from parameters of {classifier.__name__} to values: {', '.join(known)}"
    if not isinstance(keywords, (Mapping, type(None))):
        raise InvalidInputError(argument, shown(keywords), allowed)
    given = dict(keywords or {})
    for name in given:
        if name not in known:
            raise InvalidInputError(argument, f"the keyword {shown(name)}", allowed)
    return given


def with_parameters_of(*sources: Callable[..., Any], without: Collection[str] = ()) -> Callable[[B], B]:
    """Declare that a builder passes keyword arguments on to other callables, and so has their parameters.

    The builder declares what it adds or converts, and takes the rest as ``**parameters``. Its signature, as
    `inspect.signature` returns it, becomes that of all of them; its attribute ``parameter_sources`` maps the name
    of each parameter that is not its own to the source, whose docstring describes it.

    Parameters
    ----------
    *sources : callable
        The classes, or functions. Where several have a parameter of one name, that of the first counts; where the
        builder has, its own.
    without : collection of str, default=()
        Parameters of the sources that the builder does not take.

    Returns
    -------
    callable
        A decorator, which returns the builder.

    Examples
    --------
    >>> class Encoder:
    ...     def __init__(self, folder, *, width=8): ...
    >>> @with_parameters_of(Encoder, without=["folder"])
    ... def build(num_classes, *, model, **parameters):
    ...     return num_classes, Encoder(model, **parameters)
    >>> inspect.signature(build)
    <Signature (num_classes, *, model, width=8)>
    """

    def declare(builder: B) -> B:
        own = inspect.signature(builder)
        parameters = {
            name: parameter
            for name, parameter in own.parameters.items()
            if parameter.kind is not inspect.Parameter.VAR_KEYWORD
        }
        origin: dict[str, Callable[..., Any]] = {}
        for source in sources:
            for name, parameter in inspect.signature(source).parameters.items():
                if name not in parameters and name not in without:
                    parameters[name] = parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
                    origin[name] = source
        vars(builder)["__signature__"] = own.replace(parameters=list(parameters.values()))
        vars(builder)["parameter_sources"] = origin
        return builder

    return declare


def pop_keywords(source: Callable[..., Any], keywords: dict[str, Any]) -> dict[str, Any]:
    """Remove from keyword arguments those that a callable has a parameter for, and return them.

    Examples
    --------
    >>> def tokenize(text, *, lowercase=True): ...
    >>> keywords = {"lowercase": False, "lr": 0.1}
    >>> pop_keywords(tokenize, keywords), keywords
    ({'lowercase': False}, {'lr': 0.1})
    """
    return {name: keywords.pop(name) for name in inspect.signature(source).parameters if name in keywords}
