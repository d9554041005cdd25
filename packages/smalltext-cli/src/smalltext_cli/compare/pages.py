"""The pages of comparisons and simulations: self-contained HTML files without scripts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from smalltext_cli.compare.curves import Point, Series, learning_curves, quality_against_time, swatch
from smalltext_cli.compare.intervals import DIFFERENCE_INTERVAL, INTERVAL, Interval
from smalltext_cli.compare.sampling import described_shots
from smalltext_cli.compare.summary import (
    FIGURES,
    METRIC_NAMES,
    Place,
    Summary,
    disagreement_shares,
    disagreements,
    majority_votes,
)
from smalltext_cli.console import counted
from smalltext_cli.report import environment
from smalltext_cli.report_texts import beginning
from smalltext_core.messages import printable

if TYPE_CHECKING:
    from smalltext_cli.compare.comparison import Comparison
    from smalltext_cli.compare.sampling import Texts
    from smalltext_cli.compare.simulation import Simulation
    from smalltext_cli.compare.simulation_summary import Learning

_LARGE = 1024**2


def comparison_page(run: Comparison) -> str:
    """Return the page of a comparison, to be written as UTF-8. Texts and names are escaped."""
    summary, texts = run.summary, run.texts
    shots = next((one for one in reversed(run.shots) if summary.leaders(one)), run.shots[-1])
    answers = majority_votes(summary, shots)
    rows = texts.held_out.tolist()
    names = [printable(name, None) for name in texts.names.names]
    metric = METRIC_NAMES[summary.metric]
    series, ticks = _series(run)
    return _rendered(
        "comparison.html.j2",
        kind="Comparison",
        title=printable(PurePath(run.texts.source).name, None),
        conclusion=summary.conclusion(),
        facts=_facts(run),
        metric=metric,
        curves=learning_curves("curves", series, ticks, "training texts", metric),
        times=quality_against_time("times", _over_time(run), metric),
        legend=[(name, swatch(number)) for number, name in enumerate(summary.classifiers)],
        columns=[words for words, *_ in FIGURES.values()],
        groups=[
            (described_shots(one), [_row(summary.places[name, one], summary) for name in summary.classifiers])
            for one in run.shots
        ],
        settings=[one.as_dict(0) for one in run.candidates],
        disagreement_shots=described_shots(shots),
        shares=disagreement_shares(answers),
        answering=list(answers),
        disagreements=[
            {
                "text": beginning(texts.texts[rows[one.place]]),
                "row": rows[one.place] + 1,
                "truth": [names[k] for k in one.truth],
                "answers": [
                    (name, [names[k] for k in answer], answer == one.truth) for name, answer in one.answers.items()
                ],
            }
            for one in disagreements(summary, shots)
        ],
        interval=INTERVAL,
        difference_interval=DIFFERENCE_INTERVAL,
        failures=summary.failures,
    )


def _rendered(template: str, **values: Any) -> str:
    page = environment().get_template(template).render(**values)
    # A lone surrogate, which JSON can contain, cannot be encoded in UTF-8.
    return page.encode("utf-8", errors="replace").decode("utf-8")


def _facts(run: Comparison) -> str:
    return f"{_data_facts(run.texts)} · {counted(run.repeats, 'repeat')}"


def _data_facts(texts: Texts) -> str:
    several = " · multi-label" if texts.multi_label else ""
    several += " · weighted in training" if texts.weights is not None else ""
    return f"{len(texts.texts):,} texts · {len(texts.names)} classes{several} · {len(texts.held_out):,} held out"


def _series(run: Comparison) -> tuple[list[Series], list[tuple[float, str]]]:
    """Return the learning curves, and the ticks of their x axis at the mean numbers of training texts."""
    sizes = {one: run.training_texts(one) for one in run.shots}
    summary = run.summary
    series = [
        Series(name, number, [
            Point(sizes[one], interval, f"{described_shots(one)}: {in_words(interval)}")
            for one in run.shots
            if (interval := summary.places[name, one].interval(summary.metric)) is not None
        ])
        for number, name in enumerate(summary.classifiers)
    ]  # fmt: skip
    ticks = [(float(size), f"{size:,}") for size in sizes.values()]
    return [one for one in series if one.points], ticks


def _over_time(run: Comparison) -> list[Series]:
    summary = run.summary
    found = []
    for number, name in enumerate(summary.classifiers):
        points = []
        for shots in run.shots:
            place = summary.places[name, shots]
            quality, time = place.interval(summary.metric), place.interval("train_cpu_seconds")
            if quality is not None and time is not None:
                words = f"{described_shots(shots)}: {in_words(quality)}, {time.mean:.3g} CPU seconds"
                points.append(Point(max(time.mean, 1e-3), Interval(quality.mean), words))
        if points:
            found.append(Series(name, number, points))
    return found


def _row(place: Place, summary: Summary) -> dict[str, Any]:
    leaders = summary.leaders(place.shots)
    lead = summary.leads[place.shots].get(place.classifier)
    behind = ("", "")
    if leaders and place.classifier == leaders[0]:
        behind = ("best", "")
    elif lead is not None:
        bounds = ""
        if lead.low is not None and lead.high is not None:
            bounds = f"{_behind(lead.high)} to {_behind(lead.low)}"
        behind = (_behind(lead.mean), bounds)
    return {
        "classifier": place.classifier,
        "number": list(summary.classifiers).index(place.classifier),
        "swatch": swatch(list(summary.classifiers).index(place.classifier)),
        "leads": place.classifier in leaders,
        "behind": behind,
        "figures": [figure(name, place.interval(name)) for name in FIGURES],
        "errors": [place.errors[repeat] for repeat in sorted(place.errors)],
    }


def _behind(lead: float) -> str:
    """Return the distance to the best in percentage points, without negative zero."""
    return f"{round(-100 * lead, 1) + 0.0:+.1f}"


def figure(name: str, interval: Interval | None) -> tuple[str, str]:
    """Return a mean and its interval, formatted for a table; empty if there is none.

    Examples
    --------
    >>> figure("accuracy", Interval(0.9123, 0.9, 0.925)), figure("size_bytes", Interval(2_500_000.0))
    (('0.912', '0.900 to 0.925'), ('2.4 MiB', ''))
    """
    if interval is None:
        return "", ""

    def shown(value: float) -> str:
        if name.endswith("_bytes"):
            return f"{value / _LARGE:,.1f}" if value < 100 * _LARGE else f"{value / _LARGE:,.0f}"
        if name in ("train_cpu_seconds", "texts_per_second"):
            return f"{value:,.0f}" if value >= 100 else f"{value:.2g}" if value < 10 else f"{value:.1f}"
        return f"{value:.3f}"

    unit = " MiB" if name.endswith("_bytes") else ""
    has_interval = name in ("accuracy", "macro_f1", "expected_calibration_error", "log_loss", "train_cpu_seconds")
    if not has_interval or interval.low is None or interval.high is None:
        return f"{shown(interval.mean)}{unit}", ""
    return shown(interval.mean), f"{shown(interval.low)} to {shown(interval.high)}"


def in_words(interval: Interval) -> str:
    """Return a mean and its interval for a tooltip."""
    if interval.low is None or interval.high is None:
        return f"{interval.mean:.3f}"
    return f"{interval.mean:.3f}, interval {interval.low:.3f} to {interval.high:.3f}"


def simulation_page(run: Simulation) -> str:
    """Return the page of a simulation, to be written as UTF-8. Texts and names are escaped."""
    learning, texts = run.learning, run.texts
    metric = METRIC_NAMES[learning.metric]
    counts = learning.counts()
    return _rendered(
        "simulation.html.j2",
        kind="Simulation",
        title=printable(PurePath(texts.source).name, None),
        conclusion=learning.conclusion(),
        facts=f"{_data_facts(texts)} · {counted(run.rounds, 'round')} of {counted(run.batch, 'text')} · "
        f"{counted(run.repeats, 'repeat')}",
        metric=metric,
        legend=[(name, swatch(number)) for number, name in enumerate(learning.strategies)],
        charts=[
            (name, learning_curves(f"curves-{number}", series, _round_ticks(counts), "labelled texts", metric))
            for number, name in enumerate(learning.classifiers)
            if (series := _learning_series(learning, name, counts))
        ],
        groups=[
            (name, [_strategy_row(learning, name, one) for one in learning.strategies])
            for name in learning.classifiers
        ],
        settings=[one.as_dict(0) for one in run.candidates],
        strategies=run.strategies,
        interval=INTERVAL,
        difference_interval=DIFFERENCE_INTERVAL,
        last=counts[-1] if counts else 0,
    )


def _learning_series(learning: Learning, classifier: str, counts: Sequence[int]) -> list[Series]:
    found = []
    for number, strategy in enumerate(learning.strategies):
        curve = learning.curve(classifier, strategy)
        points = [
            Point(float(count), one, f"{count:,} labelled texts: {in_words(one)}")
            for count, one in zip(counts, curve, strict=False)
        ]
        if points:
            found.append(Series(strategy, number, points))
    return found


def _round_ticks(counts: Sequence[int]) -> list[tuple[float, str]]:
    """Return about six ticks: numbers of labels that roughly double, and the last one."""
    chosen = [counts[0]]
    for count in counts[1:]:
        if count >= 1.7 * chosen[-1]:
            chosen.append(count)
    if chosen[-1] != counts[-1]:
        chosen = [*(one for one in chosen if one * 1.25 < counts[-1]), counts[-1]]
    return [(float(one), f"{one:,}") for one in chosen]


def _strategy_row(learning: Learning, classifier: str, strategy: str) -> dict[str, Any]:
    number = list(learning.strategies).index(strategy)
    curve, lead = learning.curve(classifier, strategy), learning.lead(classifier, strategy)
    needed = learning.needed(classifier, strategy)
    cells = [
        figure("accuracy", learning.area(classifier, strategy)),
        ("" if lead is None else f"{100 * lead.mean:+.1f}", "" if lead is None else points_range(lead)),
        figure("accuracy", curve[-1] if curve else None),
        ("" if needed is None else f"{needed:,}", ""),
        figure("train_cpu_seconds", learning.seconds(classifier, strategy, "train")),
        figure("train_cpu_seconds", learning.seconds(classifier, strategy, "query")),
    ]
    return {
        "strategy": strategy,
        "swatch": swatch(number),
        "figures": cells,
        "errors": list(learning.errors[classifier, strategy].values()),
    }


def points_range(one: Interval) -> str:
    """Return an interval in percentage points; empty if there is none.

    Examples
    --------
    >>> points_range(Interval(0.02, 0.01, 0.03))
    '+1.0 to +3.0'
    """
    return "" if one.low is None or one.high is None else f"{100 * one.low:+.1f} to {100 * one.high:+.1f}"
