"""``smalltext train``: train a classifier on labelled texts, and save it with its scores."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from smalltext_cli import commands
from smalltext_cli.console import counted, jsonable, print_json, print_line, set_verbosity
from smalltext_core.atomic import expanded

if TYPE_CHECKING:
    from smalltext_cli.training_run import TrainingRun


def train(
    data: commands.Data,
    *,
    classifier: commands.ClassifierOption,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FOLDER",
            help="The model folder to write; by default mails-model for DATA mails.csv.",
            show_default=False,
            callback=expanded,
        ),
    ] = None,
    settings: commands.Settings = None,
    text_column: commands.TextColumn = "text",
    label_column: commands.LabelColumn = "label",
    weight_column: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="The column, or JSON key, of the weights of the texts.",
            rich_help_panel=commands.COLUMNS_PANEL,
        ),
    ] = None,
    multi_label: Annotated[
        bool, typer.Option("--multi-label", metavar="", help="Several classes, or none, may apply to a text.")
    ] = False,
    max_classes: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            help="Refuse data with more different labels. By default 1,000, or half as many as there are texts if "
            "that is less, but at least 100.",
            show_default=False,
            rich_help_panel=commands.COLUMNS_PANEL,
        ),
    ] = None,
    skip_unlabelled: commands.SkipUnlabelled = False,
    separator: commands.Separator = None,
    file_format: commands.Format = None,
    quoting: commands.QuotingOption = None,
    validation: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Score on these texts instead of a held-out part of DATA.",
            show_default=False,
            callback=expanded,
        ),
    ] = None,
    held_out: Annotated[
        float,
        typer.Option(metavar="SHARE", min=0, max=0.9, help="The share of DATA that is held out to score on."),
    ] = 0.2,
    seed: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=0, help="The random state of the split and of the training.", show_default=False
        ),
    ] = None,
    device: commands.Device = None,
    as_json: commands.AsJson = False,
    quiet: commands.Quiet = False,
    verbose: commands.Verbose = False,
) -> None:
    """Train a classifier on labelled texts.

    Part of the texts is held out, and the model is scored on it; copies of a text are never on both sides. The
    model folder appears only once it is complete.

    Examples
    --------
        smalltext train mails.csv --classifier sklearn

        smalltext train papers.jsonl -c sklearn -o model --multi-label --set class_weight=balanced --seed 1

        smalltext train train.tsv -c sklearn -o model --validation test.tsv --text-column body
    """
    from smalltext_cli.readers import Reader
    from smalltext_cli.training_run import TrainingRun

    set_verbosity(quiet=quiet, verbose=verbose)
    run = TrainingRun(
        classifier,
        data,
        Reader(
            text_column,
            label_column,
            weight_column,
            multi_label,
            separator,
            file_format,
            quoting,
            unlabelled="skip" if skip_unlabelled else "refuse",
        ),
        settings or [],
        output=output,
        validation=validation,
        held_out=held_out,
        max_classes=max_classes,
        seed=seed,
        device=device,
    )
    run.run()
    if as_json:
        print_json(
            {
                "model": str(run.output),
                "classifier": classifier,
                "parameters": jsonable(run.values),
                "data": run.summary.as_dict(),
                "trained_on": len(run.split.train),
                "seconds": round(run.seconds, 3),
                **run.probabilities.as_dict(),
                "scores": run.document,
            }
        )
    else:
        _show(run)


def _show(run: TrainingRun) -> None:
    from smalltext_cli.diagnostics import scores_text

    print_line(f"Trained on {counted(len(run.split.train), 'text')} in {run.seconds:.1f} s")
    if run.document is None:
        print_line("There are no scores: no text was held out. Give --validation FILE, or more texts.")
    else:
        texts = counted(run.document["texts"], "text")
        print_line(f"On {texts} {run.split.described}: {scores_text(run.document)}")
    for name, words in run.probabilities.as_text().items():
        print_line(f"{name.capitalize()}: {words}")
    print_line(f"Model: {run.output}")
