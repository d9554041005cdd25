"""Saving of fitted models as sentence transformers with a head, and optionally as models of setfit."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import torch
import transformers
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.preprocessing import LabelBinarizer
from torch import nn

from smalltext_core.errors import InvalidInputError, ModelFolderError
from smalltext_core.messages import shown
from smalltext_core.saving import MANIFEST, Manifest
from smalltext_core.validation import check_positive, check_within
from smalltext_setfit._checkpoint import load_saved_body
from smalltext_setfit._model import EmbeddingCache, SetFitState, make_network, quiet_libraries
from smalltext_setfit._tokenization import SentenceTokenizer
from smalltext_setfit.arguments import SetFitModelArguments
from smalltext_setfit.training_args import HeadTrainingArgs
from smalltext_torch import model_loading, pretrained_files
from smalltext_torch.losses import Loss
from smalltext_torch.model_loading import abbreviated
from smalltext_torch.randomness import TorchRandomness
from smalltext_torch.saving import saved_value

HEAD = "head.safetensors"
SETFIT_CONFIG, SETFIT_HEAD = "config_setfit.json", "model_head.pkl"


def parameters_to_save(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the constructor's arguments as JSON can hold them, without callbacks and access tokens."""
    model = {name: value for name, value in parameters["model_kwargs"].items() if name != "token"}
    if model.get("cache_dir") is not None:
        model["cache_dir"] = abbreviated(str(model["cache_dir"]))
    training = {name: value for name, value in parameters["trainer_kwargs"].items() if name != "callbacks"}
    if not isinstance(training.get("loss", ""), str):
        training["loss"] = training["loss"].__name__
    arguments = parameters["setfit_model_args"].to_json()
    return {**parameters, "setfit_model_args": arguments, "model_kwargs": model, "trainer_kwargs": training}


