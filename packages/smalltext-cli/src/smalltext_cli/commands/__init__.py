"""The commands, one a file, and the arguments and options that several of them share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal

import typer

from smalltext_cli import completion
from smalltext_cli.console import print_message
from smalltext_cli.readers.files import InputFormat, Quoting
from smalltext_cli.writers import OutputFormat
from smalltext_core.atomic import expanded

COLUMNS_PANEL = "The columns"
SCORING_PANEL = "Scoring"

ClassifierName = Annotated[
    str,
    typer.Argument(
        metavar="NAME",
        help="The name of a classifier, as `smalltext list` shows it.",
        autocompletion=completion.classifier_names,
    ),
]
ClassifierOption = Annotated[
    str,
    typer.Option(
        "--classifier",
        "-c",
        metavar="NAME",
        help="The name of a classifier; `smalltext list` shows them.",
        autocompletion=completion.classifier_names,
    ),
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="A parameter of the classifier; `smalltext info NAME` lists them. Repeat for several.",
        show_default=False,
        autocompletion=completion.settings,
    ),
]
_FORMATS = (
    "CSV, TSV, JSON, JSON lines, Parquet, Excel, or plain text with a text a line; also compressed, as .gz. "
    "- is standard input."
)
_DATA = typer.Argument(
    metavar="DATA",
    help=_FORMATS,
    callback=expanded,
    show_default=False,
)
Data = Annotated[str, _DATA]
DataFiles = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="DATA...",
        help=f"Files, folders of files and globs, in one format: {_FORMATS}",
        callback=lambda given: given and [expanded(one) for one in given],
        show_default=False,
    ),
]
Overwrite = Annotated[
    bool,
    typer.Option(
        "--overwrite/--no-clobber", metavar="", help="Whether what is there already is replaced, or an error."
    ),
]
ModelFolder = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        help="A folder that `smalltext train` wrote.",
        callback=expanded,
        autocompletion=completion.model_folders,
    ),
]
TextColumn = Annotated[
    str,
    typer.Option(metavar="NAME", help="The column, or JSON key, of the texts.", rich_help_panel=COLUMNS_PANEL),
]
LabelColumn = Annotated[
    str,
    typer.Option(metavar="NAME", help="The column, or JSON key, of the labels.", rich_help_panel=COLUMNS_PANEL),
]
Separator = Annotated[
    str | None,
    typer.Option(
        metavar="CHAR",
        help="The character between several labels of one text. By default |, unless it is a JSON list.",
        rich_help_panel=COLUMNS_PANEL,
    ),
]
Format = Annotated[
    InputFormat | None,
    typer.Option(
        "--format",
        help="The format of the file, or the tool that it is an export of. By default by its extension and shape.",
        rich_help_panel=COLUMNS_PANEL,
    ),
]
QuotingOption = Annotated[
    Quoting | None,
    typer.Option(
        "--quoting",
        help="minimal: double quotes enclose fields that hold delimiters, line breaks or quotes. none: a line is "
        "a row, and double quotes are part of the text. By default minimal for CSV; none for TSV, unless its "
        "header is in double quotes.",
        rich_help_panel=COLUMNS_PANEL,
        show_default=False,
    ),
]
OutputFormatOption = Annotated[
    OutputFormat | None,
    typer.Option(
        "--output-format",
        help="The format to write. By default that of the extension of FILE; CSV for standard output.",
    ),
]
SkipUnlabelled = Annotated[
    bool,
    typer.Option(
        "--skip-unlabelled",
        metavar="",
        help="Leave out texts without a label, instead of refusing them.",
        rich_help_panel=COLUMNS_PANEL,
    ),
]
Trust = Annotated[
    list[str] | None,
    typer.Option(
        metavar="TYPE",
        help="A type that the model may hold although it is not known to be safe. Repeat for several.",
        show_default=False,
    ),
]
Device = Annotated[
    str | None,
    typer.Option(metavar="DEVICE", help="The device to compute on, such as cpu or cuda.", show_default=False),
]
Quiet = Annotated[
    bool,
    typer.Option(
        "--quiet", "-q", metavar="", help="Print results and warnings alone: no progress, notes or counts."
    ),
]
Verbose = Annotated[
    bool, typer.Option("--verbose", "-v", metavar="", help="Print what the classifier logs as well.")
]
AsJson = Annotated[bool, typer.Option("--json", metavar="", help="Print JSON for programs instead of tables.")]
StudyFolder = Annotated[
    Path,
    typer.Option(
        "--output",
        "-o",
        metavar="FOLDER",
        help="Where finished trainings are kept, and report.html, results.json and results.csv are written.",
        show_default=False,
        callback=expanded,
    ),
]
Classifiers = Annotated[
    str | None,
    typer.Option(
        metavar="NAME,NAME,...",
        help="The classifiers; by default all installed ones that need no settings.",
        show_default=False,
    ),
]
NamedSettings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME.KEY=VALUE",
        help="A parameter of one classifier, such as setfit.model=./minilm. Repeat for several.",
        show_default=False,
    ),
]
Repeats = Annotated[
    int, typer.Option(metavar="N", min=1, max=1000, help="Training sets of each size; intervals need two.")
]
MetricOption = Annotated[
    Literal["accuracy", "macro-f1"] | None,
    typer.Option(
        "--metric",
        help="What decides which is best. By default accuracy; macro-f1 with --multi-label.",
        show_default=False,
    ),
]
MultiLabel = Annotated[
    bool, typer.Option("--multi-label", metavar="", help="Several classes, or none, may apply to a text.")
]
MaxClasses = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        min=1,
        help="Refuse data with more different labels. By default 1,000, or half as many as there are texts if "
        "that is less, but at least 100.",
        show_default=False,
        rich_help_panel=COLUMNS_PANEL,
    ),
]
HeldOut = Annotated[
    float,
    typer.Option(metavar="SHARE", min=0.01, max=0.9, help="The share of DATA to score on, 2,000 texts at most."),
]
StudySeed = Annotated[
    int,
    typer.Option("--seed", metavar="N", min=0, help="The random state of split, draws and trainings."),
]
Jobs = Annotated[int, typer.Option(metavar="N", min=1, help="Trainings to run at the same time.")]
ParallelBackend = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="A backend of joblib that distributes the trainings: loky, threading, dask or ray.",
        show_default=False,
    ),
]
RetryFailed = Annotated[
    bool, typer.Option("--retry-failed", metavar="", help="Run trainings again that failed earlier.")
]


@contextmanager
def kept_if_interrupted(folder: Path) -> Iterator[None]:
    """Say what is kept if the block is interrupted."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        print_message(f"Finished trainings are kept in {folder}; the same command goes on from there.")
        raise
