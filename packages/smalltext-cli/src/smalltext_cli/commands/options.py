"""The options that several commands share, so that each means the same everywhere."""

from __future__ import annotations

from typing import Annotated

import typer

from smalltext_cli.sources import FileFormat

_COLUMNS = "The columns"

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
