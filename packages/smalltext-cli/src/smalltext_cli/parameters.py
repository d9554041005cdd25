"""What a classifier can be told: the parameters of its builder, as signature and docstring give them."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from smalltext_cli.annotations import members

_FROM_THE_DATA = ("num_classes", "multi_label")

REQUIRED = inspect.Parameter.empty
"""The default of a parameter that has none."""


@dataclass(frozen=True)
class Parameter:
    """One parameter of a builder.

    Parameters
    ----------
    name : str
    type_text : str
        Its annotation, as the source has it.
    types : tuple
        What the annotation admits: a union taken apart.
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
    """All parameters of a builder that the user may set, by name.

    Parameters
    ----------
    named : dict of str to Parameter
    open_ended : bool
        Whether the builder passes on names that its signature lacks.
    """

    named: dict[str, Parameter]
    open_ended: bool


def builder_parameters(builder: Callable[..., Any]) -> Parameters:
    """Read the parameters of a builder, but for the two that the data decides.

    Examples
    --------
    >>> def build(num_classes: int, *, multi_label: bool = False, lr: float = 0.1):
    ...     '''Build it.
    ...
    ...     Parameters
    ...     ----------
    ...     lr : float, default=0.1
    ...         How far a step goes. Smaller is slower.
    ...     '''
    >>> parameter = builder_parameters(build).named["lr"]
    >>> parameter.type_text, parameter.default, parameter.meaning
    ('float', 0.1, 'How far a step goes.')
    """
    meanings = _meanings(inspect.getdoc(builder) or "")
    namespace = vars(sys.modules[builder.__module__])
    named: dict[str, Parameter] = {}
    open_ended = False
    for name, parameter in inspect.signature(builder).parameters.items():
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            open_ended = True
        elif name not in _FROM_THE_DATA and parameter.kind is not inspect.Parameter.VAR_POSITIONAL:
            annotation = Any if parameter.annotation is inspect.Parameter.empty else parameter.annotation
            named[name] = Parameter(
                name,
                annotation if isinstance(annotation, str) else inspect.formatannotation(annotation),
                members(annotation, namespace),
                parameter.default,
                meanings.get(name, ""),
            )
    return Parameters(named, open_ended)


def _meanings(docstring: str) -> dict[str, str]:
    """Return the first sentence on each parameter that a docstring describes."""
    import docstring_parser

    try:
        described = docstring_parser.parse(docstring).params
    except docstring_parser.ParseError:
        return {}
    return {
        name.strip().lstrip("*"): _first_sentence(parameter.description or "")
        for parameter in described
        for name in parameter.arg_name.split(",")
    }


def _first_sentence(description: str) -> str:
    paragraph = " ".join(description.split("\n\n")[0].split())
    return re.split(r"(?<=[.!?])\s+(?=[A-Z`\"'])", paragraph)[0]
