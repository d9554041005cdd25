"""The process of a cell: read the request, train and measure, and write the result."""

from __future__ import annotations

import json
import os
import tempfile
import threading
import time
from pathlib import Path
from typing import Any, cast

from smalltext_cli.compare.measuring import (
    altered,
    cpu_seconds,
    dataset,
    fit_classifier,
    peak_memory,
    scored,
    timed,
)
from smalltext_core import AnyClassifier, Saving, classifier_spec
from smalltext_core.errors import ModelNotSavedError

REQUEST, RESULT = "request.json", "result.json"
"""The files in the working folder of a cell."""

_SHORT_TRAINING, _SHORT_PREDICTION = 5.0, 1.0
"""In seconds. Shorter calls are timed again, since the first call also loads libraries."""


def main(folder: str) -> None:
    """Run the cell whose request is in a folder, and write its result there."""
    threading.Thread(target=_end_with_the_parent, daemon=True).start()
    place = Path(folder)
    try:
        request = json.loads((place / REQUEST).read_bytes())
        result = outcome(request)
    except MemoryError:
        result = {"error": "it ran out of memory"}
    except Exception as error:  # any exception becomes the result
        result = {"error": f"{type(error).__name__}: {error}".strip().rstrip(":")}
    (place / "unfinished.json").write_text(json.dumps(result), encoding="utf-8")
    (place / "unfinished.json").replace(place / RESULT)


def _end_with_the_parent() -> None:
    """End this process once the pipe from the parent is closed, even if the parent was killed."""
    os.read(0, 1)
    os._exit(1)


def outcome(request: dict[str, Any]) -> dict[str, Any]:
    """Train and measure the classifier of a request; see `smalltext_cli.compare.cells`."""
    if request["task"] == "simulate":
        from smalltext_cli.compare.rounds import simulate_rounds

        return simulate_rounds(request)
    return _train_and_score(request)


def _train_and_score(request: dict[str, Any]) -> dict[str, Any]:
    train, held_out = dataset(request, "train"), dataset(request, "held_out")
    begin = time.perf_counter()
    classifier, training = timed(lambda: fit_classifier(request, train), cpu_seconds)
    if training < _SHORT_TRAINING:
        _, training = timed(lambda: fit_classifier(request, altered(train)), cpu_seconds)
    train_seconds = time.perf_counter() - begin
    proba, seconds = timed(lambda: classifier.predict_proba(held_out), time.perf_counter)
    if seconds < _SHORT_PREDICTION:
        _, seconds = timed(lambda: classifier.predict_proba(altered(held_out)), time.perf_counter)
    return {
        **scored(classifier, held_out, proba),
        "train_cpu_seconds": training,
        "train_seconds": round(train_seconds, 3),
        "texts_per_second": len(held_out) / max(seconds, 1e-9),
        "peak_memory_bytes": peak_memory(),
        "size_bytes": _saved_size(classifier, request["classifier"]),
    }


def _saved_size(classifier: AnyClassifier, name: str) -> int | None:
    if "save" not in classifier_spec(name).abilities:
        return None
    with tempfile.TemporaryDirectory(prefix="smalltext-") as folder:
        model = Path(folder, "model")
        try:
            cast("Saving", classifier).save(model)
        except ModelNotSavedError:  # the disk for temporary files is too small; the other figures are known
            return None
        return sum(path.stat().st_size for path in model.rglob("*") if path.is_file())
