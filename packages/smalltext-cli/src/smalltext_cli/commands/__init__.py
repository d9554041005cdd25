"""The commands, one a file, and the arguments and options that several of them share."""

from __future__ import annotations

from typing import Annotated

import typer

from smalltext_cli.readers.files import InputFormat, Quoting
from smalltext_core.atomic import expanded

COLUMNS_PANEL = "The columns"

ClassifierName = Annotated[
    str, typer.Argument(metavar="NAME", help="The name of a classifier, as `smalltext list` shows it.")
]
ClassifierOption = Annotated[
    str,
    typer.Option(
        "--classifier", "-c", metavar="NAME", help="The name of a classifier; `smalltext list` shows them."
    ),
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="A parameter of the classifier; `smalltext info NAME` lists them. Repeat for several.",
        show_default=False,
    ),
]
_DATA = typer.Argument(
    metavar="DATA",
    help="CSV, TSV, JSON, JSON lines, Parquet, Excel, or plain text with a text a line; also compressed, as .gz. "
    "- is standard input.",
    callback=expanded,
    show_default=False,
)
Data = Annotated[str, _DATA]
OptionalData = Annotated[str | None, _DATA]
Overwrite = Annotated[
    bool,
    typer.Option(
        "--overwrite/--no-clobber", metavar="", help="Whether what is there already is replaced, or an error."
    ),
]
ModelFolder = Annotated[
    str, typer.Argument(metavar="MODEL", help="A folder that `smalltext train` wrote.", callback=expanded)
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
