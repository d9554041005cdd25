"""Factories of classifiers, by name and by class.

A class declares its parameters once, in its signature and docstring. Everything else that takes them (factories,
builders, ``smalltext info``) reads them from there.
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import wraps
from typing import Any, Generic, TypeVar, cast, overload

from smalltext_core.classifier import AnyClassifier, ClassifierFactory, SavingClassifier
from smalltext_core.errors import InvalidInputError, UnsupportedError
from smalltext_core.messages import shown
from smalltext_core.registry import FirstPartyName, classifier_spec, classifiers
from smalltext_core.validation import check_num_classes

B = TypeVar("B", bound=Callable[..., Any])
C = TypeVar("C", bound=AnyClassifier)


class ConstructorFactory(ClassifierFactory, Generic[C]):
    """Create classifiers by calling their class, always with the same arguments.

    Parameters
    ----------
    classifier : type
        The class, or any callable that returns a classifier. It is called once at construction, so that errors
        about invalid arguments are raised immediately.
    num_classes : int
        The number of classes, passed as the first argument.
    multi_label : bool, default=False
        Whether several classes, or none, may apply to a text. It is passed on only if True, so that a class for
        single-label problems does not need the parameter.
    **parameters
        Passed on by keyword.

    Attributes
    ----------
    kwargs : dict
        The keyword arguments of every new classifier.
    label : Any
        What ``repr`` shows before the number of classes; by default the name of the class.

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

    label: Any = None

    def __init__(
        self, classifier: Callable[..., C], num_classes: int, *, multi_label: bool = False, **parameters: Any
    ) -> None:
        self.classifier = classifier
        self.num_classes = num_classes
        self.kwargs = parameters if multi_label is False else {"multi_label": multi_label, **parameters}
        self.new()

    def new(self) -> C:
        """Return a new, unfitted classifier."""
        return self.classifier(self.num_classes, **self.kwargs)

    def __repr__(self) -> str:
        """Show the class, or the label, and the number of classes."""
        name = getattr(self.classifier, "__name__", repr(self.classifier))
        label = name if self.label is None else repr(self.label)
        return f"{type(self).__name__}({label}, num_classes={self.num_classes})"


