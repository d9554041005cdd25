"""Calibration in active learning: query strategies on pools of 1,500 texts, from 20 to 200 labels in steps of 10.

Two pools of each corpus, scored on 1,000 other texts. `random` is what probabilities are usually measured with;
`diverse-uncertainty` is the default of `smalltext suggest`, and `half-random` chooses half of the texts like it,
and the others at random. A quick look takes three of the corpora, one pool each, and `sklearn` only.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator

from study import Group, Measurement, Study

CORPORA = ("products", "election", "reviews", "tweets", "editorials", "spam", "r8")
QUICK = ("products", "reviews", "r8")
BACKENDS = ("sklearn", "embeddings")
POOLS = 2
MEASURES = {
    "accuracy": "accuracy",
    "calibration_error": "expected calibration error",
    "overconfidence": "mean confidence minus accuracy",
    "log_loss": "log loss",
}


def groups(quick: bool) -> Iterator[Group]:
    for backend in BACKENDS[:1] if quick else BACKENDS:
        for corpus in QUICK if quick else CORPORA:
            yield Group({"corpus": corpus, "backend": backend}, tuple(range(1 if quick else POOLS)))


def tables(measurements: list[Measurement]) -> str:
    """Return a table in Markdown: means over corpora and pools."""
    lines = [f"| | labels | strategy | {' | '.join(MEASURES.values())} |", f"| --- | --- | --- |{' --- |' * 4}"]
    for backend in BACKENDS:
        found = [each["curves"] for each in measurements if each["backend"] == backend]
        for strategy, curve in found[0].items() if found else ():
            for size in curve:
                cells = [one[strategy][size] for one in found]
                means = [f"{statistics.fmean(cell[measure] for cell in cells):.3f}" for measure in MEASURES]
                lines.append(f"| {backend} | {size} | {strategy} | {' | '.join(means)} |")
    return "\n".join(lines)


STUDIES = (
    Study(
        name="active-learning",
        script="active_learning.py",
        groups=groups,
        tables=tables,
        libraries=("numpy", "scikit-learn", "small-text", "smalltext-core", "smalltext-sklearn"),
    ),
)
