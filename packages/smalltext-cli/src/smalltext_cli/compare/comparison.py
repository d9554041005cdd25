"""One run of `smalltext compare`: classifiers trained on the same training sets, scored on a held-out set."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from smalltext_cli.compare.candidates import Candidate
from smalltext_cli.compare.cells import Cell, Result, cell_key, digest
from smalltext_cli.compare.intervals import DIFFERENCE_INTERVAL, INTERVAL
from smalltext_cli.compare.sampling import described_shots, parse_shots, possible_shots, training_rows
from smalltext_cli.compare.study import Finished, Study
from smalltext_cli.compare.summary import FIGURES, METRIC_NAMES, Summary
from smalltext_cli.console import note
from smalltext_cli.readers import Reader

_COLUMNS = ("classifier", "shots", "repeat", "training_texts")


class Comparison(Study):
    """A comparison, whose options are checked before any data is read.

    `run` sets `texts`, `shots` and `summary`. Within a block of ``joblib.parallel_config``, its backend runs the
    cells.

    Parameters
    ----------
    shots : str, default="8,32,128,all"
        The numbers of training texts per class.
    data, reader, output, **options
        As for `Study`.

    Raises
    ------
    SmallTextError
        If options contradict one another, or do not fit the classifiers or the folder.

    Examples
    --------
    >>> import joblib
    >>> from smalltext_cli.readers import Reader
    >>> with joblib.parallel_config("dask"):  # doctest: +SKIP
    ...     Comparison("mails.csv", Reader("text", "label"), Path("comparison")).run()
    """

    cells_folder = "cells"
    task = "compare"
    shots: list[int | str]
    summary: Summary

    def __init__(
        self, data: str, reader: Reader, output: Path, *, shots: str = "8,32,128,all", **options: Any
    ) -> None:
        self._given_shots = parse_shots(shots)
        super().__init__(data, reader, output, **options)

    def prepare(self) -> None:
        """Drop numbers of texts that result in the same training sets."""
        self.shots, notes = possible_shots(self.texts, self._given_shots)
        for sentence in notes:
            note(sentence)

    def training_texts(self, shots: int | str) -> int:
        """Return the number of training texts for a number per class; it varies little between repeats."""
        return len(training_rows(self.texts, shots, seed=self.seed, repeat=0))

    def cells(self) -> list[Cell]:
        """Return the cells, repeat by repeat, with small training sets first."""
        held_out = self.texts.part(self.texts.held_out.tolist())
        held_out_digest = digest(held_out)
        found = []
        for repeat in range(self.repeats):
            for shots in self.shots:
                rows = training_rows(self.texts, shots, seed=self.seed, repeat=repeat)
                parts = self.training_parts(rows)
                for candidate in self.candidates:
                    about = {
                        "classifier": candidate.name,
                        "shots": shots,
                        "repeat": repeat,
                        "training_texts": len(rows),
                    }
                    seed = self.seed + repeat
                    digests = {"train": parts[candidate.name][1], "held_out": held_out_digest}
                    key = cell_key({**self.determining(candidate, seed), **digests})
                    request = partial(self._request, candidate, rows, seed, held_out)
                    found.append(Cell(about, len(rows), key, request))
        return found

    def _request(
        self, candidate: Candidate, rows: list[int], seed: int, held_out: dict[str, Any]
    ) -> dict[str, Any]:
        train = self.texts.training_part(rows, weighted=candidate.takes_weights)
        return {**self.determining(candidate, seed), "train": train, "held_out": held_out}

    def describe(self, one: Cell, result: Result) -> str:
        """Return a line about a finished cell."""
        about = one.about
        what = f"{about['classifier']}, {described_shots(about['shots'])}, repeat {about['repeat'] + 1}"
        if "error" in result:
            return f"{what}: failed, {result['error']}"
        scores = ", ".join(f"{words} {result[name]:.3f}" for name, words in METRIC_NAMES.items())
        return f"{what}: {scores}, {result['seconds']:.0f} s"

    def summarise(self, finished: Finished) -> None:
        """Compute means with confidence intervals, and rank the classifiers."""
        self.summary = Summary(
            [one.name for one in self.candidates],
            self.shots,
            self.repeats,
            finished,
            metric=self.metric,
            truth=self.texts.numbers(self.texts.held_out.tolist()),
            num_classes=len(self.texts.names),
        )

    def conclusion(self) -> str:
        """Return a conclusion about which classifier is best at each training set size."""
        return self.summary.conclusion()

    def document(self, finished: Finished) -> dict[str, Any]:
        """Return cells, and means and leads with confidence intervals."""
        summary = self.summary
        return {
            "intervals": {"means": INTERVAL, "leads": DIFFERENCE_INTERVAL},
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

    def table(self, finished: Finished) -> tuple[Sequence[str], Finished]:
        """Return a row for each cell."""
        return (*_COLUMNS, *FIGURES, "seconds", "error"), finished
