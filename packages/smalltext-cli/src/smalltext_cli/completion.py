"""Shell completion of classifiers, model folders, query strategies, and parameters of ``--set``."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import typer

from smalltext_core import classifier_spec, classifiers
from smalltext_core.saving import MANIFEST


def classifier_names(incomplete: str) -> list[tuple[str, str]]:
    """Return the classifiers whose names begin with `incomplete`, with their summaries."""
    return [(name, spec.summary) for name, spec in classifiers().items() if name.startswith(incomplete)]


def model_folders(incomplete: str) -> list[str]:
    """Return the folders whose paths begin with `incomplete`: models, and others that may contain models."""
    folder, slash, name = incomplete.rpartition("/")
    try:
        found = sorted(path for path in Path(folder or (slash or ".")).expanduser().iterdir() if path.is_dir())
    except OSError:
        return []
    shown = [path for path in found if path.name.startswith(name) and (name or not path.name.startswith("."))]
    return [
        f"{folder}{slash}{path.name}{'' if (path / MANIFEST).is_file() else '/'}"
        for path in sorted(shown, key=lambda path: not (path / MANIFEST).is_file())
    ]


def classifiers_and_models(incomplete: str) -> list[str | tuple[str, str]]:
    """Return classifiers and model folders, both of which `smalltext info` accepts."""
    return [*classifier_names(incomplete), *model_folders(incomplete)]


def listed_classifiers(incomplete: str) -> list[tuple[str, str]]:
    """Return completions of the last name in a comma-separated list of classifiers, except listed ones."""
    return _listed(incomplete, {name: spec.summary for name, spec in classifiers().items()})


def listed_strategies(incomplete: str) -> list[tuple[str, str]]:
    """Return completions of a query strategy, or of the last one in a comma-separated list."""
    from smalltext_cli.query_strategies import STRATEGIES

    return _listed(incomplete, {name: one.library for name, one in STRATEGIES.items()})


def _listed(incomplete: str, known: Mapping[str, str]) -> list[tuple[str, str]]:
    before, comma, last = incomplete.rpartition(",")
    given = before.split(",")
    return [
        (f"{before}{comma}{name}", meaning)
        for name, meaning in known.items()
        if name.startswith(last) and name not in given
    ]


def named_settings(incomplete: str) -> list[tuple[str, str]]:
    """Return the parameters of a classifier as ``NAME.key=``, or all classifiers as ``NAME.`` before the dot."""
    name, dot, key = incomplete.partition(".")
    if not dot:
        return [(f"{found}.", meaning) for found, meaning in classifier_names(name)]
    return [(f"{name}.{found}", meaning) for found, meaning in _parameters(name, key)]


def settings(context: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Return the parameters that begin with `incomplete`, as ``name=``, of the classifier on the command line."""
    # Arguments are not parsed yet if the value of the last option is missing, as it is here.
    name = next(iter(context.args), None)
    return _parameters(context.params.get("classifier") or context.params.get("name") or name, incomplete)


def _parameters(name: object, incomplete: str) -> list[tuple[str, str]]:
    from smalltext_cli.shipped_parameters import shipped_parameters

    with suppress(Exception):  # completion prints no errors
        parameters = shipped_parameters(classifier_spec(str(name)))
        if parameters is not None:
            found = {f"{one.name}=": one.meaning for one in parameters.named.values()}
            return [(text, meaning) for text, meaning in found.items() if text.startswith(incomplete)]
    return []
