"""Progress of a comparison: a bar on a terminal, or else a line per cell, with the estimated time left."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from smalltext_cli.compare.cells import Cell
from smalltext_cli.console import counted, messages, print_message


class TimeEstimate:
    """Estimates the duration of cells from finished cells of the same classifier.

    The duration of a cell is a constant, such as for loading libraries, plus the training time. The training time
    for a known number of texts is the mean of earlier ones. For other numbers, a straight line is fitted if
    two numbers are known. Otherwise, the time is assumed to grow with the square root of the number, as a
    compromise between classifiers with a constant and with a growing number of steps, and not to shrink.

    Examples
    --------
    >>> estimate = TimeEstimate()
    >>> estimate.add("setfit", 16, seconds=13.0, training=10.0)
    >>> estimate.of("setfit", 16), estimate.of("setfit", 64), estimate.of("sklearn", 16)
    (13.0, 23.0, None)
    """

    def __init__(self) -> None:
        self._training: dict[str, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
        self._rest: dict[str, list[float]] = defaultdict(list)

    def add(self, group: str, size: int, *, seconds: float, training: float) -> None:
        """Add the duration of a finished cell and of its training."""
        # The order matters: joblib requests the next cell in another thread, which may read in between.
        self._rest[group].append(seconds - training)
        self._training[group][size].append(training)

    def of(self, group: str, size: int) -> float | None:
        """Return the estimated seconds of a cell; None if no cell of its classifier has finished."""
        known = {one: float(np.mean(seconds)) for one, seconds in tuple(self._training[group].items())}
        if not known:
            return None
        rest = float(np.mean(self._rest[group]))
        if size in known:
            return rest + known[size]
        nearest = min(known, key=lambda one: (abs(one - size), one))
        if len(known) == 1:
            return rest + known[nearest] * math.sqrt(max(1.0, size / nearest))
        slope, intercept = np.polyfit(list(known), list(known.values()), 1)
        return rest + max(float(intercept + slope * size), min(known.values()))

    def left(self, waiting: Iterable[tuple[str, int]], jobs: int) -> tuple[float, bool]:
        """Return the estimated seconds of all waiting cells, and whether all of them could be estimated."""
        each = [self.of(group, size) for group, size in waiting]
        known = [seconds for seconds in each if seconds is not None]
        return sum(known) / max(1, min(jobs, len(each) or 1)), len(known) == len(each)


def duration(seconds: float) -> str:
    """Format a duration with the precision of an estimate.

    Examples
    --------
    >>> duration(3), duration(47), duration(460), duration(9000)
    ('5 s', '50 s', '8 min', '2.5 h')
    """
    if seconds < 10:
        return "5 s" if seconds > 1 else "1 s"
    if seconds < 90:
        return f"{round(seconds / 10) * 10} s"
    return f"{round(seconds / 60)} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


class CellProgress:
    """Shows finished cells on standard error, and the time left.

    Parameters
    ----------
    finished : int
        The number of cells that were finished before.
    waiting : collection of Cell
    jobs : int
        The number of cells that run in parallel.
    """

    def __init__(self, finished: int, waiting: Collection[Cell], jobs: int) -> None:
        self._waiting = {one.key: one for one in waiting}
        self._done, self._total, self._jobs, self._failed = finished, finished + len(waiting), jobs, 0
        self._estimate = TimeEstimate()
        self._bar: Any = None

    def in_running_order(self) -> Iterator[Cell]:
        """Yield the waiting cells in the order in which to run them, repeat by repeat.

        If several run in parallel, the cells with the longest or an unknown expected duration run first, so that
        no processor is idle at the end.
        """
        waiting = list(self._waiting.values())
        while waiting:
            repeat = [one for one in waiting if one.about["repeat"] == waiting[0].about["repeat"]]
            chosen = repeat[0] if self._jobs == 1 else max(repeat, key=self._expected)
            waiting.remove(chosen)
            yield chosen

    def _expected(self, one: Cell) -> float:
        seconds = self._estimate.of(_group(one), one.size)
        return math.inf if seconds is None else seconds

    def start(self) -> None:
        """Show the number of cells that are already finished."""
        if self._done:
            kept = "was finished before and is kept" if self._done == 1 else "were finished before and are kept"
            print_message(f"{counted(self._done, 'run')} of {self._total:,} {kept}.")
        if messages().is_terminal and not messages().quiet:
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

            columns = (BarColumn(), MofNCompleteColumn(), TextColumn("cells {task.fields[words]}"))
            self._bar = Progress(*columns, console=messages(), transient=True)
            self._bar.start()
            self._bar.add_task("", total=self._total, completed=self._done, words=self._words())

    def stop(self) -> None:
        """Remove the bar."""
        if self._bar is not None:
            self._bar.stop()

    def learn(self, one: Cell, result: Mapping[str, Any]) -> None:
        """Update the estimates with a cell, unless it failed."""
        if "error" not in result:
            seconds = float(result["seconds"])
            training = float(result.get("train_seconds", seconds))
            self._estimate.add(_group(one), one.size, seconds=seconds, training=training)

    def advance(self, one: Cell, result: Mapping[str, Any], line: str) -> None:
        """Count a cell as finished."""
        del self._waiting[one.key]
        self._done += 1
        self._failed += "error" in result
        self.learn(one, result)
        if self._bar is not None:
            self._bar.update(0, completed=self._done, words=self._words(), refresh=True)
        else:
            print_message(f"[{self._done}/{self._total}] {line}{self._words()}")

    def _words(self) -> str:
        failed = f"; {self._failed} failed" if self._failed else ""
        if not self._waiting:
            return failed
        seconds, is_whole = self._estimate.left(
            ((_group(one), one.size) for one in self._waiting.values()), self._jobs
        )
        if not seconds:
            return f"{failed}; the time left is not known yet"
        return f"{failed}; {'about' if is_whole else 'more than'} {duration(seconds)} left"


def _group(one: Cell) -> str:
    return str(one.about["classifier"])
