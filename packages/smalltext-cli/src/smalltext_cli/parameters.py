"""The parameters of classifiers, read from signatures and docstrings, and parsed from ``--set key=value``."""

from __future__ import annotations

import difflib
import enum
import inspect
import json
import re
import sys
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from smalltext_cli.console import UsageError, listed_names
from smalltext_cli.type_annotations import described, members, parse, written
from smalltext_core import LabelNames
from smalltext_core.errors import InvalidInputError
from smalltext_core.label_names import shown_name
from smalltext_core.messages import shown

CLASS_WEIGHT = "class_weight"
_FROM_THE_DATA = ("num_classes", "multi_label")

REQUIRED = inspect.Parameter.empty
"""The default of a required parameter."""


@dataclass(frozen=True)
class Parameter:
    """One parameter of a classifier.

    Parameters
    ----------
    name : str
    type_text : str
        The type, as shown by ``smalltext info``.
    types : tuple
        The members of a union type, or else the type itself.
    default : Any
        The default value, or `REQUIRED`.
    meaning : str
        The first sentence of the description, and the one on "auto" if that is the default.
    """

    name: str
    type_text: str
    types: tuple[Any, ...]
    default: Any
    meaning: str

    @property
    def is_required(self) -> bool:
        """Whether the parameter has no default."""
        return self.default is REQUIRED


@dataclass(frozen=True)
class Parameters:
    """The parameters that can be set on a classifier.

    Parameters
    ----------
    named : dict of str to Parameter
    open_ended : bool
        Whether the classifier accepts other parameters, too, as ``**parameters``.
    """

    named: dict[str, Parameter]
    open_ended: bool


