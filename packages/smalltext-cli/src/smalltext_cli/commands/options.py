"""The options that several commands share, so that each means the same everywhere."""

from __future__ import annotations

from typing import Annotated

import typer

from smalltext_cli.readers.files import FileFormat, Quoting
from smalltext_core.atomic import expanded

_COLUMNS = "The columns"

Data = Annotated[
    str,
    typer.Argument(
        metavar="DATA", help="CSV, TSV, JSON lines or Parquet; - is standard input.", callback=expanded
    ),
]
ModelFolder = Annotated[
    str, typer.Argument(metavar="MODEL", help="A folder that `smalltext train` wrote.", callback=expanded)
]

TextColumn = Annotated[
    str, typer.Option(metavar="NAME", help="The column, or JSON key, of the texts.", rich_help_panel=_COLUMNS)
]
LabelColumn = Annotated[
    str, typer.Option(metavar="NAME", help="The column, or JSON key, of the labels.", rich_help_panel=_COLUMNS)
]
Separator = Annotated[
    str | None,
    typer.Option(
        metavar="CHAR",
        help="What stands between several labels of one text. By default |, unless it is a JSON list.",
        rich_help_panel=_COLUMNS,
    ),
]
Format = Annotated[
    FileFormat | None,
    typer.Option("--format", help="What the file is. By default its ending says it.", rich_help_panel=_COLUMNS),
]
QuotingOption = Annotated[
    Quoting | None,
    typer.Option(
        "--quoting",
        help="minimal: double quotes enclose fields that hold delimiters, line breaks or quotes. none: a line is "
        "a row, and double quotes are part of the text. By default minimal for CSV; none for TSV, unless its "
        "header is in double quotes.",
        rich_help_panel=_COLUMNS,
        show_default=False,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for machines instead of tables.")]
Trust = Annotated[
    list[str] | None,
    typer.Option(
        metavar="TYPE",
        help="A type that the model may hold although it is not known to be safe. Repeat for several.",
        show_default=False,
    ),
]
Device = Annotated[
    str | None, typer.Option(metavar="DEVICE", help="Where to compute, such as cpu or cuda.", show_default=False)
]
