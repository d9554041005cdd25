"""``smalltext train``: train a classifier on labelled texts, score it and save it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from smalltext_cli import commands
from smalltext_cli.console import (
    UsageError,
    counted,
    jsonable,
    print_json,
    print_line,
    print_message,
    process_number,
    set_verbosity,
)
from smalltext_core.atomic import expanded

if TYPE_CHECKING:
    from smalltext_cli.training_run import TrainingRun


def train(
    data: commands.LabelledData,
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
    weight_column: commands.WeightColumn = None,
    multi_label: commands.MultiLabel = False,
    max_classes: commands.MaxClasses = None,
    skip_unlabelled: commands.SkipUnlabelled = False,
    separator: commands.Separator = None,
    file_format: commands.Format = None,
    quoting: commands.QuotingOption = None,
    sheet: commands.Sheet = None,
    validation: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Score on these texts instead of a held-out set of DATA. kimcnn, transformers and setfit use "
            "them for early stopping or calibration, too.",
            show_default=False,
            callback=expanded,
            rich_help_panel=commands.SCORING_PANEL,
        ),
    ] = None,
    held_out: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE",
            min=0,
            max=0.9,
            help="The share of DATA to hold out for scoring; by default 0.2.",
            show_default=False,
            rich_help_panel=commands.SCORING_PANEL,
        ),
    ] = None,
    cv: Annotated[
        int | None,
        typer.Option(
            "--cv",
            metavar="FOLDS",
            min=2,
            help="Score by cross-validation with this number of folds, and train the saved model on all texts.",
            show_default=False,
            rich_help_panel=commands.SCORING_PANEL,
        ),
    ] = None,
    refit: Annotated[
        bool,
        typer.Option(
            "--refit/--no-refit",
            metavar="",
            help="Whether to train the saved model on all texts, or to save the one that was scored.",
            rich_help_panel=commands.SCORING_PANEL,
        ),
    ] = True,
    report: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Write an HTML report on the scored texts to this file.",
            show_default=False,
            callback=expanded,
            rich_help_panel=commands.SCORING_PANEL,
        ),
    ] = None,
    overwrite: commands.Overwrite = True,
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

    A model is scored on a held-out set, and then a model is trained on all texts and saved. Copies of a text are
    never split between training and held-out set. The model folder appears only once it is complete.

    Under torchrun or accelerate launch, kimcnn and transformers are trained by all processes jointly.

    Examples
    --------
        smalltext train mails.csv --classifier sklearn

        smalltext train papers.jsonl -c sklearn -o model --multi-label --set class_weight=balanced --seed 1

        smalltext train mails.csv -c sklearn --cv 5 --report report.html

        smalltext train train.tsv -c sklearn -o model --validation test.tsv --text-column body
    """
    from smalltext_cli import writers
    from smalltext_cli.readers import Reader
    from smalltext_cli.training_run import TrainingRun

    set_verbosity(quiet=quiet, verbose=verbose)
    if report is not None:
        if held_out == 0:
            raise UsageError("--report needs scored texts, and --held-out 0 leaves none. Leave one of them out.")
        writers.check_file_output(report, data, None, overwrite=overwrite)
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
            sheet=sheet,
            unlabelled="skip" if skip_unlabelled else "refuse",
        ),
        settings or [],
        output=output,
        validation=validation,
        held_out=held_out,
        cv=cv,
        refit=refit,
        overwrite=overwrite,
        max_classes=max_classes,
        seed=seed,
        device=device,
    )
    run.run()
    if process_number() > 0:
        return
    if as_json:
        print_json(
            {
                "model": str(run.output),
                "classifier": classifier,
                "parameters": jsonable(run.values),
                "data": run.summary.as_dict(),
                "trained_on": run.trained_on,
                "seconds": round(run.seconds, 3),
                **run.probabilities.as_dict(),
                "scores": run.document,
            }
        )
    else:
        _show(run)
    if report is not None:
        from smalltext_cli.report import render_report

        replaced = writers.replaced_file(report)
        writers.write_file(report, render_report(run.evaluation()).encode())
        print_message(f"Report: {report}{replaced}")


def _show(run: TrainingRun) -> None:
    from smalltext_cli.diagnostics import scores_text

    scoring = "" if run.scored is None or run.is_scored_model_saved else ", including the training for the scores"
    print_line(f"Trained on {counted(run.trained_on, 'text')} in {run.seconds:.1f} s{scoring}")
    if run.document is None:
        print_line("There are no scores: no text was held out. Give --validation FILE, --held-out, or more texts.")
    else:
        print_line(f"On {counted(run.document['texts'], 'text')} {run.described}: {scores_text(run.document)}")
        print_line(run.scored_model)
    for name, words in run.probabilities.as_text().items():
        print_line(f"{name.capitalize()}: {words}")
    print_line(f"Model: {run.output}{' (replaced the one that was there)' if run.is_replaced else ''}")
