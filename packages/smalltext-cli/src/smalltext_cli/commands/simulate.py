"""``smalltext simulate``: active learning on labelled texts, to see which strategy needs the fewest labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from smalltext_cli import commands
from smalltext_cli.console import (
    new_table,
    plain,
    print_json,
    print_line,
    print_message,
    results,
    set_verbosity,
)

if TYPE_CHECKING:
    from smalltext_cli.compare.simulating import Simulation


def simulate(
    data: commands.Data,
    *,
    output: commands.StudyFolder,
    classifiers: commands.Classifiers = None,
    strategies: Annotated[
        str | None,
        typer.Option(
            metavar="NAME,NAME,...",
            help="Query strategies of small-text or scikit-activeml; random is always included. By default "
            "least-confidence and breaking-ties; category-vector-inconsistency with --multi-label.",
            show_default=False,
        ),
    ] = None,
    rounds: Annotated[int, typer.Option(metavar="N", min=1, help="How often texts are chosen and labelled.")] = 20,
    batch: Annotated[int, typer.Option(metavar="N", min=1, help="Texts that are labelled in each round.")] = 20,
    repeats: commands.Repeats = 5,
    settings: commands.NamedSettings = None,
    metric: commands.MetricOption = None,
    text_column: commands.TextColumn = "text",
    label_column: commands.LabelColumn = "label",
    multi_label: commands.MultiLabel = False,
    max_classes: commands.MaxClasses = None,
    separator: commands.Separator = None,
    file_format: commands.Format = None,
    quoting: commands.QuotingOption = None,
    held_out: commands.HeldOut = 0.3,
    seed: commands.StudySeed = 0,
    device: commands.Device = None,
    jobs: commands.Jobs = 1,
    parallel_backend: commands.ParallelBackend = None,
    retry_failed: commands.RetryFailed = False,
    as_json: commands.AsJson = False,
    quiet: commands.Quiet = False,
) -> None:
    """Simulate active learning: how many labels each query strategy saves on your texts.

    The labels of DATA play the annotator. Each simulation starts with a few texts, and in each round a strategy
    chooses the next ones. The folder keeps finished simulations and rounds: the same command goes on from there.

    Examples
    --------
        smalltext simulate mails.csv --classifiers sklearn -o simulation

        smalltext simulate mails.csv --classifiers sklearn --strategies breaking-ties,typiclust -o simulation
    """
    from smalltext_cli.compare.comparison import REPORT, RESULTS
    from smalltext_cli.compare.pages import simulation_page
    from smalltext_cli.compare.simulating import Simulation
    from smalltext_cli.readers import Reader
    from smalltext_cli.writers import write_file

    set_verbosity(quiet=quiet)
    print_message(f"Simulating active learning on {data} ...")
    run = Simulation(
        data,
        Reader(text_column, label_column, None, multi_label, separator, file_format, quoting),
        output,
        classifiers=classifiers,
        strategies=strategies,
        rounds=rounds,
        batch=batch,
        repeats=repeats,
        settings=settings or [],
        metric=None if metric is None else metric.replace("-", "_"),
        held_out=held_out,
        max_classes=max_classes,
        seed=seed,
        device=device,
    )
    with commands.kept_if_interrupted(run.kept.folder):
        run.run(jobs=jobs, backend=parallel_backend, retry_failed=retry_failed)
        write_file(str(output / REPORT), simulation_page(run).encode())
    if as_json:
        import json

        print_json(json.loads((output / RESULTS).read_text(encoding="utf-8")))
    else:
        _show(run)
    if not any(run.learning.runs.values()):
        raise typer.Exit(1)


def _show(run: Simulation) -> None:
    from smalltext_cli.compare.comparison import REPORT
    from smalltext_cli.compare.intervals import INTERVAL
    from smalltext_cli.compare.pages import figure, points_range

    learning = run.learning
    for classifier in learning.classifiers:
        print_line(f"\n{classifier}", style="bold")
        headers = ("", "area", "interval", "above random", "interval", "at the end", "CPU s a round")
        table = new_table(*headers, padding=(0, 1, 0, 0))
        for strategy in learning.strategies:
            area, lead = learning.area(classifier, strategy), learning.lead(classifier, strategy)
            curve, seconds = learning.curve(classifier, strategy), learning.seconds(classifier, strategy, "train")
            bounds = "-"
            if area is not None and area.low is not None and area.high is not None:
                bounds = f"{area.low:.2f}-{area.high:.2f}"
            table.add_row(
                plain(strategy, 30),
                figure("accuracy", area)[0] or "-",
                bounds,
                "-" if lead is None else f"{100 * lead.mean:+.1f}",
                "-" if lead is None else points_range(lead),
                f"{curve[-1].mean:.3f}" if curve else "-",
                figure("train_cpu_seconds", seconds)[0] or "-",
            )
        results().print(table)
        for strategy in learning.strategies:
            for repeat, error in sorted(learning.errors[classifier, strategy].items()):
                print_line(f"failed: {strategy}, repeat {repeat + 1}: {error}")
    print_line("\narea: under the learning curve, by the number of labels. above random: in percentage points.")
    if run.repeats > 1:
        print_line(f"interval: {INTERVAL}.")
    print_line(f"\n{learning.conclusion()}", style="bold")
    print_line(f"Report: {run.kept.folder / REPORT}")