def parameters_from_saved(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Restore the constructor's arguments from the return value of `parameters_to_save`."""
    arguments, model = SetFitModelArguments(**parameters["setfit_model_args"]), dict(parameters["model_kwargs"])
    if isinstance(model.get("cache_dir"), str):
        model["cache_dir"] = str(Path(model["cache_dir"]).expanduser())
    return {**parameters, "setfit_model_args": arguments, "model_kwargs": model}


def values_to_save(state: SetFitState, validation: tuple[float, float] | None) -> dict[str, Any]:
    """Return the further values of a training that the manifest holds."""
    max_length, head_training = state.tokenizer.max_length, asdict(state.head_training)
    return {"max_length": max_length, "validation": validation, "head_training": head_training}


def write_state(state: SetFitState, folder: Path) -> None:
    """Write the network, and the tokenizer that is part of it."""
    with quiet_libraries():
        state.network.body.save(str(folder), create_model_card=False, safe_serialization=True)
    pretrained_files.tidy(folder, transformers)
    head = state.network.head
    save_file({"weight": head.weight.cpu(), "bias": head.bias.cpu()}, str(folder / HEAD))


def check_head(folder: Path, num_classes: object) -> None:
    """Reject a saved classifier, with ModelFolderError, whose head does not fit its number of classes."""
    shapes = model_loading.shapes_of([folder / HEAD])
    weight, bias = shapes.get("weight", ()), shapes.get("bias", ())
    if shapes.keys() != {"weight", "bias"} or len(weight) != 2 or bias != weight[:1]:
        raise ModelFolderError(f"{folder / HEAD} holds no head: a weight and a bias. Save the model again.")
    if type(num_classes) is not int or num_classes != weight[0]:
        what = f"{folder / MANIFEST}, key 'parameters.constructor.num_classes': it holds {shown(num_classes, 100)}"
        raise ModelFolderError(f"{what}; allowed: {weight[0]}, for which there is a head. Save the model again.")


def read_state(
    folder: Path, manifest: Manifest, loss: Loss, head_training: HeadTrainingArgs, *, normalize: bool
) -> SetFitState:
    """Load the state that `write_state` saved, on the CPU; the head was checked by `check_head`.

    `head_training` is for manifests of earlier versions, which do not say how the head was trained.
    """
    num_classes, dimensions = model_loading.shapes_of([folder / HEAD])["weight"]
    with TorchRandomness(0, torch.device("cpu")).as_global():
        body = load_saved_body(folder, dimensions)
    tokenizer = SentenceTokenizer.of(body, saved_value(manifest, "max_length", int))
    network = make_network(body, tokenizer, num_classes, normalize)
    network.head.load_state_dict(load_file(str(folder / HEAD)))
    network.requires_grad_(requires_grad=False).eval()
    if manifest.parameters.get("head_training") is not None:
        saved = saved_value(manifest, "head_training", dict)
        head_training = HeadTrainingArgs(
            int(check_within("head_training.num_epochs", saved["num_epochs"], 0)),
            check_positive("head_training.learning_rate", saved["learning_rate"]),
            check_within("head_training.l2_weight", saved["l2_weight"], 0),
        )
    cache = EmbeddingCache.of([], np.empty((0, dimensions), dtype=np.float32))
    return SetFitState(tokenizer, network, loss, manifest.names, cache, head_training)


def read_validation(manifest: Manifest) -> tuple[float, float] | None:
    """Return loss and accuracy on the validation set of `fit`, if there was one."""
    saved = saved_value(manifest, "validation", list, type(None))
    if saved is None:
        return None
    loss, accuracy = saved
    return check_within("validation", loss, 0), check_within("validation", accuracy, 0, 1)


def check_setfit_form(num_classes: int) -> None:
    """Reject to write a model of setfit for a single label."""
    if num_classes == 1:
        raise InvalidInputError(
            "for_setfit",
            "True, where there is a single label (multi_label=True, num_classes=1)",
            "False, or two labels or more",
            "The heads of setfit tell two classes apart, or several labels; none is for one label.",
        )


def write_setfit_form(state: SetFitState, folder: Path, *, differentiable: bool) -> None:
    """Write the files by which `SetFitModel` reads the folder; its head is a pickle, which is never read here."""
    names = None if state.label_names is None else list(state.label_names.names)
    labels = None if state.loss.multi_label else names
    config = {"normalize_embeddings": state.network.normalize, "labels": labels}
    (folder / SETFIT_CONFIG).write_text(json.dumps(config, indent=2), encoding="utf-8")
    convert = _as_setfit_head if differentiable else _as_logistic_regression
    joblib.dump(convert(state.network.head, state.loss.multi_label), folder / SETFIT_HEAD)


def _as_setfit_head(head: nn.Linear, multi_label: bool) -> Any:
    from smalltext_setfit._trainer import SetFitHead

    with TorchRandomness(0, torch.device("cpu")).as_global():
        converted = SetFitHead(head.in_features, head.out_features, eps=0.0, device="cpu", multitarget=multi_label)
    with torch.no_grad():
        converted.linear.weight.copy_(head.weight.cpu())
        converted.linear.bias.copy_(head.bias.cpu())
    return converted.eval()


def _as_logistic_regression(head: nn.Linear, multi_label: bool) -> Any:
    """Return a LogisticRegression; multi-label, one for each label."""
    weight = head.weight.detach().cpu().numpy().astype(np.float64)
    bias = head.bias.detach().cpu().numpy().astype(np.float64)
    if not multi_label:
        return _regression(weight, bias)
    combined = OneVsRestClassifier(LogisticRegression())
    combined.estimators_ = [
        _regression(np.stack([np.zeros_like(row), row]), np.array([0.0, value]))
        for row, value in zip(weight, bias, strict=True)
    ]
    combined.label_binarizer_ = LabelBinarizer(sparse_output=True).fit(np.eye(len(bias), dtype=int))
    combined.classes_ = combined.label_binarizer_.classes_
    return combined


def _regression(weight: NDArray[np.float64], bias: NDArray[np.float64]) -> LogisticRegression:
    """Return a fitted LogisticRegression; of two classes scikit-learn keeps only the difference."""
    classes = np.arange(len(bias))
    if len(bias) == 2:
        weight, bias = weight[1:] - weight[:1], bias[1:] - bias[:1]
    regression = LogisticRegression()
    regression.classes_, regression.coef_, regression.intercept_ = classes, weight, bias
    regression.n_features_in_ = weight.shape[1]
    regression.n_iter_ = np.zeros(1, dtype=np.int32)
    return regression
