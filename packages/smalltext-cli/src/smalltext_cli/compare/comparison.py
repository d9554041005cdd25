"""One run of `smalltext compare`: choose classifiers and training sets, run the cells, write what they show."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from smalltext_cli.compare.candidates import Candidate, check_class_weights, chosen_candidates
from smalltext_cli.compare.cells import Cell, CellFolder, Result, cell_key, digest
from smalltext_cli.compare.intervals import DIFFERENCE_INTERVAL, INTERVAL
from smalltext_cli.compare.runner import run_cells
from smalltext_cli.compare.sampling import (
    Texts,
    described_shots,
    parse_shots,
    possible_shots,
    read_texts,
    training_rows,
)
from smalltext_cli.compare.summary import FIGURES, METRIC_NAMES, Summary
from smalltext_cli.console import note
from smalltext_cli.readers import Reader
from smalltext_cli.writers import write_file

RESULTS, TABLE, REPORT = "results.json", "results.csv", "report.html"
"""The files that a comparison or a simulation writes into its folder, next to its cells."""

_COLUMNS = ("classifier", "shots", "repeat", "training_texts")


class Comparison:
    """A comparison whose options have been checked, before any data is read.

    The parameters are those of the command. `run` sets `texts`, `shots` and `summary`.

    Raises
    ------
    SmallTextError
        If options contradict one another, the classifiers or the folder.
    """

    texts: Texts
    shots: list[int | str]
    summary: Summary

    def __init__(
        self,
        data: str,
        reader: Reader,
        output: Path,
        *,
        classifiers: str | None = None,
        shots: str = "8,32,128,all",
        repeats: int = 5,
        settings: Sequence[str] = (),
        metric: str | None = None,
        held_out: float = 0.3,
        max_classes: int | None = None,
        seed: int = 0,
        device: str | None = None,
    ) -> None:
        self.kept = CellFolder(output, "cells")
        self.repeats, self.metric = repeats, metric or ("macro_f1" if reader.multi_label else "accuracy")
        self._given_shots = parse_shots(shots)
        self.candidates, left_out = chosen_candidates(
            classifiers, settings, multi_label=reader.multi_label, device=device
        )
        for sentence in left_out:
            note(sentence)
        self._data, self._reader, self._held_out = data, reader, held_out
        self._max_classes, self._seed = max_classes, seed

    def run(self, *, jobs: int = 1, backend: str | None = None, retry_failed: bool = False) -> None:
        """Run the cells that are missing, and write ``results.json`` and ``results.csv``."""
        self.texts = read_texts(
            self._reader, self._data, share=self._held_out, seed=self._seed, max_classes=self._max_classes
        )
        check_class_weights(self.candidates, self.texts.names)
        self.shots, notes = possible_shots(self.texts, self._given_shots)
        for sentence in notes:
            note(sentence)
        cells = self._cells()
        results = run_cells(self.kept, cells, describe_cell, jobs=jobs, backend=backend, retry_failed=retry_failed)
        finished = [(one.about, results[one.key]) for one in cells]
        self.summary = Summary(
            [one.name for one in self.candidates],
            self.shots,
            self.repeats,
            finished,
            metric=self.metric,
            truth=self.texts.numbers(self.texts.held_out.tolist()),
            num_classes=len(self.texts.names),
        )
        self._write(finished)

    def training_texts(self, shots: int | str) -> int:
        """Return the number of training texts for a number of texts a class; it differs little between repeats."""
        return len(training_rows(self.texts, shots, seed=self._seed, repeat=0))

    def _cells(self) -> list[Cell]:
        """Return the cells in the order in which they run: a whole curve of each repeat, small sets first."""
        held_out = self.texts.part(self.texts.held_out.tolist())
        held_out_digest = digest(held_out)
        found = []
        for repeat in range(self.repeats):
            for shots in self.shots:
                rows = training_rows(self.texts, shots, seed=self._seed, repeat=repeat)
                digests = {"train": digest(self.texts.part(rows)), "held_out": held_out_digest}
                for candidate in self.candidates:
                    about = {
                        "classifier": candidate.name,
                        "shots": shots,
                        "repeat": repeat,
                        "training_texts": len(rows),
                    }
                    seed = self._seed + repeat
                    key = cell_key({**self._settings(candidate, seed), **digests})
                    request = partial(self._request, candidate, rows, seed, held_out)
                    found.append(Cell(about, len(rows), key, request))
        return found

    def _request(
        self, candidate: Candidate, rows: list[int], seed: int, held_out: dict[str, Any]
    ) -> dict[str, Any]:
        return {**self._settings(candidate, seed), "train": self.texts.part(rows), "held_out": held_out}

    def _settings(self, candidate: Candidate, seed: int) -> dict[str, Any]:
        """Return what determines the result of a cell, apart from its texts."""
        return {
            "task": "compare",
            **candidate.as_dict(seed),
            "names": list(self.texts.names.names),
            "multi_label": self.texts.multi_label,
        }

    def document(self, finished: Iterable[tuple[Mapping[str, Any], Result]]) -> dict[str, Any]:
        """Return what ``results.json`` holds: settings, cells, means with intervals, and the conclusion."""
        summary = self.summary
        return {
            "conclusion": summary.conclusion(),
            "metric": self.metric,
            "intervals": {"means": INTERVAL, "leads": DIFFERENCE_INTERVAL},
            "data": described_data(self.texts),
            "classifiers": [one.as_dict(self._seed) for one in self.candidates],
            "repeats": self.repeats,
            "seed": self._seed,
            "means": [
                {
                    "classifier": place.classifier,
                    "shots": place.shots,
                    "finished": len(place.results),
                    "errors": [place.errors[repeat] for repeat in sorted(place.errors)],
                    **{
                        name: interval.as_dict()
                        for name in FIGURES
                        if (interval := place.interval(name)) is not None
                    },
                }
                for place in summary.places.values()
            ],
            "leads": [
                {"shots": shots, "best": summary.ranked(shots)[0], "other": other, **lead.as_dict()}
                for shots, leads in summary.leads.items()
                for other, lead in leads.items()
            ],
            "cells": [{**about, **result} for about, result in finished],
        }

    def _write(self, finished: list[tuple[dict[str, Any], Result]]) -> None:
        folder = self.kept.folder
        write_json(folder / RESULTS, self.document(finished))
        write_csv(folder / TABLE, (*_COLUMNS, *FIGURES, "seconds", "error"), finished)


def describe_cell(one: Cell, result: Result) -> str:
    """Return a line about a finished cell."""
    about = one.about
    what = f"{about['classifier']}, {described_shots(about['shots'])}, repeat {about['repeat'] + 1}"
    if "error" in result:
        return f"{what}: failed, {result['error']}"
    scores = ", ".join(f"{words} {result[name]:.3f}" for name, words in METRIC_NAMES.items())
    return f"{what}: {scores}, {result['seconds']:.0f} s"


def described_data(texts: Texts) -> dict[str, Any]:
    """Return where texts come from, how many there are, and which are held out, as JSON values."""
    return {
        "source": texts.source,
        "sha256": digest([list(texts.names.names), texts.part(range(len(texts.texts)))]),
        "texts": len(texts.texts),
        "classes": list(texts.names.names),
        "multi_label": texts.multi_label,
        "held_out_texts": len(texts.held_out),
        "held_out_rows": texts.held_out.tolist(),
    }


def write_json(path: Path, document: Mapping[str, Any]) -> None:
    """Write a JSON file completely, or leave the former one."""
    content = json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False)
    write_file(str(path), f"{content}\n".encode("utf-8", "replace"))


def write_csv(
    path: Path, columns: Sequence[str], cells: Iterable[tuple[Mapping[str, Any], Mapping[str, Any]]]
) -> None:
    """Write a row for each cell, with empty fields for what it has not."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, columns, restval="", extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for about, result in cells:
        writer.writerow({**about, **result})
    write_file(str(path), buffer.getvalue().encode("utf-8", "replace"))
