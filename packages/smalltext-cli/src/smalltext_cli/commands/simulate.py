"""``smalltext simulate``: simulate active learning, to find the strategy that needs the fewest labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from smalltext_cli import completion
from smalltext_cli.commands.study_options import StudyOptions, with_study_options
from smalltext_cli.console import (
    new_table,
    plain,
    print_line,
    results,
)

if TYPE_CHECKING:
    from smalltext_cli.compare.simulation import Simulation


@with_study_options
def simulate(
    options: StudyOptions,
    *,
    strategies: Annotated[
        str | None,
        typer.Option(
            metavar="NAME,NAME,...",
            help="Query strategies: random, which is always included, diverse-uncertainty (the default of "
            "suggest), half-random, and those of small-text and scikit-activeml. By default "
            "least-confidence and breaking-ties, or one for several labels with --multi-label.",
            show_default=False,
            autocompletion=completion.listed_strategies,
        ),
    ] = None,
    rounds: Annotated[
        int, typer.Option(metavar="N", min=1, help="The number of rounds of choosing and labelling texts.")
    ] = 20,
    batch: Annotated[int, typer.Option(metavar="N", min=1, help="The number of texts labelled per round.")] = 20,
) -> None:
    """Simulate active learning, to see how many labels each query strategy saves on your texts.

    The labels of DATA take the place of an annotator. Each simulation starts with a few labelled texts, and a
    strategy chooses the next ones in each round. Finished simulations and rounds are kept in the folder: run the
    same command again to resume after an interruption.

    Examples
    --------
        smalltext simulate mails.csv --classifiers sklearn -o simulation

        smalltext simulate mails.csv --classifiers sklearn --strategies breaking-ties,typiclust -o simulation
    """
    from smalltext_cli.compare.pages import simulation_page
    from smalltext_cli.compare.simulation import Simulation

    run = options.new(
        Simulation, "Simulating active learning on", strategies=strategies, rounds=rounds, batch=batch
    )
    options.run(run, simulation_page, _show)
    if not any(run.learning.runs.values()):
        raise typer.Exit(1)


def _show(run: Simulation) -> None:
    from smalltext_cli.compare.intervals import INTERVAL
    from smalltext_cli.compare.pages import figure, points_range
    from smalltext_cli.compare.study import REPORT

    learning = run.learning
    for classifier in learning.classifiers:
        print_line(f"\n{classifier}", style="bold")
        headers = ("", "area", "interval", "above random", "interval", "at the end", "CPU s per round")
        table = new_table(*headers, padding=(0, 1, 0, 0))
        table.columns[0].no_wrap = True  # strategies that are cut would look alike
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
