"""Saved classifiers: constructor arguments as JSON, values from a manifest, and a trial prediction.

A folder may be untrusted, so every value that is read from it is checked.
"""

from __future__ import annotations

import inspect
import json
import math
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from smalltext_core.calibration import Calibration
from smalltext_core.classifier import ProbabilisticClassifier
from smalltext_core.dataset import TextDataset
from smalltext_core.errors import ModelFolderError, PluginError, SmallTextError
from smalltext_core.messages import one_line, shown
from smalltext_core.saving import MANIFEST, Manifest
from smalltext_torch.inference import Loss
from smalltext_torch.progress import no_progress_bars

_CHARACTERS = "".join(
    chr(code) for code in (*range(0x21, 0x3000, 41), *range(0x3041, 0xD7A0, 997), 0x1F44D, 0x1F600)
)
"""Characters of many scripts."""

SMOKE_TESTS = (
    (
        "a",
        "Hello, WORLD! It's 12.5 % of 3, don't you think?",
        "",
        _CHARACTERS,
        " ".join(_CHARACTERS),
        "\N{COMBINING ACUTE ACCENT}",
    ),
    ("goal 1 the " * 200, "a b c d e f g"),
    ("",),
    ("a b",),
    ("a b c",),
)
"""Batches of texts for `smoke_test`: of many scripts, longer than models take, and of several lengths."""


def constructor_parameters(classifier: object) -> dict[str, Any]:
    """Return the constructor's arguments from the attributes of the same names; PluginError if one is missing."""
    names = [name for name in inspect.signature(type(classifier).__init__).parameters if name != "self"]
    for name in names:
        if not hasattr(classifier, name):
            raise PluginError(f"{type(classifier).__name__}.__init__() must keep its argument as self.{name}.")
    return {name: getattr(classifier, name) for name in names}


