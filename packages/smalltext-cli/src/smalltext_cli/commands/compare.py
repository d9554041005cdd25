"""``smalltext compare``: train several classifiers on the same texts, and show which is best at each size."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from smalltext_cli.commands.study_options import StudyOptions, with_study_options
from smalltext_cli.console import (
    new_table,
    plain,
    print_line,
    results,
)

if TYPE_CHECKING:
    from smalltext_cli.compare.comparison import Comparison

_COLUMNS = {
    "accuracy": "accuracy",
    "macro_f1": "macro F1",
    "expected_calibration_error": "ECE",
    "log_loss": "log loss",
    "train_cpu_seconds": "CPU s",
    "texts_per_second": "texts/s",
    "peak_memory_bytes": "MiB",
    "size_bytes": "disk",
}


@with_study_options
def compare(
    options: StudyOptions,
    *,
    shots: Annotated[
        str,
        typer.Option(
            metavar="N,N,...",
            help="Numbers of training texts per class; all means all texts that are not held out.",
        ),
    ] = "8,32,128,all",
) -> None:
    """Compare classifiers on your texts: which one is best for how many labels, and what it costs.

    All classifiers are trained on the same training sets and scored on the same held-out set; each training run
    is a separate process. Finished training runs are kept in the folder: run the same command again to resume
    after an interruption. The folder gets report.html, results.json and results.csv. By default, all installed
    classifiers that need no settings are compared.

    Examples
    --------
        smalltext compare mails.csv -o comparison

        smalltext compare mails.csv --classifiers sklearn,setfit --set setfit.model=./minilm -o comparison

        smalltext compare papers.jsonl --multi-label --repeats 3 --jobs 2 -o comparison
    """
    from smalltext_cli.compare.comparison import Comparison
    from smalltext_cli.compare.pages import comparison_page

    run = options.new(Comparison, "Comparing classifiers on", shots=shots)
    options.run(run, comparison_page, _show)
    if not any(place.results for place in run.summary.places.values()):
        raise typer.Exit(1)


def _show(run: Comparison) -> None:
    from smalltext_cli.compare.intervals import INTERVAL
    from smalltext_cli.compare.pages import figure
    from smalltext_cli.compare.sampling import described_shots
    from smalltext_cli.compare.study import REPORT

    headers = (
        "",
        _COLUMNS[run.metric],
        "interval",
        *(words for one, words in _COLUMNS.items() if one != run.metric),
    )
    for shots in run.shots:
        print_line(f"\n{described_shots(shots)} ({run.training_texts(shots):,} to train on)", style="bold")
        table = new_table(*headers, padding=(0, 1, 0, 0))
        failed = []
        for name in run.summary.classifiers:
            place = run.summary.places[name, shots]
            cells = {one: place.interval(one) for one in _COLUMNS}
            shown = {one: figure(one, interval)[0].removesuffix(" MiB") or "-" for one, interval in cells.items()}
            chosen = cells[run.metric]
            interval = "-"
            if chosen is not None and chosen.low is not None and chosen.high is not None:
                interval = f"{chosen.low:.2f}-{chosen.high:.2f}"
            table.add_row(plain(name, 16), shown.pop(run.metric), interval, *shown.values())
            failed += [f"{name}, repeat {repeat + 1}: {error}" for repeat, error in sorted(place.errors.items())]
        results().print(table)
        for line in failed:
            print_line(f"failed: {line}")
    if run.repeats > 1:
        print_line(f"\ninterval: {INTERVAL}.")
    print_line(
        "ECE: expected calibration error. CPU s: CPU seconds per run. MiB: peak memory. disk: MiB of a model."
    )
    print_line(f"\n{run.summary.conclusion()}", style="bold")
    print_line(f"Report: {run.kept.folder / REPORT}")
