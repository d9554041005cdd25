"""Fitted SetFit classifiers as folders: a sentence transformer, a head beside it, everything else as JSON."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import transformers
from safetensors.torch import load_file, save_file

from smalltext_core.errors import ModelFolderError
from smalltext_core.messages import shown
from smalltext_core.saving import MANIFEST, Manifest
from smalltext_core.validation import check_positive, check_within
from smalltext_setfit.fitted import Fitted, KnownEmbeddings
from smalltext_setfit.keywords import HeadTraining
from smalltext_setfit.sentence_encoder import load_saved_body, new_classifier, quiet
from smalltext_setfit.text_encoder import TextEncoder
from smalltext_torch import model_loading, pretrained_files
from smalltext_torch.device import present_or_best
from smalltext_torch.model_loading import abbreviated
from smalltext_torch.randomness import TorchRandomness
from smalltext_torch.saving import constructor_parameters as parameters_of
from smalltext_torch.saving import saved_value

if TYPE_CHECKING:
    from smalltext_setfit.classifier import SetFitClassification

HEAD = "head.safetensors"


def save_classifier(classifier: SetFitClassification, folder: str | Path, *, for_setfit: bool) -> None:
    """Write a fitted classifier to a folder, which is one of setfit as well where that is asked for.

    Raises
    ------
    NotFittedError
        If it is not fitted.
    ModelFolderError
        If the folder holds other things than a saved model.
    InvalidInputError
        If setfit has no form for it.
    """
    fitted = classifier.require_fitted()
    if for_setfit:
        from smalltext_setfit.setfit_form import check_form, write_form

        check_form(classifier.num_classes)

    def write(staging: Path) -> None:
        _write(fitted, staging)
        if for_setfit:
            write_form(fitted, classifier.use_differentiable_head, staging)

    learned = {
        "max_length": fitted.encoder.max_length,
        "validation": classifier.validation_,
        "head_training": asdict(fitted.head_training),
    }
    classifier.write_folder(folder, write, learned)


def _write(fitted: Fitted, folder: Path) -> None:
    """Write the network, and the tokenizer that is part of it, into a folder."""
    with quiet():
        fitted.network.body.save(str(folder), create_model_card=False, safe_serialization=True)
    pretrained_files.tidy(folder, transformers)
    head = fitted.network.head
    save_file({"weight": head.weight.cpu(), "bias": head.bias.cpu()}, str(folder / HEAD))


def check_head(folder: Path, num_classes: object) -> None:
    """Refuse a saved classifier whose head does not fit its number of classes.

    Raises
    ------
    ModelFolderError
        If it is not.
    """
    shapes = model_loading.shapes_of([folder / HEAD])
    weight, bias = shapes.get("weight", ()), shapes.get("bias", ())
    if shapes.keys() != {"weight", "bias"} or len(weight) != 2 or bias != weight[:1]:
        raise ModelFolderError(f"{folder / HEAD} holds no head: a weight and a bias. Save the model again.")
    if type(num_classes) is not int or num_classes != weight[0]:
        what = f"{folder / MANIFEST}, key 'parameters.constructor.num_classes': it holds {shown(num_classes, 100)}"
        raise ModelFolderError(f"{what}; allowed: {weight[0]}, for which there is a head. Save the model again.")


def read(classifier: SetFitClassification, folder: Path, manifest: Manifest) -> Fitted:
    """Read what `save_classifier` wrote, for a classifier of the same parameters."""
    shapes = model_loading.shapes_of([folder / HEAD])
    with TorchRandomness(0, torch.device("cpu")).lent():
        body = load_saved_body(folder, shapes["weight"][1])
    encoder = TextEncoder.of(body, saved_value(manifest, "max_length", int))
    normalize = classifier._model_keywords.normalize_embeddings
    network = new_classifier(body, encoder, classifier.num_classes, normalize)
    network.head.load_state_dict(load_file(str(folder / HEAD)))
    network.to(present_or_best(classifier.device)).requires_grad_(requires_grad=False).eval()
    known = KnownEmbeddings.of([], np.empty((0, network.head.in_features), dtype=np.float32))
    return Fitted(
        encoder,
        network,
        classifier.saved_loss(manifest),
        manifest.names,
        known,
        _head_training(classifier, manifest),
    )


def _head_training(classifier: SetFitClassification, manifest: Manifest) -> HeadTraining:
    # The first folders did not say what `fit` was given; the constructor's arguments are the best guess.
    if manifest.parameters.get("head_training") is None:
        return classifier._keywords().head_training
    saved = saved_value(manifest, "head_training", dict)
    return HeadTraining(
        check_within("head_training.num_epochs", saved["num_epochs"], 0).__int__(),
        check_positive("head_training.learning_rate", saved["learning_rate"]),
        check_within("head_training.l2_weight", saved["l2_weight"], 0),
    )


def read_validation(manifest: Manifest) -> tuple[float, float] | None:
    """Return loss and accuracy on the validation set that `fit` was given, if any."""
    saved = saved_value(manifest, "validation", list, type(None))
    if saved is None:
        return None
    loss, accuracy = saved
    return check_within("validation", loss, 0), check_within("validation", accuracy, 0, 1)


def constructor_parameters(classifier: SetFitClassification) -> dict[str, Any]:
    """Return the constructor's arguments as a manifest can hold them; callbacks and access tokens are left out."""
    model = {name: value for name, value in classifier.model_kwargs.items() if name != "token"}
    if model.get("cache_dir") is not None:
        model["cache_dir"] = abbreviated(str(model["cache_dir"]))
    training = {name: value for name, value in classifier.trainer_kwargs.items() if name != "callbacks"}
    if not isinstance(training.get("loss", ""), str):
        training["loss"] = training["loss"].__name__
    return {
        **parameters_of(classifier),
        "setfit_model_args": classifier.setfit_model_args.to_json(),
        "model_kwargs": model,
        "trainer_kwargs": training,
    }
