"""Saved models, as the commands need them: with the names of their classes."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any

from smalltext_cli.errors import UsageError
from smalltext_core import AnyClassifier, LabelNames, classifier_spec, load
from smalltext_core.errors import UntrustedModelError
from smalltext_core.saving import Manifest, read_manifest


@dataclass(frozen=True)
class Model:
    """A classifier that was saved, and what its classes are called."""

    classifier: AnyClassifier
    names: LabelNames
    multi_label: bool
    manifest: Manifest


def load_model(folder: str, *, trusted: list[str] | None = None, device: str | None = None) -> Model:
    """Load a model folder.

    Parameters
    ----------
    folder : str
    trusted : list of str, optional
        Types that the folder may hold although they are not known to be safe.
    device : str, optional
        Where the classifier is to compute.

    Raises
    ------
    ModelFolderError
        If the folder is no model, or is damaged.
    UsageError
        If the classifier takes no `trusted` or no `device`.
    """
    manifest = read_manifest(folder)
    options: dict[str, Any] = {}
    for name, option, value in (("trusted", "--trust", trusted or None), ("device", "--device", device)):
        if value is None:
            continue
        loader = classifier_spec(f"{manifest.distribution}:{manifest.classifier}").resolve("classifier").load
        if name not in inspect.signature(loader).parameters:
            raise UsageError(f"{option} does not apply to the classifier {manifest.classifier!r}; leave it out.")
        options[name] = value
    try:
        classifier = load(folder, **options)
    except UntrustedModelError as error:
        raise UntrustedModelError(f"{error}. On the command line: --trust TYPE, once for each.") from error
    names = manifest.names or LabelNames(tuple(str(k) for k in range(classifier.num_classes)))
    return Model(classifier, names, bool(classifier.multi_label), manifest)
