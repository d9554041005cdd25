"""The form in which setfit itself keeps a model: for those who want to use theirs without this package.

setfit reads the head as a pickle. It is written where the caller asks for it, and never read here.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.preprocessing import LabelBinarizer
from torch import nn

from smalltext_core.errors import InvalidInputError
from smalltext_setfit.fitted import Fitted
from smalltext_torch.randomness import TorchRandomness

CONFIG, HEAD = "config_setfit.json", "model_head.pkl"


def check_form(num_classes: int) -> None:
    """Refuse what setfit has no form for."""
    if num_classes == 1:
        raise InvalidInputError(
            "for_setfit",
            "True, where there is a single label (multi_label=True, num_classes=1)",
            "False, or two labels or more",
            "The heads of setfit tell two classes apart, or several labels; none is for one label.",
        )


def write_form(fitted: Fitted, differentiable: bool, folder: Path) -> None:
    """Write what makes the folder of a sentence transformer one of `SetFitModel` as well."""
    names = None if fitted.label_names is None else list(fitted.label_names.names)
    labels = None if fitted.loss.multi_label else names
    config = {"normalize_embeddings": fitted.network.normalize, "labels": labels}
    (folder / CONFIG).write_text(json.dumps(config, indent=2), encoding="utf-8")
    joblib.dump(as_setfit_head(fitted.network.head, differentiable, fitted.loss.multi_label), folder / HEAD)


def as_setfit_head(head: nn.Linear, differentiable: bool, multi_label: bool) -> Any:
    """Return a head as setfit has it: its own, or a LogisticRegression; multi-label, one for each label."""
    if differentiable:
        return _differentiable(head, multi_label)
    weight = head.weight.detach().cpu().numpy().astype(np.float64)
    bias = head.bias.detach().cpu().numpy().astype(np.float64)
    if not multi_label:
        return _regression(weight, bias)
    several = OneVsRestClassifier(LogisticRegression())
    several.estimators_ = [_one_or_other(weight[k], bias[k]) for k in range(len(bias))]
    several.label_binarizer_ = LabelBinarizer(sparse_output=True).fit(np.eye(len(bias), dtype=int))
    several.classes_ = several.label_binarizer_.classes_
    return several


def _differentiable(head: nn.Linear, multi_label: bool) -> Any:
    from smalltext_setfit.setfit_library import SetFitHead

    with TorchRandomness(0, torch.device("cpu")).lent():
        theirs = SetFitHead(head.in_features, head.out_features, eps=0.0, device="cpu", multitarget=multi_label)
    with torch.no_grad():
        theirs.linear.weight.copy_(head.weight.cpu())
        theirs.linear.bias.copy_(head.bias.cpu())
    return theirs.eval()


def _regression(weight: NDArray[np.float64], bias: NDArray[np.float64]) -> LogisticRegression:
    """Return a LogisticRegression over all classes; scikit-learn keeps only the difference of two."""
    if len(bias) == 2:
        weight, bias = weight[1:] - weight[:1], bias[1:] - bias[:1]
        classes = np.arange(2)
    else:
        classes = np.arange(len(bias))
    regression = LogisticRegression()
    regression.classes_, regression.coef_, regression.intercept_ = classes, weight, bias
    regression.n_features_in_ = weight.shape[1]
    regression.n_iter_ = np.zeros(1, dtype=np.int32)
    return regression


def _one_or_other(weight: NDArray[np.float64], bias: np.float64) -> LogisticRegression:
    return _regression(np.stack([np.zeros_like(weight), weight]), np.array([0.0, bias]))