def checked_keywords(
    classifier: Callable[..., Any], keywords: Mapping[str, Any] | None, argument: str = "kwargs"
) -> dict[str, Any]:
    """Return a copy of keyword arguments that the class of a classifier takes after ``num_classes``.

    Parameters
    ----------
    classifier : type
        The class.
    keywords : mapping of str to Any, or None
        The keyword arguments; None is an empty mapping. InvalidInputError, which lists the parameters of the
        class, is raised for anything else, and for a keyword that the class does not take.
    argument : str, default="kwargs"
        The name of the argument in errors.
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


def with_parameters_of(
    *sources: Callable[..., Any], without: Collection[str] = (), by_name: Mapping[str, Any] | None = None
) -> Callable[[B], B]:
    """Declare that a builder forwards keyword arguments to other callables, and so has their parameters.

    The builder declares the parameters that it adds or converts, and takes the rest as ``**parameters``. Its
    signature, as returned by `inspect.signature`, combines all of them. ``builder.parameter_sources`` maps the
    name of each forwarded parameter to its source, whose docstring describes it, and ``builder.by_name`` has the
    defaults that differ from those of the sources.

    Parameters
    ----------
    *sources : callable
        The classes or functions. If several have a parameter of the same name, the first one counts; a parameter
        of the builder takes precedence. Parameters without a default are not forwarded.
    without : collection of str, default=()
        Further parameters of the sources that are not forwarded.
    by_name : mapping of str to Any, optional
        Defaults for classifiers created by name, which replace those of the sources.

    Examples
    --------
    >>> class Encoder:
    ...     def __init__(self, folder, *, width=8): ...
    >>> @with_parameters_of(Encoder)
    ... def build(num_classes, *, model, **parameters):
    ...     return num_classes, Encoder(model, **parameters)
    >>> inspect.signature(build)
    <Signature (num_classes, *, model, width=8)>
    """
    defaults = dict(by_name or {})

    def declare(builder: B) -> B:
        own = inspect.signature(builder)
        parameters = {name: one for name, one in own.parameters.items() if one.kind is not one.VAR_KEYWORD}
        taken_from: dict[str, Callable[..., Any]] = {}
        for source in sources:
            for name, one in inspect.signature(source).parameters.items():
                if name not in parameters and name not in without and one.default is not one.empty:
                    default = defaults.get(name, one.default)
                    parameters[name] = one.replace(kind=inspect.Parameter.KEYWORD_ONLY, default=default)
                    taken_from[name] = source

        @wraps(builder)
        def build(*args: Any, **keywords: Any) -> Any:
            return builder(*args, **{**defaults, **keywords})

        vars(build).update(
            __signature__=own.replace(parameters=list(parameters.values())),
            parameter_sources=taken_from,
            by_name=defaults,
        )
        return cast("B", build)

    return declare


def pop_keywords(source: Callable[..., Any], keywords: dict[str, Any]) -> dict[str, Any]:
    """Remove and return the keyword arguments that a callable has a parameter for.

    Parameters
    ----------
    source : callable
        The class or function.
    keywords : dict of str to Any
        The keyword arguments, which are modified.
    """
    return {name: keywords.pop(name) for name in inspect.signature(source).parameters if name in keywords}


def create_factory(
    name: str, num_classes: int, *, multi_label: bool = False, **parameters: Any
) -> ClassifierFactory:
    """Create a factory of classifiers by name.

    Parameters
    ----------
    name : str
        A name from `classifiers`, or ``distribution:name``; errors are those of `classifier_spec`.
    num_classes : int
        2 or more (1 or more if multi-label).
    multi_label : bool, default=False
        Whether several classes, or none, may apply to a text. UnsupportedError is raised if the classifier cannot.
    **parameters
        The parameters of the classifier, listed by ``smalltext info NAME``. InvalidInputError names a wrong one.

    Examples
    --------
    >>> import smalltext_core as st
    >>> factory = st.create_factory("sklearn", num_classes=2, seed=1)
    >>> classifier = factory.new().fit(st.TextDataset(["good film", "bad film"], [1, 0]))
    """
    spec = classifier_spec(name)
    check_num_classes(num_classes, multi_label)
    if multi_label and "multi_label" not in spec.abilities:
        able = [other for other, found in classifiers().items() if "multi_label" in found.abilities]
        hint = f" These can do more: {', '.join(able)}." if able else ""
        what = f"multi_label=True: the classifier {name!r} is for single-label problems; its plugin does not"
        raise UnsupportedError(f"{what} declare the ability multi_label.{hint}")
    builder = spec.resolve("builder")
    check_parameters(name, parameters)
    for parameter, one in builder_parameters(name).items():
        if one.default is one.empty and one.kind is one.KEYWORD_ONLY and parameter not in parameters:
            advice = f"Pass {parameter}=...; `smalltext info {name}` describes it."
            raise InvalidInputError(parameter, "nothing", f"a value, which {name!r} needs", advice)
    if spec.builder is None:
        return ConstructorFactory(builder, num_classes, multi_label=bool(multi_label), **parameters)
    return cast("ClassifierFactory", builder(num_classes, multi_label=multi_label, **parameters))


@overload
def create_classifier(
    name: FirstPartyName, num_classes: int, *, multi_label: bool = False, **parameters: Any
) -> SavingClassifier: ...
@overload
def create_classifier(
    name: str, num_classes: int, *, multi_label: bool = False, **parameters: Any
) -> AnyClassifier: ...
def create_classifier(
    name: str, num_classes: int, *, multi_label: bool = False, **parameters: Any
) -> AnyClassifier:
    """Create an unfitted classifier by name.

    Parameters
    ----------
    name : str
        A name from `classifiers`, or ``distribution:name``.
    num_classes : int
        The number of classes: 2 or more, or 1 or more if `multi_label`.
    multi_label : bool, default=False
        Whether several classes, or none, may apply to a text.
    **parameters
        The parameters of the classifier, which ``smalltext info NAME`` lists.

    Examples
    --------
    >>> import smalltext_core as st
    >>> classifier = st.create_classifier("sklearn", num_classes=2, seed=1)
    >>> classifier = classifier.fit(st.TextDataset(["good film", "bad film"], [1, 0]))
    >>> classifier.predict(st.TextDataset(["good"])).tolist()
    [1]
    """
    return create_factory(name, num_classes, multi_label=multi_label, **parameters).new()


def builder_parameters(name: str) -> Mapping[str, inspect.Parameter]:
    """Import a classifier's builder and return its parameters without `num_classes` and `multi_label`."""
    known = dict(inspect.signature(classifier_spec(name).resolve("builder")).parameters)
    return {name: known[name] for name in known if name not in ("num_classes", "multi_label")}


def check_parameters(name: str, parameters: Iterable[str]) -> None:
    """Raise InvalidInputError, which lists the existing ones, if a classifier lacks one of the parameters."""
    known = builder_parameters(name)
    if any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in known.values()):
        return
    for parameter in parameters:
        if parameter not in known:
            near = difflib.get_close_matches(parameter, known, n=1)
            advice = f"Did you mean {near[0]!r}?" if near else ""
            given = f"{shown(parameter)} for the classifier {name!r}"
            raise InvalidInputError("parameters", given, ", ".join(known), advice)
