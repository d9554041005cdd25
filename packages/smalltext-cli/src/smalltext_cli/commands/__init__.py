"""The commands, one per file, and the arguments and options that several of them share."""

from __future__ import annotations

from typing import Annotated

import typer

from smalltext_cli import completion
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
_LABELLED_FORMATS = (
    "CSV, TSV, JSON, JSON Lines, Parquet, Excel, or an export of an annotation tool; also compressed (.gz). "
    "- is standard input."
)
_FORMATS = (
    "CSV, TSV, JSON, JSON Lines, Parquet, Excel, an export of an annotation tool, or plain text with one text per "
    "line; also compressed (.gz). - is standard input."
)
LabelledData = Annotated[
    str, typer.Argument(metavar="DATA", help=_LABELLED_FORMATS, callback=expanded, show_default=False)
]
Data = Annotated[str, typer.Argument(metavar="DATA", help=_FORMATS, callback=expanded, show_default=False)]
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
    typer.Option("--overwrite/--no-clobber", metavar="", help="Whether to replace existing output, or to stop."),
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
        help="The character between the labels of a text. By default |, unless labels are a JSON list.",
        rich_help_panel=COLUMNS_PANEL,
    ),
]
Format = Annotated[
    InputFormat | None,
    typer.Option(
        "--format",
        help="The format of the file, or the tool that exported it. Recognised automatically by default.",
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
        help="The output format. By default according to the extension of FILE; CSV for standard output, and "
        "Parquet for shards.",
    ),
]
Sheet = Annotated[
    str | None,
    typer.Option(
        "--sheet",
        metavar="NAME",
        help="The sheet of an Excel workbook to read. By default the first one.",
        show_default=False,
        rich_help_panel=COLUMNS_PANEL,
    ),
]
WeightColumn = Annotated[
    str | None,
    typer.Option(
        "--weight-column",
        metavar="NAME",
        help="The column, or JSON key, of the weights of the texts.",
        show_default=False,
        rich_help_panel=COLUMNS_PANEL,
    ),
]
SkipUnlabelled = Annotated[
    bool,
    typer.Option(
        "--skip-unlabelled",
        metavar="",
        help="Skip texts without a label, instead of stopping with an error.",
        rich_help_panel=COLUMNS_PANEL,
    ),
]
Trust = Annotated[
    list[str] | None,
    typer.Option(
        metavar="TYPE",
        help="A type to load from the model although it is not known to be safe. Repeat for several.",
        show_default=False,
    ),
]
Device = Annotated[
    str | None,
    typer.Option(metavar="DEVICE", help="The device to run on, such as cpu or cuda.", show_default=False),
]
Quiet = Annotated[
    bool,
    typer.Option(
        "--quiet", "-q", metavar="", help="Print only results and warnings: no progress, notes or counts."
    ),
]
Verbose = Annotated[
    bool, typer.Option("--verbose", "-v", metavar="", help="Also print the log of the classifier.")
]
AsJson = Annotated[bool, typer.Option("--json", metavar="", help="Print JSON for programs instead of tables.")]
MultiLabel = Annotated[
    bool, typer.Option("--multi-label", metavar="", help="Several classes, or none, may apply to a text.")
]
MaxClasses = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        min=1,
        help="Reject data with more classes. By default 1,000, or half the number of texts if that is less, but "
        "at least 100.",
        show_default=False,
        rich_help_panel=COLUMNS_PANEL,
    ),
]
