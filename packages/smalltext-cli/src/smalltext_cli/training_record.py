"""The record of a training in a model folder: when, on which texts, and with which versions."""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Iterable, Mapping
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from smalltext_cli.console import InputFileError, jsonable
from smalltext_cli.data_checks import class_counts
from smalltext_cli.readers import Label
from smalltext_core.saving import Manifest

TRAINING = "training.json"
"""The name of the record in a model folder."""

SCORES = "scores.json"
"""The name of the file with the scores in a model folder."""

_LIBRARIES = {
    "numpy": "numpy",
    "sklearn": "scikit-learn",
    "torch": "torch",
    "transformers": "transformers",
    "sentence_transformers": "sentence-transformers",
    "setfit": "setfit",
    "model2vec": "model2vec",
}
"""Libraries whose versions are recorded if they were used, by module name."""


def training_record(distribution: str, labels: Iterable[Label], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the record of a training: date, number of texts per class, settings and versions.

    For reproducible builds, the date is taken from the environment variable SOURCE_DATE_EPOCH if it is set.
    """
    given = list(labels)
    now = os.environ.get("SOURCE_DATE_EPOCH")
    trained_at = datetime.now(timezone.utc) if now is None else datetime.fromtimestamp(int(now), timezone.utc)
    packages = ["smalltext-cli", "smalltext-core", distribution]
    packages += [package for module, package in _LIBRARIES.items() if module in sys.modules]
    return {
        "trained_at": trained_at.isoformat(timespec="seconds"),
        "texts": len(given),
        "classes": dict(sorted(class_counts(given).items())),
        "settings": jsonable(dict(settings)),
        "versions": {"python": platform.python_version(), **{name: _version(name) for name in packages}},
    }


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:  # a plugin registered by a program
        return "unknown"


def as_json_file(content: Mapping[str, Any]) -> bytes:
    """Return the content of a JSON file."""
    return f"{json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)}\n".encode()


def json_in_model(folder: str, manifest: Manifest, name: str) -> Any:
    """Return the content of a JSON file that `train` wrote to a model folder; None if there is none.

    InputFileError is raised if the file does not hold a JSON object.
    """
    if name not in manifest.files:
        return None
    path = Path(folder, name)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise InputFileError(str(path), "this is not a JSON object", "Train the model again to rewrite it.")
    return content
