"""Texts per second of each engine, and per CPU second of all its processes, including the start of workers.

    hatch run engines:speed [TEXTS [BACKEND ...]]

Print a table row for each engine and backend, after comparing labels and probabilities.
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import threading
import time
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import psutil

from smalltext_scale import BatchScorer

sys.path.insert(0, str(Path(__file__).parents[1]))

from engines import engines, scored_models

WORKERS = 2


def processes(scorer: BatchScorer, file: Path, workers: int) -> pd.DataFrame:
    """Score with `predict_iter(workers=N)`."""
    frame = pd.read_parquet(file)
    found = list(scorer.predict_iter(frame["text"], workers=workers))
    added = {"label": [one.label for one in found], "score": [one.score for one in found]}
    proba = {f"proba_{name}": [one.proba[name] for one in found if one.proba] for name in found[0].proba or ()}
    return frame.assign(**added, **proba)


class ProcessTimes:
    """The CPU seconds of this process and all its descendants, including those that end."""

    def __init__(self) -> None:
        self._times: dict[tuple[int, float], float] = {}
        self._me = psutil.Process()
        self._ended = threading.Event()
        self._look()
        self._before = dict(self._times)
        self._own = time.process_time()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        while not self._ended.wait(0.5):
            self._look()

    def _look(self) -> None:
        for one in self._me.children(recursive=True):
            with contextlib.suppress(psutil.Error):
                used = one.cpu_times()
                self._times[one.pid, one.create_time()] = used.user + used.system

    def end(self) -> float:
        """Return the seconds since this object was created."""
        self._ended.set()
        self._thread.join()
        return time.process_time() - self._own + sum(self._times.values()) - sum(self._before.values())


def measured(run: engines.Run, scorer: BatchScorer, file: Path, workers: int) -> tuple[float, float, pd.DataFrame]:
    """Return seconds, CPU seconds and the result of a run."""
    begin = time.perf_counter()
    times = ProcessTimes()
    scored = run(scorer, file, workers)
    return time.perf_counter() - begin, times.end(), scored


def main() -> None:
    """Measure the installed engines."""
    texts = int(sys.argv[1]) if len(sys.argv) > 1 else 50_000
    print(f"{texts:,} texts, {WORKERS} workers, {os.cpu_count()} cores, Python {sys.version.split()[0]}")
    units = [f"{who}, texts/{unit}" for unit in ("s", "CPU s") for who in ("one process", "engine")]
    print("|", " | ".join(["engine", "backend", *units, "load", "differences"]), "|")
    chosen = {"workers=2": ("smalltext_scale", processes), **engines.ENGINES}
    for backend in sys.argv[2:] or ["sklearn", "embeddings"]:
        with tempfile.TemporaryDirectory() as folder:
            scorer = BatchScorer(scored_models.save_model(backend, Path(folder)), proba=True)
            scorer({"text": ["load it"]})
            for name, (module, run) in chosen.items():
                if find_spec(module.partition(".")[0]) is None:
                    continue
                with tempfile.TemporaryDirectory() as place:
                    file = scored_models.write_texts(Path(place), texts)
                    before, cpu_before, alone = measured(engines.in_one_process, scorer, file, 1)
                    taken, cpu_taken, scored = measured(run, scorer, file, WORKERS)
                    scored = scored.sort_values("id").reset_index(drop=True)
                    assert scored["id"].tolist() == alone["id"].tolist()
                    numbers = [one for one in alone if one.startswith("proba_")]
                    largest = float(np.abs(scored[numbers].to_numpy() - alone[numbers].to_numpy()).max())
                    other = int((scored["label"].to_numpy() != alone["label"].to_numpy()).sum())
                rates = " | ".join(f"{texts / one:,.0f}" for one in (before, taken, cpu_before, cpu_taken))
                distribution = {"spark": "pyspark", "mlflow": "mlflow-skinny"}.get(name, name)
                release = "" if name == "workers=2" else " " + version(distribution)
                load = f"{os.getloadavg()[0]:.1f}"
                print(
                    f"| {name}{release} | {backend} | {rates} | {load} | {other} labels, {largest:.1g} differ",
                    flush=True,
                )


if __name__ == "__main__":
    main()
