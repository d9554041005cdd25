"""The results of a comparison: means with confidence intervals, paired differences, and a conclusion."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import groupby, takewhile
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalltext_cli.compare.intervals import Interval, Metric, difference, t_interval
from smalltext_cli.compare.sampling import ALL
from smalltext_cli.console import counted

FIGURES = {
    "accuracy": ("accuracy", 0.0, 1.0),
    "macro_f1": ("macro F1", 0.0, 1.0),
    "expected_calibration_error": ("calibration error", 0.0, 1.0),
    "log_loss": ("log loss", 0.0, float("inf")),
    "train_cpu_seconds": ("training CPU seconds", 0.0, float("inf")),
    "texts_per_second": ("texts per second", 0.0, float("inf")),
    "peak_memory_bytes": ("peak memory", 0.0, float("inf")),
    "size_bytes": ("size on disk", 0.0, float("inf")),
}
"""The figures that a comparison shows for each classifier, with their names and bounds."""

METRIC_NAMES = {"accuracy": "accuracy", "macro_f1": "macro F1"}

_FRACTIONS = {
    100: "a hundredth",
    50: "a fiftieth",
    20: "a twentieth",
    10: "a tenth",
    5: "a fifth",
    4: "a quarter",
    3: "a third",
    2: "half",
}
_NEAR = 0.05
"""A classifier that is at most this far behind the best one is mentioned if it is much faster."""

_MAX_DISAGREEMENTS = 12


@dataclass(frozen=True)
class Place:
    """The cells of one classifier for one number of texts per class: results and errors by repeat."""

    classifier: str
    shots: int | str
    results: dict[int, dict[str, Any]] = field(default_factory=dict)
    errors: dict[int, str] = field(default_factory=dict)

    def interval(self, figure: str) -> Interval | None:
        """Return the mean of a figure over repeats with its confidence interval; None if no cell has it."""
        values = [one[figure] for one in self.results.values() if one.get(figure) is not None]
        _, lowest, highest = FIGURES[figure]
        return t_interval(values, lowest, highest) if values else None


def sentence(clauses: Sequence[str], names: Sequence[str]) -> str:
    """Join clauses to a sentence, which is capitalised unless it begins with one of the names.

    Examples
    --------
    >>> sentence(["with setfit, no strategy is better", "random failed"], ["random", "setfit"])
    'With setfit, no strategy is better; random failed.'
    >>> sentence(["setfit is best"], ["setfit"])
    'setfit is best.'
    """
    joined = "; ".join(clauses) + "."
    return joined if joined.startswith(tuple(f"{name} " for name in names)) else joined[0].upper() + joined[1:]


class Summary:
    """All cells of a comparison, by classifier and number of texts per class.

    Parameters
    ----------
    classifiers : sequence of str
    shots : sequence of int or "all"
    repeats : int
    cells : iterable of (dict, dict)
        The description and the result of each cell.
    metric : {"accuracy", "macro_f1"}
        The metric by which classifiers are compared.
    truth : sequence
        The class numbers of the held-out texts.
    num_classes : int
    """

    def __init__(
        self,
        classifiers: Sequence[str],
        shots: Sequence[int | str],
        repeats: int,
        cells: Iterable[tuple[Mapping[str, Any], dict[str, Any]]],
        *,
        metric: str,
        truth: Sequence[Any],
        num_classes: int,
    ) -> None:
        self.classifiers, self.shots, self.repeats, self.metric = classifiers, shots, repeats, metric
        self.truth = truth
        self._metric = Metric(metric, truth, num_classes)
        self.places = {(name, one): Place(name, one) for one in shots for name in classifiers}
        for about, result in cells:
            place = self.places[about["classifier"], about["shots"]]
            if "error" in result:
                place.errors[about["repeat"]] = result["error"]
            else:
                place.results[about["repeat"]] = result
        self._without: dict[tuple[str, int | str], dict[int, NDArray[np.float64]]] = {}

    def ranked(self, shots: int | str) -> list[str]:
        """Return the classifiers whose repeats all finished, the best first."""
        whole = [name for name in self.classifiers if len(self.places[name, shots].results) == self.repeats]
        return sorted(whole, key=lambda name: -self.mean(name, shots))

    def mean(self, name: str, shots: int | str) -> float:
        """Return the mean of the metric over repeats."""
        return float(np.mean([one[self.metric] for one in self.places[name, shots].results.values()]))

    def lead(self, first: str, second: str, shots: int | str) -> Interval:
        """Return the mean lead of the first classifier over the second one, with its confidence interval."""
        of_first, of_second = (
            {repeat: one[self.metric] for repeat, one in self.places[name, shots].results.items()}
            for name in (first, second)
        )
        left_out = (self._without_each(first, shots), self._without_each(second, shots))
        return difference(of_first, of_second, *left_out)

    def _without_each(self, name: str, shots: int | str) -> dict[int, NDArray[np.float64]]:
        if (name, shots) not in self._without:
            results = self.places[name, shots].results
            self._without[name, shots] = {
                repeat: self._metric.without_each(one["predicted"]) for repeat, one in results.items()
            }
        return self._without[name, shots]

    @cached_property
    def leads(self) -> dict[int | str, dict[str, Interval]]:
        """For each number of texts per class, the lead of the best classifier over each other one."""
        found: dict[int | str, dict[str, Interval]] = {}
        for shots in self.shots:
            ranked = self.ranked(shots)
            found[shots] = {other: self.lead(ranked[0], other, shots) for other in ranked[1:]}
        return found

    def leaders(self, shots: int | str) -> tuple[str, ...]:
        """Return the best classifier, and the next ones whose difference from it may be zero.

        The list ends before the first classifier that is certainly worse. A classifier with an even lower mean
        that varies so much that nothing is certain is not among the best.
        """
        ranked = self.ranked(shots)
        leads = self.leads[shots]
        return (*ranked[:1], *takewhile(lambda name: leads[name].contains(0.0), ranked[1:]))

    def seconds(self, name: str, shots: Iterable[int | str]) -> float:
        """Return the mean CPU time of a classifier's training runs."""
        return float(
            np.mean([one["train_cpu_seconds"] for s in shots for one in self.places[name, s].results.values()])
        )

    @property
    def failures(self) -> dict[str, list[str]]:
        """The reasons why cells failed, by classifier."""
        found: dict[str, list[str]] = defaultdict(list)
        for place in self.places.values():
            found[place.classifier] += place.errors.values()
        return {name: errors for name, errors in found.items() if errors}

    def conclusion(self) -> str:
        """Return a conclusion: which classifier is best at which training set sizes, and which one is cheaper.

        A classifier is only called best if the interval of its lead over the next one excludes zero.
        """
        clauses: list[str] = []
        by_leaders = groupby(self.shots, key=lambda shots: frozenset(self.leaders(shots)))
        for leaders, group in by_leaders:
            shots = list(group)
            if leaders:
                clauses.append(self._of_group(self.leaders(shots[0]), shots))
        clauses += [self._failed(name, errors) for name, errors in self.failures.items()]
        return sentence(clauses, self.classifiers) if clauses else "No classifier finished."

    def _of_group(self, leaders: Sequence[str], shots: list[int | str]) -> str:
        where = shots_range(shots)
        if len(leaders) == 1 and len(self.ranked(shots[0])) == 1:
            means = [f"{self.mean(leaders[0], one):.3f} {shots_range([one])}" for one in shots]
            return f"{leaders[0]} reaches {METRIC_NAMES[self.metric]} {listed(means)}"
        if len(leaders) == 1:
            return f"{leaders[0]} is best {where}{self._cheaper(leaders[0], shots)}"
        ordered = sorted(leaders, key=lambda name: self.seconds(name, shots))
        fastest, slowest = ordered[0], ordered[-1]
        share = fraction(self.seconds(fastest, shots), self.seconds(slowest, shots))
        time = f", but {fastest} takes {share} of the training time of {slowest}" if share else ""
        if len(leaders) == len(self.ranked(shots[0])):
            return f"there is no certain difference between {listed(ordered)} {where}{time}"
        return f"{listed(ordered)} are best {where}, with no certain difference between them{time}"

    def _cheaper(self, best: str, shots: list[int | str]) -> str:
        """Describe the fastest classifier that is close to the best one, if it is much faster."""
        others = [name for name in self.classifiers if all(name in self.leads[one] for one in shots)]
        near = [name for name in others if max(self.leads[one][name].mean for one in shots) <= _NEAR]
        if not near:
            return ""
        name = min(near, key=lambda one: self.seconds(one, shots))
        share = fraction(self.seconds(name, shots), self.seconds(best, shots))
        if not share:
            return ""
        widest = max((self.leads[one][name] for one in shots), key=lambda interval: interval.mean)
        low, high = ((100 * (bound or 0.0)) for bound in (widest.low, widest.high))
        points = counted_points(widest.mean)
        behind = f"within {points} (interval {low:.1f} to {high:.1f})"
        return f", and {name} comes {behind} at {share} of the training time"

    def _failed(self, name: str, errors: list[str]) -> str:
        of = sum(len(one.errors) + len(one.results) for one in self.places.values() if one.classifier == name)
        return f"{name} failed in {len(errors)} of {counted(of, 'run')} ({errors[0].rstrip('.')})"


