"""Measurements of cells: scores, CPU time and memory of the classifier of a request."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from smalltext_cli.evaluation import thresholds_of
from smalltext_cli.metrics import score
from smalltext_cli.parameters import builder_parameters, parse_values
from smalltext_core import AnyClassifier, LabelNames, TextDataset, classifier_spec, create_classifier
from smalltext_core.labels import Labels, is_multi_label, list_to_csr
from smalltext_core.probabilities import to_labels

MEASURES = ("accuracy", "macro_f1", "micro_f1", "log_loss", "expected_calibration_error", "brier")
"""The scores stored for each training, as in `smalltext_cli.metrics.Scores`."""

T = TypeVar("T")


def new_classifier(request: dict[str, Any]) -> AnyClassifier:
    """Create the classifier of a request, parsing its parameters."""
    name, names = request["classifier"], LabelNames(tuple(request["names"]))
    parameters = builder_parameters(classifier_spec(name).resolve("builder"))
    values = parse_values(parameters, request["settings"], names)
    return cast("AnyClassifier", create_classifier(name, len(names), multi_label=request["multi_label"], **values))


def fit_classifier(
    request: dict[str, Any], train: TextDataset, rows: NDArray[np.intp] | None = None
) -> AnyClassifier:
    """Train a new classifier on the training texts of a request or some of their rows, with their weights."""
    weights = request["train"].get("weights")
    if weights is None:
        return new_classifier(request).fit(train)
    chosen = np.array(weights)[slice(None) if rows is None else rows]
    return new_classifier(request).fit(train, weights=chosen)


def dataset(request: dict[str, Any], part: str) -> TextDataset:
    """Return the training texts or the held-out texts of a request."""
    names = LabelNames(tuple(request["names"]))
    labels = request[part]["labels"]
    y: Labels = list_to_csr(labels, len(names)) if request["multi_label"] else np.array(labels, dtype=np.int64)
    return TextDataset(request[part]["texts"], y, label_names=names)


def scored(classifier: AnyClassifier, held_out: TextDataset, proba: NDArray[np.float32]) -> dict[str, Any]:
    """Return the scores of probabilities, and the predicted classes with their confidence, as JSON values."""
    multi_label = held_out.is_multi_label
    thresholds = np.asarray(thresholds_of(classifier)).tolist()
    scores = score(held_out.y, proba, multi_label=multi_label, threshold=thresholds)
    predicted = to_labels(proba, multi_label, thresholds)
    return {
        **{name: float(getattr(scores, name)) for name in MEASURES},
        "predicted": class_numbers(predicted),
        "confidence": [round(float(one), 4) for one in proba.max(axis=1)],
    }


def class_numbers(labels: Labels) -> list[Any]:
    """Return labels as JSON values: class numbers, or (multi-label) lists of class numbers."""
    if is_multi_label(labels):
        return [
            sorted(labels.indices[labels.indptr[row] : labels.indptr[row + 1]].tolist())
            for row in range(labels.shape[0])
        ]
    return cast("list[Any]", np.asarray(labels).tolist())


def timed(action: Callable[[], T], clock: Callable[[], float]) -> tuple[T, float]:
    """Call a function; return its result and the time that elapsed on a clock."""
    begin = clock()
    result = action()
    return result, clock() - begin


def altered(data: TextDataset) -> TextDataset:
    """Return texts that differ in one character from the originals, which a classifier may have cached."""
    return TextDataset([f"{text} ." for text in data.x], data.y, label_names=data.label_names)


def cpu_seconds() -> float:
    """Return the CPU time of this process and of its child processes that have ended.

    os.times() counts in hundredths of a second, too coarsely for a short training in this process.
    """
    return time.process_time() + sum(os.times()[2:4])


def peak_memory() -> int | None:
    """Return the peak resident memory of this process in bytes; None if unavailable.

    On Linux, getrusage() also counts the memory of the parent process at the time of the fork; /proc does not.
    """
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
        return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) * 1024
    except (OSError, StopIteration):
        pass
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
