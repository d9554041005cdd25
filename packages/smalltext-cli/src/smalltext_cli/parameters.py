"""The parameters that can be set on a classifier, read from the signatures and docstrings that declare them."""

from __future__ import annotations

import enum
import inspect
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from smalltext_cli.annotations import described, members, written

_FROM_THE_DATA = ("num_classes", "multi_label")

REQUIRED = inspect.Parameter.empty
"""The default of a parameter that has none."""


@dataclass(frozen=True)
class Parameter:
    """One parameter of a classifier.

    Parameters
    ----------
    name : str
    type_text : str
        Its type, as ``smalltext info`` shows it.
    types : tuple
        The members of its type, if that is a union, else the type.
    default : Any
        `REQUIRED` if there is none.
    meaning : str
        The first sentence of its description.
    """

    name: str
    type_text: str
    types: tuple[Any, ...]
    default: Any
    meaning: str


@dataclass(frozen=True)
class Parameters:
    """The parameters that can be set on a classifier.

    Parameters
    ----------
    named : dict of str to Parameter
    open_ended : bool
        Whether it takes others as well, as ``**parameters``.
    """

    named: dict[str, Parameter]
    open_ended: bool


def builder_parameters(builder: Callable[..., Any]) -> Parameters:
    """Read the parameters of a builder, or of a class that has none, except for those that the data decides.

    The signature declares the name, type and default, the numpy docstring the description. What the builder takes
    from other callables (see `smalltext_core.factory.with_parameters_of`) is read from these. Parameters that are
    described in a section "Other Parameters", such as deprecated ones, are left out.

    Examples
    --------
    >>> def build(num_classes: int, *, multi_label: bool = False, lr: float = 0.1):
    ...     '''Build it.
    ...
    ...     Parameters
    ...     ----------
    ...     lr : float, default=0.1
    ...         The learning rate. Smaller is slower.
    ...     '''
    >>> parameter = builder_parameters(build).named["lr"]
    >>> parameter.type_text, parameter.default, parameter.meaning
    ('float', 0.1, 'The learning rate.')
    """
    sources = getattr(builder, "parameter_sources", {})
    meanings = {source: _meanings(inspect.getdoc(source) or "") for source in {builder, *sources.values()}}
    named: dict[str, Parameter] = {}
    open_ended = False
    for name, parameter in inspect.signature(builder).parameters.items():
        source = sources.get(name, builder)
        meaning = meanings[source].get(name, "")
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            open_ended = True
        elif name in _FROM_THE_DATA or parameter.kind is inspect.Parameter.VAR_POSITIONAL or meaning is None:
            continue
        elif inspect.isclass(source):
            named |= _writable(_parameter(parameter, source, meaning))
        else:
            named[name] = _parameter(parameter, source, meaning)
    return Parameters(named, open_ended)


def _parameter(parameter: inspect.Parameter, source: Callable[..., Any], meaning: str) -> Parameter:
    annotation = Any if parameter.annotation is inspect.Parameter.empty else parameter.annotation
    text = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
    types = members(annotation, vars(sys.modules[source.__module__]))
    default = parameter.default.value if isinstance(parameter.default, enum.Enum) else parameter.default
    return Parameter(parameter.name, text, types, default, meaning)


def _writable(parameter: Parameter) -> dict[str, Parameter]:
    """Limit a parameter of a class, which is for Python, to values that text can express.

    Objects such as tensors are left out of its type, and so is an enumeration whose values may be given as
    strings. A parameter that takes nothing else is left out, unless it has to be given.
    """
    text_alone = str in parameter.types
    types = tuple(
        one for one in parameter.types if described([one]) and not (text_alone and isinstance(one, enum.EnumMeta))
    )
    if not set(types) - {type(None)}:
        return {} if parameter.default is not REQUIRED else {parameter.name: parameter}
    return {parameter.name: replace(parameter, types=types, type_text=" | ".join(map(written, types)))}


def _meanings(docstring: str) -> dict[str, str | None]:
    """Return the first sentence on each parameter that a docstring describes, None for "Other Parameters"."""
    import docstring_parser

    try:
        described = docstring_parser.parse(docstring).params
    except docstring_parser.ParseError:
        return {}
    return {
        name.strip().lstrip("*"): None
        if parameter.args[0] == "other_param"
        else _first_sentence(parameter.description or "")
        for parameter in described
        for name in parameter.arg_name.split(",")
    }


def _first_sentence(description: str) -> str:
    paragraph = " ".join(description.split("\n\n")[0].split())
    return re.split(r"(?<=[.!?])\s+(?=[A-Z`\"'])", paragraph)[0]
