"""Texts per CPU second of `smalltext serve`, and of the classifier called directly."""

from __future__ import annotations

from collections.abc import Iterator

from study import Group, Measurement, Study

CLASSIFIERS = ("sklearn", "embeddings")


def groups(quick: bool) -> Iterator[Group]:
    for classifier in CLASSIFIERS[:1] if quick else CLASSIFIERS:
        yield Group({"classifier": classifier}, (0,))


def tables(found: list[Measurement]) -> str:
    """Return a row for each way to predict texts, with the texts per CPU second of each classifier."""
    names = [one["classifier"] for one in found]
    rates: dict[str, list[float]] = {}
    for one in found:
        for way, rate in one["texts_per_cpu_second"].items():
            rates.setdefault(way, []).append(rate)
    rows = [f"| {way} | {' | '.join(f'{rate:,.0f}' for rate in found)} |" for way, found in rates.items()]
    return "\n".join([f"| | {' | '.join(names)} |", "| --- |" + " --- |" * len(names), *rows])


STUDIES = (
    Study(
        name="serving",
        script="serving_speed.py",
        groups=groups,
        tables=tables,
        libraries=("starlette", "uvicorn", "smalltext-cli", "scikit-learn"),
    ),
)
