"""What `smalltext train` records in a model folder beside the model: when, on which texts, with which versions."""

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
"""The name of the file in a model folder."""

SCORES = "scores.json"
"""The name of the file in a model folder that holds its scores."""

_LIBRARIES = {
    "numpy": "numpy",
    "sklearn": "scikit-learn",
    "torch": "torch",
    "transformers": "transformers",
    "sentence_transformers": "sentence-transformers",
    "setfit": "setfit",
    "model2vec": "model2vec",
}
"""Libraries whose versions are recorded if they were used, by the names of their modules."""


def training_record(distribution: str, labels: Iterable[Label], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the record of a training: date, texts of each class, settings and versions.

    The date is that of the environment variable SOURCE_DATE_EPOCH, if that is set, for
    builds that are repeated.
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
    except PackageNotFoundError:  # a plugin that a program has registered
        return "unknown"


def as_json_file(content: Mapping[str, Any]) -> bytes:
    """Return the content of a file of JSON."""
    return f"{json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)}\n".encode()


def json_in_model(folder: str, manifest: Manifest, name: str) -> Any:
    """Return what `train` has recorded in a file of a model folder; None if there is no such file.

    InputFileError is raised if it does not hold a JSON object.
    """
    if name not in manifest.files:
        return None
    path = Path(folder, name)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise InputFileError(str(path), "this is no JSON object", "Train the model again, which writes it anew.")
    return content
