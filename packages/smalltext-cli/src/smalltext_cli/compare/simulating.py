"""One run of `smalltext simulate`: choose classifiers and strategies, run the simulations, write the results."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from smalltext_cli.compare.candidates import Candidate, check_class_weights, chosen_candidates, parse_names
from smalltext_cli.compare.cells import Cell, CellFolder, Result, cell_key, digest
from smalltext_cli.compare.comparison import RESULTS, TABLE, described_data, write_csv, write_json
from smalltext_cli.compare.intervals import DIFFERENCE_INTERVAL, INTERVAL, Interval
from smalltext_cli.compare.learning import Learning
from smalltext_cli.compare.runner import run_cells
from smalltext_cli.compare.sampling import Texts, first_rows, read_texts
from smalltext_cli.compare.strategies import check_strategies, default_strategies
from smalltext_cli.compare.summary import METRIC_NAMES
from smalltext_cli.console import InputFileError, counted, note
from smalltext_cli.readers import Reader
from smalltext_core import classifier_spec

_COLUMNS = (
    *("classifier", "strategy", "repeat", "labelled", "accuracy", "macro_f1", "expected_calibration_error"),
    *("log_loss", "train_cpu_seconds", "query_cpu_seconds", "error"),
)


class Simulation:
    """A simulation whose options have been checked, before any data is read.

    The parameters are those of the command. `run` sets `texts`, `rounds` and `learning`.

    Raises
    ------
    SmallTextError
        If options contradict one another, the classifiers, the strategies or the folder.
    """

    texts: Texts
    rounds: int
    learning: Learning

    def __init__(
        self,
        data: str,
        reader: Reader,
        output: Path,
        *,
        classifiers: str | None = None,
        strategies: str | None = None,
        rounds: int = 20,
        batch: int = 20,
        repeats: int = 5,
        settings: Sequence[str] = (),
        metric: str | None = None,
        held_out: float = 0.3,
        max_classes: int | None = None,
        seed: int = 0,
        device: str | None = None,
    ) -> None:
        self.kept = CellFolder(output, "runs")
        self.repeats, self.metric = repeats, metric or ("macro_f1" if reader.multi_label else "accuracy")
        multi_label = reader.multi_label
        self.candidates, left_out = chosen_candidates(
            classifiers, settings, multi_label=multi_label, device=device
        )
        for sentence in left_out:
            note(sentence)
        names = (
            default_strategies(multi_label=multi_label)
            if strategies is None
            else parse_names("--strategies", strategies)
        )
        specs = [classifier_spec(one.name) for one in self.candidates]
        self.strategies = check_strategies(names, specs, multi_label=multi_label)
        self.batch, self._given_rounds = batch, rounds
        self._data, self._reader, self._held_out = data, reader, held_out
        self._max_classes, self._seed = max_classes, seed

    def run(self, *, jobs: int = 1, backend: str | None = None, retry_failed: bool = False) -> None:
        """Run the simulations that are missing, and write ``results.json`` and ``results.csv``."""
        self.texts = read_texts(
            self._reader, self._data, share=self._held_out, seed=self._seed, max_classes=self._max_classes
        )
        check_class_weights(self.candidates, self.texts.names)
        self.rounds = self._possible_rounds()
        cells = self._cells()
        results = run_cells(
            self.kept, cells, self._describe, jobs=jobs, backend=backend, retry_failed=retry_failed
        )
        finished = [(one.about, results[one.key]) for one in cells]
        self.learning = Learning(
            [one.name for one in self.candidates],
            [name for name, _ in self.strategies],
            self.repeats,
            finished,
            metric=self.metric,
            truth=self.texts.numbers(self.texts.held_out.tolist()),
            num_classes=len(self.texts.names),
        )
        self._write(finished)

    def _possible_rounds(self) -> int:
        """Return the number of rounds that the pool has texts for."""
        first = max(len(self._first(repeat)) for repeat in range(self.repeats))
        most = (len(self.texts.distinct) - first) // self.batch
        if most < 1:
            raise InputFileError(
                self._data,
                f"there are {len(self.texts.distinct):,} different texts to choose from, too few for a round of "
                f"{self.batch} after the first {first}",
                "Give more texts, or a smaller --batch.",
            )
        if most < self._given_rounds:
            note(
                f"{counted(most, 'round')} of {self.batch} use up the {len(self.texts.distinct):,} texts that are "
                f"not held out; {self._given_rounds} were asked for."
            )
        return min(most, self._given_rounds)

    def _first(self, repeat: int) -> list[int]:
        return first_rows(self.texts, self.batch, seed=self._seed, repeat=repeat)

    def _cells(self) -> list[Cell]:
        pool, held_out = self.texts.distinct.tolist(), self.texts.held_out.tolist()
        places = {row: place for place, row in enumerate(pool)}
        parts = {"train": self.texts.part(pool), "held_out": self.texts.part(held_out)}
        digests = {name: digest(part) for name, part in parts.items()}
        found = []
        for repeat in range(self.repeats):
            first = [places[row] for row in self._first(repeat)]
            for candidate in self.candidates:
                for name, library in self.strategies:
                    about = {"classifier": candidate.name, "strategy": name, "repeat": repeat}
                    settings = self._settings(candidate, name, library, first, repeat)
                    size = len(first) + self.rounds * self.batch
                    key = cell_key({**settings, **digests})
                    found.append(Cell(about, size, key, partial(dict, settings, **parts)))
        return found

    def _settings(
        self, candidate: Candidate, strategy: str, library: str, first: list[int], repeat: int
    ) -> dict[str, Any]:
        """Return what determines the result of a simulation, apart from its texts."""
        return {
            "task": "simulate",
            **candidate.as_dict(self._seed + repeat),
            "strategy": strategy,
            "library": library,
            "rounds": self.rounds,
            "batch": self.batch,
            "first": first,
            "draw": self._seed + repeat,
            "names": list(self.texts.names.names),
            "multi_label": self.texts.multi_label,
        }

    def _describe(self, one: Cell, result: Result) -> str:
        about = one.about
        what = f"{about['classifier']}, {about['strategy']}, repeat {about['repeat'] + 1}"
        if "error" in result:
            return f"{what}: failed, {result['error']}"
        last = result["rounds"][-1]
        scores = f"{METRIC_NAMES[self.metric]} {last[self.metric]:.3f} with {last['labelled']:,} labels"
        return f"{what}: {scores}, {result['seconds']:.0f} s"

    def document(self, finished: Iterable[tuple[Mapping[str, Any], Result]]) -> dict[str, Any]:
        """Return what ``results.json`` holds: settings, runs, curves and areas with intervals, the conclusion."""
        learning = self.learning
        return {
            "conclusion": learning.conclusion(),
            "metric": self.metric,
            "intervals": {"means": INTERVAL, "differences": DIFFERENCE_INTERVAL},
            "data": described_data(self.texts),
            "classifiers": [one.as_dict(self._seed) for one in self.candidates],
            "strategies": [{"strategy": name, "library": library} for name, library in self.strategies],
            "rounds": self.rounds,
            "batch": self.batch,
            "repeats": self.repeats,
            "seed": self._seed,
            "labelled": learning.counts(),
            "curves": [
                {
                    "classifier": classifier,
                    "strategy": strategy,
                    "finished": len(learning.runs[classifier, strategy]),
                    "errors": list(learning.errors[classifier, strategy].values()),
                    "curve": [one.as_dict() for one in learning.curve(classifier, strategy)],
                    "area": _as_dict(learning.area(classifier, strategy)),
                    "area_minus_random": _as_dict(learning.lead(classifier, strategy)),
                    "labels_to_reach_random": learning.needed(classifier, strategy),
                    "train_cpu_seconds_a_round": _as_dict(learning.seconds(classifier, strategy, "train")),
                    "query_cpu_seconds_a_round": _as_dict(learning.seconds(classifier, strategy, "query")),
                }
                for classifier in learning.classifiers
                for strategy in learning.strategies
            ],
            "runs": [{**about, **result} for about, result in finished],
        }

    def _write(self, finished: list[tuple[dict[str, Any], Result]]) -> None:
        folder = self.kept.folder
        write_json(folder / RESULTS, self.document(finished))
        rows = [
            (about, one)
            for about, result in finished
            for one in result.get("rounds", [{"error": result.get("error")}])
        ]
        write_csv(folder / TABLE, _COLUMNS, rows)


def _as_dict(one: Interval | None) -> dict[str, float | None] | None:
    return None if one is None else one.as_dict()