def builder_parameters(builder: Callable[..., Any]) -> Parameters:
    """Read the parameters of a builder, or of a class without one, except those determined by the data.

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
    descriptions = {source: _descriptions(inspect.getdoc(source) or "") for source in {builder, *sources.values()}}
    named: dict[str, Parameter] = {}
    open_ended = False
    for name, parameter in inspect.signature(builder).parameters.items():
        source = sources.get(name, builder)
        description = descriptions[source].get(name, "")
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            open_ended = True
        elif name in _FROM_THE_DATA or parameter.kind is inspect.Parameter.VAR_POSITIONAL or description is None:
            continue
        elif inspect.isclass(source):
            named |= _writable(_parameter(parameter, source, description))
        else:
            named[name] = _parameter(parameter, source, description)
    return Parameters(named, open_ended)


def _parameter(parameter: inspect.Parameter, source: Callable[..., Any], description: str) -> Parameter:
    annotation = Any if parameter.annotation is inspect.Parameter.empty else parameter.annotation
    text = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
    types = members(annotation, vars(sys.modules[source.__module__]))
    default = parameter.default.value if isinstance(parameter.default, enum.Enum) else parameter.default
    return Parameter(parameter.name, text, types, default, _meaning(description, default))


def _writable(parameter: Parameter) -> dict[str, Parameter]:
    """Limit a parameter of a Python class to values that can be written as text.

    Objects such as tensors are removed from its type, and so are enumerations whose values may be given as
    strings. A parameter without any other type is left out, unless it is required.
    """
    text_alone = str in parameter.types
    types = tuple(
        one for one in parameter.types if described([one]) and not (text_alone and isinstance(one, enum.EnumMeta))
    )
    if not set(types) - {type(None)}:
        return {} if parameter.default is not REQUIRED else {parameter.name: parameter}
    return {parameter.name: replace(parameter, types=types, type_text=" | ".join(map(written, types)))}


def _descriptions(docstring: str) -> dict[str, str | None]:
    """Return the first paragraph on each parameter in a docstring; None for those in "Other Parameters"."""
    import docstring_parser

    try:
        found = docstring_parser.parse(docstring).params
    except docstring_parser.ParseError:
        return {}
    return {
        name.strip().lstrip("*"): None
        if parameter.args[0] == "other_param"
        else " ".join((parameter.description or "").split("\n\n")[0].split())
        for parameter in found
        for name in parameter.arg_name.split(",")
    }


def _meaning(paragraph: str, default: object) -> str:
    first, *others = re.split(r"(?<=[.!?])\s+(?=[A-Z`\"'])", paragraph)
    of_default = [one for one in others if '"auto"' in one][:1] if default == "auto" else []
    return " ".join([first, *of_default])


def parse_assignments(
    classifier: str,
    parameters: Parameters,
    pairs: Sequence[str],
    *,
    seed: int | None = None,
    device: str | None = None,
) -> dict[str, str]:
    """Split ``key=value`` pairs, add ``--seed`` and ``--device``, and check the keys without parsing values.

    Raises
    ------
    UsageError
        If a key is unknown or given twice, or a parameter without a default is missing.
    """
    found: dict[str, str] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        name = name.strip().replace("-", "_")
        if not equals:
            raise UsageError(f"--set {pair}: there is no '=' in it. Write --set key=value.")
        if name in found:
            raise UsageError(f"--set {name} is given twice. Give it once.")
        if name not in parameters.named and not (parameters.open_ended and name.isidentifier()):
            raise _unknown(classifier, parameters, name)
        found[name] = text
    for name, given in (("seed", seed), ("device", device)):
        if given is None:
            continue
        if name in found:
            raise UsageError(f"--{name} and --set {name} say the same. Give one of them.")
        if name not in parameters.named:
            raise UsageError(f"The classifier {classifier!r} has no parameter {name!r}. Leave --{name} out.")
        found[name] = str(given)
    missing = [name for name, one in parameters.named.items() if one.is_required and name not in found]
    if missing:
        raise UsageError(
            f"The classifier {classifier!r} needs {', '.join(missing)}. Give it: --set {missing[0]}=... "
            f"(`smalltext info {classifier}` explains it)."
        )
    return found


def parse_values(
    parameters: Parameters, assignments: Mapping[str, str], names: LabelNames | None = None
) -> dict[str, Any]:
    """Parse the values of `parse_assignments` by the parameter types, or raise UsageError.

    The keys of a JSON object for ``class_weight`` are class names; without `names`, it is left out.

    Examples
    --------
    >>> def build(num_classes: int, *, class_weight: dict[int, float] | None = None): ...
    >>> parse_values(builder_parameters(build), {"class_weight": '{"spam": 3}'}, LabelNames(("ham", "spam")))
    {'class_weight': {1: 3.0}}
    """
    values: dict[str, Any] = {}
    for name, text in assignments.items():
        parameter = parameters.named.get(name, Parameter(name, "Any", (Any,), REQUIRED, ""))
        if name != CLASS_WEIGHT or not text.lstrip().startswith("{"):
            values[name] = _parse_value(parameter, text)
        elif names is not None:
            weights: Mapping[Any, Any] = _parse_value(parameter, _with_class_numbers(text, names))
            if any(typing.get_args(kind)[:1] == (str,) for kind in parameter.types):  # keyed by class name
                weights = {names.names[int(number)]: weight for number, weight in weights.items()}
            values[name] = weights
    return values


def _parse_value(parameter: Parameter, text: str) -> Any:
    allowed = described(parameter.types)
    if not allowed:
        raise UsageError(
            f"--set {parameter.name}: a {parameter.type_text} cannot be written on a command line. "
            "Use smalltext_core.create_classifier in Python."
        )
    try:
        return parse(text, parameter.types)
    except ValueError:
        raise UsageError(
            f"--set {parameter.name}: got {text!r}; allowed: {allowed}. Its type is {parameter.type_text}."
        ) from None


def _unknown(classifier: str, parameters: Parameters, name: str) -> UsageError:
    if name in ("num_classes", "multi_label"):
        source = "The data determines the number of classes." if name == "num_classes" else "Pass --multi-label."
        return UsageError(f"--set {name}: this cannot be set. {source}")
    near = difflib.get_close_matches(name, parameters.named, n=1)
    hint = f"Did you mean {near[0]!r}? " if near else ""
    listed = ", ".join(parameters.named) or "none"
    return UsageError(
        f"--set {name}: the classifier {classifier!r} has no such parameter. {hint}It has: {listed}."
    )


def _with_class_numbers(text: str, names: LabelNames) -> str:
    """Replace class names by class numbers in a JSON object; keys that are numbers count as names."""
    try:
        given = json.loads(text, object_pairs_hook=tuple)
    except (ValueError, RecursionError):
        raise UsageError(
            f"--set {CLASS_WEIGHT}: {shown(text)} is not JSON. Write '{{\"{names.names[0]}\": 2.0}}', in quotes."
        ) from None
    weights: dict[str, Any] = {}
    for name, weight in given:
        try:
            number = str(names.number(name))
        except InvalidInputError as error:
            raise UsageError(
                f"--set {CLASS_WEIGHT}: no class is called {error.given}. "
                f"The classes are: {listed_names(names.names)}. {error.next_step}".rstrip()
            ) from None
        if number in weights:
            raise UsageError(f"--set {CLASS_WEIGHT}: the class {shown_name(name)} is given twice. Give it once.")
        weights[number] = dict(weight) if isinstance(weight, tuple) else weight
    return json.dumps(weights)