def counted_points(share: float) -> str:
    """Return a difference of shares in percentage points.

    Examples
    --------
    >>> counted_points(0.0123), counted_points(0.01)
    ('1.2 points', '1 point')
    """
    text = f"{100 * share:.1f}".removesuffix(".0")
    return f"{text} point" if text == "1" else f"{text} points"


def fraction(part: float, whole: float) -> str:
    """Describe a ratio by a fraction that bounds it from above; empty if it is above a half.

    Examples
    --------
    >>> fraction(1, 50), fraction(1, 70), fraction(2, 3)
    ('a fiftieth', 'less than a fiftieth', '')
    """
    ratio = whole / max(part, 1e-9)
    number = next((one for one in _FRACTIONS if ratio >= one), None)
    if number is None:
        return ""
    return _FRACTIONS[number] if ratio < number * 1.1 else f"less than {_FRACTIONS[number]}"


def shots_range(shots: Sequence[int | str]) -> str:
    """Describe consecutive numbers of texts per class.

    Examples
    --------
    >>> shots_range([8]), shots_range([8, 32]), shots_range([8, 32, "all"]), shots_range(["all"])
    ('at 8 texts per class', 'from 8 to 32 texts per class', 'from 8 texts per class to all', 'with all texts')
    """
    first, last = shots[0], shots[-1]
    if first == ALL:
        return "with all texts"
    if first == last:
        return f"at {counted(int(first), 'text')} per class"
    if last == ALL:
        return f"from {counted(int(first), 'text')} per class to all"
    return f"from {first} to {last} texts per class"


