"""Fitted classifiers with a network as folders: weights as safetensors, everything else as JSON."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch
from safetensors import SafetensorError

from smalltext_core.errors import ModelFolderError
from smalltext_core.saving import Manifest, model_folder, read_manifest
from smalltext_torch import parameters
from smalltext_torch.device import resolve_device
from smalltext_torch.inference import gradients
from smalltext_torch.losses import Loss

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
    folder = Path(folder)
    manifest = read_manifest(folder)
    if manifest.classifier != cls.name:
        raise ModelFolderError(f"{folder} holds a {manifest.classifier!r} classifier; use smalltext_core.load.")
    if device is not None:
        resolve_device(device)
    try:
        classifier = _unfitted(cls, manifest)
        if device is not None:
            classifier.device = device
        with gradients(torch.device("cpu")):
            classifier._restore(folder, manifest)
    except (KeyError, TypeError, ValueError, RuntimeError, OSError, SafetensorError) as error:
        raise ModelFolderError(
            f"{folder} is damaged, or was written by another version ({manifest.distribution} "
            f"{manifest.version}): {type(error).__name__}: {error} Save the model again."
        ) from error
    return classifier


def saved_loss(classifier: NetworkClassifier[Any], manifest: Manifest) -> Loss:
    """Return the loss that a saved classifier was trained with."""
    weights = manifest.parameters["class_weights"]
    of_class = None if weights is None else np.array(weights)
    return Loss(classifier.multi_label, of_class, classifier.multi_label_threshold)


def _unfitted(cls: type[C], manifest: Manifest) -> C:
    with warnings.catch_warnings():
        # Whoever made the classifier was warned already.
        warnings.simplefilter("ignore", DeprecationWarning)
        return cls(**cls._loaded_parameters(manifest.parameters["constructor"]))
