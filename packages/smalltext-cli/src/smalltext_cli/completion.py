"""What the shell completes: names of classifiers, folders of models, and parameters of ``--set``."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import typer

from smalltext_core import classifier_spec, classifiers
from smalltext_core.saving import MANIFEST


def classifier_names(incomplete: str) -> list[tuple[str, str]]:
    """Return the classifiers whose names begin so, with what they are."""
    return [(name, spec.summary) for name, spec in classifiers().items() if name.startswith(incomplete)]


def model_folders(incomplete: str) -> list[str]:
    """Return the model folders whose paths begin so, and the other folders, which may hold some."""
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
    """Return what `smalltext info` takes."""
    return [*classifier_names(incomplete), *model_folders(incomplete)]


def settings(context: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Return the parameters, as ``name=``, that begin so, of the classifier that is given before."""
    from smalltext_cli.shipped_parameters import shipped_parameters

    name = context.params.get("classifier") or context.params.get("name")
    with suppress(Exception):  # completion prints no errors
        parameters = shipped_parameters(classifier_spec(str(name)))
        if parameters is not None:
            found = {f"{one.name}=": one.meaning for one in parameters.named.values()}
            return [(text, meaning) for text, meaning in found.items() if text.startswith(incomplete)]
    return []
