"""One run of `smalltext simulate`: select classifiers and strategies, run the simulations, write the results."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from smalltext_cli.compare.candidates import Candidate, parse_names
from smalltext_cli.compare.cells import Cell, Result, cell_key, digest
from smalltext_cli.compare.intervals import DIFFERENCE_INTERVAL, INTERVAL, Interval
from smalltext_cli.compare.sampling import first_rows
from smalltext_cli.compare.simulation_summary import Learning
from smalltext_cli.compare.study import Finished, Study
from smalltext_cli.compare.summary import METRIC_NAMES
from smalltext_cli.console import InputFileError, counted, note
from smalltext_cli.query_strategies import RANDOM, STRATEGIES, check_strategies, default_strategies
from smalltext_cli.readers import Reader
from smalltext_core import classifier_spec

_COLUMNS = (
    *("classifier", "strategy", "repeat", "labelled", "accuracy", "macro_f1", "expected_calibration_error"),
    *("log_loss", "train_cpu_seconds", "query_cpu_seconds", "error"),
)


class Simulation(Study):
    """A simulation, whose options are checked before any data is read.

    `run` sets `texts`, `rounds` and `learning`. Within a block of ``joblib.parallel_config``, its backend runs the
    cells.

    Parameters
    ----------
    strategies : str, optional
        Comma-separated names; see `smalltext_cli.query_strategies`.
    rounds, batch : int, default=20
        The number of rounds, and the number of texts chosen in each round.
    data, reader, output, **options
        As for `Study`.

    Raises
    ------
    SmallTextError
        If options contradict one another, or do not fit the classifiers, the strategies or the folder.
    """

    cells_folder = "runs"
    task = "simulate"
    rounds: int
    learning: Learning

    def __init__(
        self,
        data: str,
        reader: Reader,
        output: Path,
        *,
        strategies: str | None = None,
        rounds: int = 20,
        batch: int = 20,
        **options: Any,
    ) -> None:
        super().__init__(data, reader, output, **options)
        multi_label = self.multi_label
        names = (
            default_strategies(multi_label=multi_label)
            if strategies is None
            else parse_names("--strategies", strategies)
        )
        specs = [classifier_spec(one.name) for one in self.candidates]
        check_strategies(names, specs, multi_label=multi_label)
        self.strategies = {name: STRATEGIES[name].library for name in (RANDOM, *names)}
        self.batch, self._given_rounds = batch, rounds

    def prepare(self) -> None:
        """Determine the initial texts and the number of possible rounds."""
        self.rounds = self._possible_rounds()

    def summarise(self, finished: Finished) -> None:
        """Compute learning curves."""
        self.learning = Learning(
            [one.name for one in self.candidates],
            list(self.strategies),
            self.repeats,
            finished,
            metric=self.metric,
            truth=self.texts.numbers(self.texts.held_out.tolist()),
            num_classes=len(self.texts.names),
        )

    def conclusion(self) -> str:
        """Return a conclusion about which strategies need fewer labels than random sampling."""
        return self.learning.conclusion()

    def _possible_rounds(self) -> int:
        """Return the number of rounds for which the pool has enough texts."""
        first = len(self._first(0))
        most = (len(self.texts.distinct) - first) // self.batch
        if most < 1:
            raise InputFileError(
                self.data,
                f"there are {len(self.texts.distinct):,} different texts to choose from, too few for a round of "
                f"{self.batch} after the first {first}",
                "Give more texts, or a smaller --batch.",
            )
        if most < self._given_rounds:
            note(
                f"the {len(self.texts.distinct):,} texts that are not held out are enough for "
                f"{counted(most, 'round')} of {self.batch}; {self._given_rounds} were asked for."
            )
        return min(most, self._given_rounds)

    def _first(self, repeat: int) -> list[int]:
        return first_rows(self.texts, self.batch, seed=self.seed, repeat=repeat)

    def cells(self) -> list[Cell]:
        """Return a cell for each repeat, classifier and strategy."""
        pool, held_out = self.texts.distinct.tolist(), self.texts.held_out.tolist()
        places = {row: place for place, row in enumerate(pool)}
        held_out_part = self.texts.part(held_out)
        held_out_digest, training = digest(held_out_part), self.training_parts(pool)
        found = []
        for repeat in range(self.repeats):
            first = [places[row] for row in self._first(repeat)]
            for candidate in self.candidates:
                train, train_digest = training[candidate.name]
                parts = {"train": train, "held_out": held_out_part}
                digests = {"train": train_digest, "held_out": held_out_digest}
                for name in self.strategies:
                    about = {"classifier": candidate.name, "strategy": name, "repeat": repeat}
                    settings = self._settings(candidate, name, first, repeat)
                    size = len(first) + self.rounds * self.batch
                    key = cell_key({**settings, **digests})
                    found.append(Cell(about, size, key, partial(dict, settings, **parts)))
        return found

    def _settings(self, candidate: Candidate, strategy: str, first: list[int], repeat: int) -> dict[str, Any]:
        """Return everything that determines the result of a simulation, except its texts."""
        return {
            **self.determining(candidate, self.seed + repeat),
            "strategy": strategy,
            "rounds": self.rounds,
            "batch": self.batch,
            "first": first,
            "draw": self.seed + repeat,
        }

    def describe(self, one: Cell, result: Result) -> str:
        """Return a line about a finished simulation."""
        about = one.about
        what = f"{about['classifier']}, {about['strategy']}, repeat {about['repeat'] + 1}"
        if "error" in result:
            return f"{what}: failed, {result['error']}"
        last = result["rounds"][-1]
        scores = f"{METRIC_NAMES[self.metric]} {last[self.metric]:.3f} with {last['labelled']:,} labelled texts"
        return f"{what}: {scores}, {result['seconds']:.0f} s"

    def document(self, finished: Finished) -> dict[str, Any]:
        """Return runs, and learning curves and areas with confidence intervals."""
        learning = self.learning
        return {
            "intervals": {"means": INTERVAL, "differences": DIFFERENCE_INTERVAL},
            "strategies": [{"strategy": name, "library": library} for name, library in self.strategies.items()],
            "rounds": self.rounds,
            "batch": self.batch,
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

    def table(self, finished: Finished) -> tuple[Sequence[str], Finished]:
        """Return a row for each round of each simulation."""
        rows = [
            (about, one)
            for about, result in finished
            for one in result.get("rounds", [{"error": result.get("error")}])
        ]
        return _COLUMNS, rows


def _as_dict(one: Interval | None) -> dict[str, float | None] | None:
    return None if one is None else one.as_dict()
