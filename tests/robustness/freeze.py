"""Write the frozen folders: models saved by the first release of each package, and their predictions.

Run it once for each release whose folders are to remain loadable, in the folder of the tests:

    python -m robustness.freeze [NAME ...]

An existing folder is never overwritten: it represents the models of users.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

from robustness import backends
from smalltext_core import TextDataset, create_classifier
from smalltext_core.saving import read_manifest
from smalltext_testing.sample_data import training_texts

FROZEN = Path(__file__).parent / "frozen"
EXPECTED = "expected.json"
TEXTS = (
    "the goal and the team made the match a great player",
    "a recipe near the oven saw that butter",
    "rocket after planet was about orbit and about moon, don't you think?",
    "",
    "今天 grüße 3.5 😀",
    "goal goal goal " * 40,
)


def freeze(name: str, *, multi_label: bool) -> Path:
    """Train a small classifier, and write its folder and, next to it, its predictions."""
    folder = FROZEN / f"{name}-{'multi' if multi_label else 'single'}-label"
    if folder.exists():
        raise SystemExit(f"{folder} is frozen already.")
    parameters = {**backends.parameters(name), **({} if name == "setfit" else {"class_weight": "balanced"})}
    with tempfile.TemporaryDirectory() as room:
        os.chdir(room)
        if "model" in parameters:
            shutil.copytree(parameters["model"], "tiny-bert")
            parameters["model"] = "./tiny-bert"  # the saved path, of no machine
        classifier = create_classifier(name, 3, multi_label=multi_label, seed=1, **parameters)
        classifier.fit(training_texts(3, multi_label=multi_label))
        classifier.save(folder / "model")
        os.chdir(FROZEN)
    manifest = read_manifest(folder / "model")
    labels, proba = classifier.predict(TextDataset(TEXTS), return_proba=True)
    expected = {
        "version": manifest.version,
        "texts": TEXTS,
        "probabilities": proba.astype(float).round(8).tolist(),
        "labels": (labels.toarray() if multi_label else labels).tolist(),
    }
    (folder / EXPECTED).write_text(json.dumps(expected, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return folder


if __name__ == "__main__":
    for chosen in sys.argv[1:] or backends.NAMES:
        for several in (False, True):
            freeze(chosen, multi_label=several)
