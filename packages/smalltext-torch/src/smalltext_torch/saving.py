"""Fitted torch classifiers as folders: weights as safetensors, everything else as JSON."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch
from safetensors import SafetensorError

from smalltext_core.errors import ModelFolderError
from smalltext_core.saving import Manifest, model_folder, read_manifest
from smalltext_torch import parameters
from smalltext_torch.backend import Fitted
from smalltext_torch.device import present_or_best, resolve_device
from smalltext_torch.losses import Loss
from smalltext_torch.randomness import TorchRandomness

if TYPE_CHECKING:
    from smalltext_torch.classifier import TorchClassifier

C = TypeVar("C", bound="TorchClassifier[Any]")
Restored = TypeVar("Restored")


def save(classifier: TorchClassifier[Any], folder: str | Path) -> None:
    """Write a fitted classifier to a folder, whole or not at all."""
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
            "history": fitted.history,
        },
        label_names=fitted.label_names,
    ) as staging:
        classifier._save_network(fitted, staging)
        classifier._save_encoder(fitted.encoder, staging)


def load(cls: type[C], folder: str | Path, device: str | torch.device | None) -> C:
    """Bring back a classifier of a class from a folder that `save` wrote."""
    return restored(cls.name, folder, device, lambda found, manifest: _restored(cls, found, manifest, device))


def restored(
    name: str,
    folder: str | Path,
    device: str | torch.device | None,
    restore: Callable[[Path, Manifest], Restored],
) -> Restored:
    """Return what a backend makes of a saved model, and blame the folder for what goes wrong.

    Parameters
    ----------
    name : str
        The classifier that the folder has to hold.
    folder : path
    device : str, torch.device or None
        Is checked before anything is read.
    restore : callable
        Takes the folder and its manifest, and returns the classifier.

    Raises
    ------
    ModelFolderError
        If the folder is no saved model of that name, or is damaged.
    InvalidInputError
        If there is no such device.
    """
    folder = Path(folder)
    manifest = read_manifest(folder)
    if manifest.classifier != name:
        raise ModelFolderError(f"{folder} holds a {manifest.classifier!r} classifier; use smalltext_core.load.")
    if device is not None:
        resolve_device(device)
    try:
        return restore(folder, manifest)
    except (KeyError, TypeError, ValueError, RuntimeError, OSError, SafetensorError) as error:
        raise ModelFolderError(
            f"{folder} is damaged, or was written by another version ({manifest.distribution} "
            f"{manifest.version}): {type(error).__name__}: {error} Save the model again."
        ) from error


def _restored(cls: type[C], folder: Path, manifest: Manifest, device: str | torch.device | None) -> C:
    content = manifest.parameters
    with warnings.catch_warnings():
        # Whoever made the classifier was warned already.
        warnings.simplefilter("ignore", DeprecationWarning)
        classifier = cls(**cls._loaded_parameters(content["constructor"]))
    if device is not None:
        classifier.device = device
    encoder = classifier._load_encoder(folder)
    with TorchRandomness(0, torch.device("cpu")).lent():
        network = classifier._load_network(encoder, folder)
    network.to(present_or_best(classifier.device)).eval()
    weights = content["class_weights"]
    loss = Loss(
        classifier.multi_label, None if weights is None else np.array(weights), classifier.multi_label_threshold
    )
    classifier._fitted = Fitted(encoder, network, loss, manifest.names, content["history"])
    return classifier