def listed(names: Sequence[str]) -> str:
    """Join names with commas and "and"."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


@dataclass(frozen=True)
class Disagreement:
    """A held-out text that classifiers label differently: its row, its true classes, and the answers."""

    place: int
    truth: tuple[int, ...]
    answers: dict[str, tuple[int, ...]]


def disagreements(summary: Summary, shots: int | str) -> list[Disagreement]:
    """Return the held-out texts on which classifiers disagree most: by different answers, then by wrong ones.

    The answer of a classifier is the majority vote of its repeats.
    """
    answers = majority_votes(summary, shots)
    if len(answers) < 2:
        return []
    found = []
    for place, truth in enumerate(summary.truth):
        each = {name: given[place] for name, given in answers.items()}
        different = len(set(each.values()))
        right = as_tuple(truth)
        if different > 1:
            wrong = sum(answer != right for answer in each.values())
            found.append((-different, -wrong, place, Disagreement(place, right, each)))
    return [one for *_, one in sorted(found, key=lambda item: item[:3])[:_MAX_DISAGREEMENTS]]


def majority_votes(summary: Summary, shots: int | str) -> dict[str, list[tuple[int, ...]]]:
    """Return, for each classifier that finished, the majority vote of its repeats on each held-out text."""
    found: dict[str, list[tuple[int, ...]]] = {}
    for name in summary.classifiers:
        results = summary.places[name, shots].results
        repeats = [[as_tuple(one) for one in results[repeat]["predicted"]] for repeat in sorted(results)]
        if repeats:
            found[name] = [max(given, key=given.count) for given in zip(*repeats, strict=True)]
    return found


def disagreement_shares(answers: Mapping[str, list[tuple[int, ...]]]) -> dict[tuple[str, str], float]:
    """Return the share of texts on which each pair of classifiers disagrees."""
    return {
        (one, other): float(np.mean([a != b for a, b in zip(answers[one], answers[other], strict=True)]))
        for one in answers
        for other in answers
    }


def as_tuple(label: Any) -> tuple[int, ...]:
    """Return the class numbers of a text as a tuple, even if there is only one."""
    return tuple(label) if isinstance(label, list) else (label,)
