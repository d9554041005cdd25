"""The process of a simulation: rounds of training, scoring and choosing the next texts to label."""

from __future__ import annotations

import json
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from smalltext_cli.compare.measuring import cpu_seconds, dataset, fit_classifier, peak_memory, scored, timed
from smalltext_cli.query_strategies import query
from smalltext_core import TextDataset


def simulate_rounds(request: dict[str, Any]) -> dict[str, Any]:
    """Run active learning on a pool with known labels; return the scores after each round.

    Finished rounds are appended to the file ``rounds_file`` of the request, and are not repeated. The classifier
    is trained from scratch in each round, and each round has its own seed, so that a resumed simulation has the
    same results as an uninterrupted one.
    """
    file = Path(request["rounds_file"])
    pool, held_out = dataset(request, "train"), dataset(request, "held_out")
    rounds = _finished_rounds(file, len(request["first"]))
    labelled = [*request["first"], *(row for one in rounds for row in one["queried"])]
    begin = time.perf_counter()
    for number in range(len(rounds), request["rounds"] + 1):
        rounds.append(_round(request, pool, held_out, labelled, number))
        labelled += rounds[-1]["queried"]
        with file.open("a", encoding="utf-8") as log:
            log.write(json.dumps(rounds[-1]) + "\n")
            log.flush()
            os.fsync(log.fileno())
    seconds = time.perf_counter() - begin
    return {"rounds": rounds, "train_seconds": round(seconds, 3), "peak_memory_bytes": peak_memory()}


def _round(
    request: dict[str, Any], pool: TextDataset, held_out: TextDataset, labelled: list[int], number: int
) -> dict[str, Any]:
    rows = np.array(labelled, dtype=np.intp)
    train = pool[rows].clone()
    classifier, training = timed(lambda: fit_classifier(request, train, rows), cpu_seconds)
    found = scored(classifier, held_out, classifier.predict_proba(held_out))
    queried: list[int] = []
    choosing = 0.0
    if number < request["rounds"]:
        queried, choosing = timed(
            lambda: query(
                request["strategy"],
                classifier,
                TextDataset(list(pool.x)),
                labelled=rows,
                y=train.y,
                count=request["batch"],
                seed=request["draw"] * 100_003 + number,
            ),
            cpu_seconds,
        )
    return {
        **found,
        "labelled": len(labelled),
        "train_cpu_seconds": training,
        "query_cpu_seconds": choosing,
        "queried": queried,
    }


def _finished_rounds(file: Path, first: int) -> list[dict[str, Any]]:
    """Read the finished rounds of an interrupted simulation, dropping an incomplete last line.

    If the same simulation ran twice at the same time, both processes appended to the file: further copies of a
    round are dropped too, as are lines that both wrote into. The number of labelled texts identifies a round.
    """
    if not file.exists():
        return []
    whole, _, rest = file.read_text(encoding="utf-8").rpartition("\n")
    if rest:
        file.write_text(f"{whole}\n" if whole else "", encoding="utf-8")
    rounds: list[dict[str, Any]] = []
    labelled = first
    for line in whole.splitlines():
        with suppress(ValueError):
            one = json.loads(line)
            if one["labelled"] == labelled and (not rounds or rounds[-1]["queried"]):
                rounds.append(one)
                labelled += len(one["queried"])
    return rounds
