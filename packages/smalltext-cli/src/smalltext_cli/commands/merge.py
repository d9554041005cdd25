"""``smalltext merge``: join the output of sharded prediction jobs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from smalltext_cli import commands
from smalltext_cli.console import counted, print_message, say_if_interrupted, set_verbosity, working
from smalltext_cli.writers import OutputFormat
from smalltext_core.atomic import expanded


def merge(
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="FOLDER", help="A folder that `smalltext predict --shard` wrote.", callback=expanded
        ),
    ],
    *,
    output: Annotated[
        str,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="A .csv, .tsv, .jsonl or .parquet file to write; - is standard output.",
            callback=expanded,
            show_default=False,
        ),
    ],
    overwrite: commands.Overwrite = True,
    output_format: commands.OutputFormatOption = None,
    quiet: commands.Quiet = False,
) -> None:
    """Join the parts of a sharded prediction into one file, in the order of the input.

    FILE is the same as without shards. If a shard is incomplete, nothing is written, and the error says which one
    and how to complete it. The parts are kept.

    Examples
    --------
        smalltext merge parts --output labelled.parquet
    """
    from smalltext_cli import writers
    from smalltext_cli.sharding import merging

    set_verbosity(quiet=quiet)
    target_format: OutputFormat = output_format or writers.output_format(output)
    plan = merging.complete_plan(folder)
    merging.check_merge(folder, plan, output, target_format)
    writers.check_output(output, None, None, overwrite=overwrite)
    replaced = writers.replaced_file(output)
    if output != writers.STDOUT:
        say_if_interrupted(f"{output} is unchanged." if replaced else f"{output} was not written.")
    with working(f"Merging {counted(plan.rows, 'row')} ..."):
        parts = merging.merge(folder, plan, output, target_format)
    print_message(
        f"Merged {counted(plan.rows, 'row')} in {counted(parts, 'part')} of {counted(plan.shards, 'shard')}: "
        f"{writers.output_name(output)}{replaced}"
    )
