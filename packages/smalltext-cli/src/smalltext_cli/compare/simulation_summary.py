"""The results of a simulation: learning curves, areas under them, and leads over random sampling."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalltext_cli.compare.intervals import Interval, Metric, difference, t_interval
from smalltext_cli.compare.summary import METRIC_NAMES, counted_points, sentence
from smalltext_cli.console import counted
from smalltext_cli.query_strategies import RANDOM


def area(counts: Sequence[int], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the area under learning curves divided by the width, i.e. the mean height.

    Parameters
    ----------
    counts : sequence of int
        The number of labelled texts in each round.
    values : ndarray of float64, shape (rounds,) or (rounds, n)
        The metric in each round.

    Examples
    --------
    >>> float(area([10, 20, 40], np.array([0.5, 0.7, 0.9])))
    0.7333333333333333
    """
    widths = np.diff(counts)
    if not len(widths):
        return np.asarray(values[0], dtype=np.float64)
    heights = (values[1:] + values[:-1]) / 2
    return np.asarray(np.tensordot(widths, heights, axes=(0, 0)) / widths.sum(), dtype=np.float64)


class Learning:
    """All runs of a simulation, by classifier and strategy.

    Parameters
    ----------
    classifiers, strategies : sequence of str
    repeats : int
    cells : iterable of (dict, dict)
        The description and the result of each run.
    metric : {"accuracy", "macro_f1"}
    truth : sequence
        The class numbers of the held-out texts.
    num_classes : int
    """

    def __init__(
        self,
        classifiers: Sequence[str],
        strategies: Sequence[str],
        repeats: int,
        cells: Iterable[tuple[Mapping[str, Any], dict[str, Any]]],
        *,
        metric: str,
        truth: Sequence[Any],
        num_classes: int,
    ) -> None:
        self.classifiers, self.strategies, self.repeats, self.metric = classifiers, strategies, repeats, metric
        self._metric = Metric(metric, truth, num_classes)
        self.runs: dict[tuple[str, str], dict[int, list[dict[str, Any]]]] = defaultdict(dict)
        self.errors: dict[tuple[str, str], dict[int, str]] = defaultdict(dict)
        for about, result in cells:
            key = about["classifier"], about["strategy"]
            if "error" in result:
                self.errors[key][about["repeat"]] = result["error"]
            else:
                self.runs[key][about["repeat"]] = result["rounds"]
        self._leads: dict[tuple[str, str], Interval | None] = {}

    def counts(self) -> list[int]:
        """Return the number of labelled texts in each round; the same in all runs."""
        rounds = next((one for runs in self.runs.values() for one in runs.values()), [])
        return [one["labelled"] for one in rounds]

    def curve(self, classifier: str, strategy: str) -> list[Interval]:
        """Return the mean metric over repeats after each round, with its confidence interval."""
        runs = self.runs[classifier, strategy].values()
        return [t_interval([one[self.metric] for one in each], 0.0, 1.0) for each in zip(*runs, strict=True)]

    def area(self, classifier: str, strategy: str) -> Interval | None:
        """Return the mean area under the learning curve with its interval; None if no run finished."""
        areas = self._areas(classifier, strategy)
        return t_interval(list(areas.values()), 0.0, 1.0) if areas else None

    def seconds(self, classifier: str, strategy: str, kind: str) -> Interval | None:
        """Return the CPU time of a round, ``"train"`` or ``"query"``: the mean with its interval.

        The first round, which also loads libraries, is left out if there are others.
        """
        runs = self.runs[classifier, strategy].values()
        each = [[one for one in rounds if kind == "train" or one["queried"]] for rounds in runs]
        means = [float(np.mean([one[f"{kind}_cpu_seconds"] for one in rounds[1:] or rounds])) for rounds in each]
        return t_interval(means, 0.0) if means else None

    def lead(self, classifier: str, strategy: str) -> Interval | None:
        """Return the difference between the area and that of random sampling, with its confidence interval."""
        key = classifier, strategy
        if key not in self._leads:
            ours, theirs = self._areas(*key), self._areas(classifier, RANDOM)
            shared = ours.keys() & theirs.keys()
            self._leads[key] = (
                difference(ours, theirs, self._without(*key), self._without(classifier, RANDOM))
                if shared and strategy != RANDOM
                else None
            )
        return self._leads[key]

    def _areas(self, classifier: str, strategy: str) -> dict[int, float]:
        return {
            repeat: float(area(self.counts(), np.array([one[self.metric] for one in rounds])))
            for repeat, rounds in self.runs[classifier, strategy].items()
        }

    def _without(self, classifier: str, strategy: str) -> dict[int, NDArray[np.float64]]:
        return {
            repeat: area(self.counts(), np.stack([self._metric.without_each(one["predicted"]) for one in rounds]))
            for repeat, rounds in self.runs[classifier, strategy].items()
        }

    def needed(self, classifier: str, strategy: str) -> int | None:
        """Return the number of labels that reach the final mean of random sampling; None if it is not reached."""
        target = self.curve(classifier, RANDOM)
        if not target:
            return None
        reached = [
            count
            for count, one in zip(self.counts(), self.curve(classifier, strategy), strict=False)
            if one.mean >= target[-1].mean
        ]
        return min(reached, default=None)

    @property
    def failures(self) -> dict[str, list[str]]:
        """The reasons why runs failed, by classifier and strategy."""
        return {
            " with ".join(reversed(key)): list(errors.values()) for key, errors in self.errors.items() if errors
        }

    def conclusion(self) -> str:
        """Return which strategies are better or worse than random sampling, if intervals exclude zero."""
        clauses = [
            clause for name in self.classifiers if self._areas(name, RANDOM) for clause in self._clauses(name)
        ]
        clauses += [
            f"{name} failed in {counted(len(errors), 'run')} ({errors[0].rstrip('.')})"
            for name, errors in self.failures.items()
        ]
        return sentence(clauses, self.strategies) if clauses else "No simulation finished."

    def _clauses(self, classifier: str) -> list[str]:
        others = [name for name in self.strategies if name != RANDOM and self.lead(classifier, name) is not None]
        found = []
        for name in sorted(others, key=lambda one: -_mean(self.lead(classifier, one))):
            lead = self.lead(classifier, name)
            if lead is None or lead.low is None or lead.high is None or lead.contains(0.0):
                continue
            better = lead.mean > 0
            points = counted_points(abs(lead.mean))
            low, high = sorted((100 * abs(lead.low), 100 * abs(lead.high)))
            clause = (
                f"with {classifier}, {name} is {'better' if better else 'worse'} than random by {points} of mean "
                f"{METRIC_NAMES[self.metric]} (interval {low:.1f} to {high:.1f})"
            )
            needed = self.needed(classifier, name)
            if better and needed is not None and needed < self.counts()[-1]:
                clause += (
                    f" and needs {needed:,} labelled texts for what random reaches with {self.counts()[-1]:,}"
                )
            found.append(clause)
        return found or [f"with {classifier}, no strategy is certainly better or worse than random"]


def _mean(one: Interval | None) -> float:
    return 0.0 if one is None else one.mean