def to_json(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return parameters as JSON values for a manifest, or raise PluginError for one that JSON cannot hold."""
    held = {name: _to_json(value) for name, value in parameters.items()}
    class_weight = parameters.get("class_weight")
    if isinstance(class_weight, Mapping):  # as pairs, since the keys of a JSON object are strings
        held["class_weight"] = [[_to_json(label), float(weight)] for label, weight in class_weight.items()]
    for name, value in held.items():
        _check_json(name, value)
    return held


def _check_json(name: str, value: object) -> None:
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError) as error:
        what = f"The parameter {name} is {shown(value)}, which JSON cannot hold, so it cannot be saved"
        raise PluginError(f"{what} ({error}). Pass a number, a string, or a list or mapping of these.") from error


def _to_json(value: Any) -> Any:
    if isinstance(value, torch.device):
        return str(value)
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return {str(key): _to_json(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_to_json(inner) for inner in value]
    return value


def from_json(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Restore the output of `to_json`; earlier versions wrote class numbers as strings and precision as a flag."""
    restored = dict(parameters)
    if restored.pop("mixed_precision", None):
        restored["precision"] = "auto"
    if isinstance(restored.get("class_weight"), Mapping):
        restored["class_weight"] = {int(label): weight for label, weight in restored["class_weight"].items()}
    elif isinstance(restored.get("class_weight"), list):
        restored["class_weight"] = {label: float(weight) for label, weight in restored["class_weight"]}
    return restored


def saved_value(manifest: Manifest, name: str, *types: type) -> Any:
    """Return a parameter from a manifest.

    Raises
    ------
    ModelFolderError
        If it is missing or has the wrong type.
    """
    value = manifest.parameters.get(name)
    if type(value) not in types or name not in manifest.parameters:
        raise _parameter_error(name, value, " or ".join(kind.__name__ for kind in types))
    return value


def saved_class_weights(manifest: Manifest, num_classes: int) -> NDArray[np.float64] | None:
    """Return the class weights of a saved classifier, shape (num_classes,), if it has any.

    Raises
    ------
    ModelFolderError
        If they are not one finite number, 0 or above, for each class.
    """
    weights = saved_value(manifest, "class_weights", list, type(None))
    if weights is None:
        return None
    valid = all(type(weight) in (int, float) and 0 <= weight < math.inf for weight in weights)
    if not valid or len(weights) != num_classes:
        raise _parameter_error("class_weights", weights, f"{num_classes} finite numbers, 0 or above")
    return np.array(weights, dtype=np.float64)


def saved_thresholds(manifest: Manifest, num_classes: int) -> NDArray[np.float64] | None:
    """Return the class thresholds that `fit` chose, if any.

    Raises
    ------
    ModelFolderError
        If they are not one number from 0 to below 1 for each class.
    """
    if manifest.parameters.get("thresholds") is None:  # folders of earlier versions have no thresholds
        return None
    thresholds = saved_value(manifest, "thresholds", list)
    valid = all(type(threshold) in (int, float) and 0 <= threshold < 1 for threshold in thresholds)
    if not valid or len(thresholds) != num_classes:
        raise _parameter_error("thresholds", thresholds, f"{num_classes} numbers from 0 to below 1")
    return np.array(thresholds, dtype=np.float64)


def calibration_to_json(calibration: Calibration | None, thresholds: NDArray[np.float64] | None) -> dict[str, Any]:
    """Return the calibration and the thresholds that `fit` chose, if any, for `with_saved_calibration` to read."""
    return {
        "calibration": None if calibration is None else calibration.to_json(),
        "thresholds": None if thresholds is None else thresholds.tolist(),
    }


def with_saved_calibration(loss: Loss, manifest: Manifest, num_classes: int) -> Loss:
    """Return a loss with the calibration and the thresholds of a saved classifier, absent in earlier versions.

    Raises
    ------
    ModelFolderError
        If they are not valid.
    """
    calibration = Calibration.from_json(manifest.parameters.get("calibration"), num_classes, loss.multi_label)
    thresholds = saved_thresholds(manifest, num_classes)
    threshold = loss.threshold if thresholds is None else thresholds
    return replace(loss, calibration=calibration, threshold=threshold)


def _parameter_error(name: str, value: object, allowed: str) -> ModelFolderError:
    what = f"{MANIFEST}, key {shown(f'parameters.{name}')}: it holds {shown(value, 100)}; allowed: {allowed}"
    return ModelFolderError(f"{what}. Save the model again.")


@contextmanager
def as_model_folder_errors(folder: Path) -> Iterator[None]:
    """Convert errors about invalid values, which come from the folder, to ModelFolderError."""
    try:
        yield
    except ModelFolderError:
        raise
    except SmallTextError as error:
        what = f"{folder} is damaged, or was written by another version: {one_line(str(error))}"
        raise ModelFolderError(f"{what} Save the model again.") from error


def smoke_test(classifier: ProbabilisticClassifier) -> None:
    """Classify a few texts with a loaded classifier.

    Raises
    ------
    ModelFolderError
        If there are not finite probabilities for all classes.
    Exception
        Any other exception of an unusable network or tokenizer.
    """
    sampled: Any = classifier.predict_proba
    with warnings.catch_warnings(), no_progress_bars():
        warnings.simplefilter("ignore")
        for texts in SMOKE_TESTS:
            _check(classifier, classifier.predict_proba(TextDataset(texts)), len(texts))
        some = TextDataset(SMOKE_TESTS[0][:2])
        _check(classifier, sampled(some, dropout_sampling=2)[:, 0], len(some))
        embed = getattr(classifier, "embed", None)
        if embed is not None:
            embedded = np.asarray(embed(some))
            if embedded.shape[:1] != (len(some),) or not np.isfinite(embedded).all():
                raise ModelFolderError("The saved model embeds texts as numbers that are not finite.")


def _check(classifier: ProbabilisticClassifier, proba: NDArray[np.float32], texts: int) -> None:
    if proba.shape != (texts, classifier.num_classes) or not np.isfinite(proba).all():
        what = f"The saved model does not give {classifier.num_classes} finite probabilities for a text"
        raise ModelFolderError(f"{what}. Copy the folder again, or save the model again.")
