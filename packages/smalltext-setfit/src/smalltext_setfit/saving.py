"""Fitted SetFit classifiers as folders: a sentence transformer, a head beside it, everything else as JSON."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from smalltext_core.saving import Manifest, model_folder
from smalltext_setfit._version import __version__
from smalltext_setfit.arguments import SetFitModelArguments
from smalltext_setfit.fitted import Fitted, KnownEmbeddings
from smalltext_setfit.sentence_encoder import load_saved_body, new_classifier, quiet
from smalltext_setfit.text_encoder import TextEncoder
from smalltext_torch import parameters
from smalltext_torch.device import present_or_best
from smalltext_torch.losses import Loss
from smalltext_torch.randomness import TorchRandomness
from smalltext_torch.saving import restored

if TYPE_CHECKING:
    from smalltext_setfit.classifier import SetFitClassification

C = TypeVar("C", bound="SetFitClassification")

HEAD = "head.safetensors"


def save(classifier: SetFitClassification, folder: str | Path, *, for_setfit: bool) -> None:
    """Write a fitted classifier to a folder, whole or not at all."""
    fitted = classifier._require_fitted()
    weights = fitted.loss.class_weights
    with model_folder(
        folder,
        classifier=classifier.name,
        distribution=classifier.distribution,
        version=__version__,
        parameters={
            "constructor": parameters.to_json(_constructor(classifier)),
            "class_weights": None if weights is None else weights.tolist(),
            "max_length": fitted.encoder.max_length,
            "validation": classifier.validation_,
        },
        label_names=fitted.label_names,
    ) as staging:
        with quiet():
            fitted.network.body.save(str(staging), create_model_card=False, safe_serialization=True)
        head = fitted.network.head
        save_file({"weight": head.weight.cpu(), "bias": head.bias.cpu()}, str(staging / HEAD))
        if for_setfit:
            from smalltext_setfit.setfit_form import write_form

            write_form(fitted, classifier.use_differentiable_head, staging)


def load(cls: type[C], folder: str | Path, device: str | torch.device | None) -> C:
    """Bring back a classifier of a class from a folder that `save` wrote."""
    return restored(cls.name, folder, device, lambda found, manifest: _restored(cls, found, manifest, device))


def _restored(cls: type[C], folder: Path, manifest: Manifest, device: str | torch.device | None) -> C:
    content = manifest.parameters
    saved = parameters.from_json(content["constructor"])
    with warnings.catch_warnings():
        # Whoever made the classifier was warned already.
        warnings.simplefilter("ignore", DeprecationWarning)
        classifier = cls(SetFitModelArguments(**saved.pop("setfit_model_args")), **saved)
    if device is not None:
        classifier.device = device
    with TorchRandomness(0, torch.device("cpu")).lent():
        body = load_saved_body(folder)
    encoder = TextEncoder.of(body, content["max_length"])
    normalize = classifier._model_keywords.normalize_embeddings
    network = new_classifier(body, encoder, classifier.num_classes, normalize)
    network.head.load_state_dict(load_file(str(folder / HEAD)))
    network.to(present_or_best(classifier.device)).requires_grad_(requires_grad=False).eval()
    weights = content["class_weights"]
    loss = Loss(
        classifier.multi_label, None if weights is None else np.array(weights), classifier.multi_label_threshold
    )
    known = KnownEmbeddings.of([], np.empty((0, network.head.in_features), dtype=np.float32))
    classifier._fitted = Fitted(encoder, network, loss, manifest.names, known)
    classifier.validation_ = None if content["validation"] is None else tuple(content["validation"])
    return classifier


def _constructor(classifier: SetFitClassification) -> dict[str, Any]:
    """Return the constructor's arguments as a manifest can hold them; callbacks are left out."""
    training = {name: value for name, value in classifier.trainer_kwargs.items() if name != "callbacks"}
    for name in ("loss", "loss_class"):
        if name in training and not isinstance(training[name], str):
            training[name] = training[name].__name__
    return {
        **parameters.constructor_parameters(classifier),
        "setfit_model_args": classifier.setfit_model_args.to_json(),
        "trainer_kwargs": training,
    }
