"""``--set key=value``: what the user tells a classifier, checked against the parameters of its builder."""

from __future__ import annotations

import difflib
import json
import typing
from collections.abc import Mapping, Sequence
from typing import Any

from smalltext_cli.annotations import described, parse
from smalltext_cli.errors import UsageError
from smalltext_cli.parameters import REQUIRED, Parameter, Parameters
from smalltext_core import LabelNames
from smalltext_core.errors import InvalidInputError
from smalltext_core.label_names import shown_name
from smalltext_core.messages import shown

_CLASS_WEIGHT = "class_weight"


def settings_of(
    classifier: str,
    parameters: Parameters,
    pairs: Sequence[str],
    *,
    seed: int | None = None,
    device: str | None = None,
) -> dict[str, str]:
    """Return what was set, by name and not read yet.

    Parameters
    ----------
    classifier : str
        The name of the classifier, for messages.
    parameters : Parameters
        What can be set.
    pairs : sequence of str
        Each ``key=value``.
    seed, device : optional
        What ``--seed`` and ``--device`` gave.

    Raises
    ------
    UsageError
        If a name is unknown or given twice, or a parameter without a default is missing.
    """
    settings: dict[str, str] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        name = name.strip().replace("-", "_")
        if not equals:
            raise UsageError(f"--set {pair}: there is no '=' in it. Write --set key=value.")
        if name in settings:
            raise UsageError(f"--set {name} is given twice. Give it once.")
        if name not in parameters.named and not (parameters.open_ended and name.isidentifier()):
            raise _unknown(classifier, parameters, name)
        settings[name] = text
    for name, given in (("seed", seed), ("device", device)):
        if given is None:
            continue
        if name in settings:
            raise UsageError(f"--{name} and --set {name} say the same. Give one of them.")
        if name not in parameters.named:
            raise UsageError(f"The classifier {classifier!r} has no parameter {name!r}. Leave --{name} out.")
        settings[name] = str(given)
    missing = [name for name, one in parameters.named.items() if one.default is REQUIRED and name not in settings]
    if missing:
        raise UsageError(
            f"The classifier {classifier!r} needs {', '.join(missing)}. Give it: --set {missing[0]}=... "
            f"(`smalltext info {classifier}` explains it)."
        )
    return settings


def values_of(parameters: Parameters, settings: dict[str, str], names: LabelNames | None = None) -> dict[str, Any]:
    """Read what was set, each value by the annotation of its parameter.

    Parameters
    ----------
    parameters : Parameters
    settings : dict of str to str
        From `settings_of`.
    names : LabelNames, optional
        What the classes are called, so that ``class_weight`` can name them. As long as they are not known, such
        a setting is passed over.

    Raises
    ------
    UsageError
        Saying what is allowed.

    Examples
    --------
    >>> from smalltext_cli.parameters import builder_parameters
    >>> def build(num_classes: int, *, class_weight: dict[int, float] | None = None): ...
    >>> values_of(builder_parameters(build), {"class_weight": '{"spam": 3}'}, LabelNames(("ham", "spam")))
    {'class_weight': {1: 3.0}}
    >>> def build(num_classes: int, *, class_weight: dict[str, float] | None = None): ...
    >>> values_of(builder_parameters(build), {"class_weight": '{"spam": 3}'}, LabelNames(("ham", "spam")))
    {'class_weight': {'spam': 3.0}}
    """
    values: dict[str, Any] = {}
    for name, text in settings.items():
        parameter = parameters.named.get(name, Parameter(name, "Any", (Any,), REQUIRED, ""))
        if name == _CLASS_WEIGHT and text.lstrip().startswith("{"):
            if names is None:
                continue
            numbers = _value(parameter, _by_number(text, names))
            values[name] = _by_name(numbers, names) if _takes_names(parameter) else numbers
        else:
            values[name] = _value(parameter, text)
    return values


def _takes_names(parameter: Parameter) -> bool:
    """Tell whether the keys of a mapping may be strings."""
    return any(typing.get_args(kind)[:1] == (str,) for kind in parameter.types)


def _by_name(numbers: Mapping[Any, Any], names: LabelNames) -> dict[str, Any]:
    return {names.names[int(number)]: weight for number, weight in numbers.items()}


def _value(parameter: Parameter, text: str) -> Any:
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
        source = "The data says how many classes there are." if name == "num_classes" else "Pass --multi-label."
        return UsageError(f"--set {name}: this is not set so. {source}")
    near = difflib.get_close_matches(name, parameters.named, n=1)
    hint = f"Did you mean {near[0]!r}? " if near else ""
    listed = ", ".join(parameters.named) or "none"
    return UsageError(
        f"--set {name}: the classifier {classifier!r} has no such parameter. {hint}It has: {listed}."
    )


def _by_number(text: str, names: LabelNames) -> str:
    """Put class numbers in the place of the names in a JSON object; a number is a class if it is called so."""
    try:
        given = json.loads(text, object_pairs_hook=tuple)
    except (ValueError, RecursionError):
        raise UsageError(
            f"--set {_CLASS_WEIGHT}: {shown(text)} is not JSON. Write '{{\"{names.names[0]}\": 2.0}}', in quotes."
        ) from None
    weights: dict[str, Any] = {}
    for name, weight in given:
        try:
            number = str(names.number(name))
        except InvalidInputError as error:
            listed = ", ".join(map(shown_name, names.names[:20])) + (", ..." if len(names) > 20 else "")
            raise UsageError(
                f"--set {_CLASS_WEIGHT}: no class is called {error.given}. The classes are: {listed}. "
                f"{error.next_step}".rstrip()
            ) from None
        if number in weights:
            raise UsageError(f"--set {_CLASS_WEIGHT}: the class {shown_name(name)} is given twice. Give it once.")
        weights[number] = dict(weight) if isinstance(weight, tuple) else weight
    return json.dumps(weights)
