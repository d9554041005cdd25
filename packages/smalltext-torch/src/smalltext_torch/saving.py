"""Fitted classifiers with a network as folders: weights as safetensors, everything else as JSON.

A folder may come from anybody. What is in it is checked before any of it is used, and a classifier that was loaded
classifies a few texts on the processor before the caller gets it, so that `load` says what it cannot do.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch

from smalltext_core.atomic import as_path
from smalltext_core.errors import ModelFolderError, SmallTextError
from smalltext_core.messages import one_line, shown
from smalltext_core.saving import MANIFEST, Manifest, damage_explained, model_folder, read_manifest
from smalltext_torch import parameters
from smalltext_torch.device import present_or_best, resolve_device
from smalltext_torch.inference import gradients
from smalltext_torch.losses import Loss
from smalltext_torch.pretrained_files import check_files
from smalltext_torch.trial import try_out

if TYPE_CHECKING:
    from smalltext_torch.network_classifier import NetworkClassifier

C = TypeVar("C", bound="NetworkClassifier[Any]")


def save(
    classifier: NetworkClassifier[Any],
    folder: str | Path,
    write: Callable[[Path], None],
    learned: Mapping[str, Any],
) -> None:
    """Write a fitted classifier to a folder, whole or not at all.

    Parameters
    ----------
    classifier : NetworkClassifier
    folder : path
    write : callable
        Writes the network and what texts are encoded with into the folder that it is given.
    learned : mapping
        What else has to be known of the training, as JSON can hold it.
    """
    fitted = classifier._require_fitted()
    weights = fitted.loss.class_weights
    with model_folder(
        folder,
        classifier=classifier.name,
        distribution=classifier.distribution,
        version=classifier.version,
        parameters={
            "constructor": parameters.to_json(classifier._saved_parameters()),
            "class_weights": None if weights is None else weights.tolist(),
            **learned,
        },
        label_names=fitted.label_names,
    ) as staging:
        write(staging)


def load(cls: type[C], folder: str | Path, device: str | torch.device | None) -> C:
    """Bring back a classifier of a class, and blame the folder for what goes wrong.

    Raises
    ------
    ModelFolderError
        If the folder is no saved model of that class, or is damaged.
    InvalidInputError
        If there is no such device.
    """
    folder = as_path(folder)
    manifest = read_manifest(folder)
    if manifest.classifier != cls.name:
        raise ModelFolderError(
            f"{folder} holds a {shown(manifest.classifier)} classifier; use smalltext_core.load."
        )
    if device is not None:
        resolve_device(device)
    check_files(folder, cls.further_files)
    with damage_explained(folder), _blamed(folder):
        cls._check_saved(folder, manifest)
        classifier = _unfitted(cls, manifest)
        _check_names(classifier, manifest)
        wanted = classifier.device if device is None else device
        # Indices out of range leave an accelerator unusable, while the processor only raises an error.
        classifier.device = "cpu"
        with gradients(torch.device("cpu")):
            classifier._restore(folder, manifest)
        try_out(classifier)
        classifier.device = wanted
        with gradients(torch.device("cpu")):
            classifier._require_fitted().network.to(present_or_best(wanted))
    return classifier


@contextmanager
def _blamed(folder: Path) -> Iterator[None]:
    """Say of whatever is refused about what a folder holds that the folder is to blame."""
    try:
        yield
    except ModelFolderError:
        raise
    except SmallTextError as error:
        what = f"{folder} is damaged, or was written by another version: {one_line(str(error))}"
        raise ModelFolderError(f"{what} Save the model again.") from error


def saved_loss(classifier: NetworkClassifier[Any], manifest: Manifest) -> Loss:
    """Return the loss that a saved classifier was trained with.

    Raises
    ------
    ModelFolderError
        If its class weights are not one finite number of 0 or above for each class.
    """
    weights = saved_value(manifest, "class_weights", list, type(None))
    if weights is None:
        return Loss(classifier.multi_label, None, classifier.multi_label_threshold)
    sound = all(type(weight) in (int, float) and 0 <= weight < math.inf for weight in weights)
    if not sound or len(weights) != classifier.num_classes:
        raise _of_parameter("class_weights", weights, f"{classifier.num_classes} finite numbers, 0 or above")
    return Loss(classifier.multi_label, np.array(weights, dtype=np.float64), classifier.multi_label_threshold)


def saved_value(manifest: Manifest, name: str, *types: type) -> Any:
    """Return one of the values that a manifest holds of a training.

    Parameters
    ----------
    manifest : Manifest
    name : str
    *types : type
        What it may be; a boolean is no integer.

    Raises
    ------
    ModelFolderError
        If it is not there, or of another type.
    """
    value = manifest.parameters.get(name)
    if type(value) not in types or name not in manifest.parameters:
        raise _of_parameter(name, value, " or ".join(kind.__name__ for kind in types))
    return value


def _of_parameter(name: str, value: object, allowed: str) -> ModelFolderError:
    what = f"{MANIFEST}, key {shown(f'parameters.{name}')}: it holds {shown(value, 100)}; allowed: {allowed}"
    return ModelFolderError(f"{what}. Save the model again.")


def _check_names(classifier: NetworkClassifier[Any], manifest: Manifest) -> None:
    names = manifest.label_names
    if names is not None and len(names) != classifier.num_classes:
        what = f"{MANIFEST}, key 'label_names': there are {len(names)} names for {classifier.num_classes} classes"
        raise ModelFolderError(f"{what}. Save the model again.")


def _unfitted(cls: type[C], manifest: Manifest) -> C:
    with warnings.catch_warnings():
        # Whoever made the classifier was warned already.
        warnings.simplefilter("ignore", DeprecationWarning)
        return cls(**cls._loaded_parameters(saved_value(manifest, "constructor", dict)))
