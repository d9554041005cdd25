"""``smalltext suggest``: write the texts of a pool to label next to a file to fill in."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from smalltext_cli import commands, completion
from smalltext_cli.console import OutputError, UsageError, counted, note, print_message, set_verbosity, working
from smalltext_cli.readers.files import STDIN
from smalltext_core.atomic import expanded

if TYPE_CHECKING:
    from smalltext_cli.suggestions import Pool


def suggest(
    model: commands.ModelFolder,
    pool: Annotated[
        str,
        typer.Argument(
            metavar="POOL", help="The texts to choose from, as for predict.", callback=expanded, show_default=False
        ),
    ],
    *,
    number: Annotated[
        int, typer.Option("--number", "-n", metavar="N", min=1, help="The number of texts to suggest.")
    ] = 20,
    output: Annotated[
        str,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="A .csv, .tsv, .jsonl or .parquet file to write; by default standard output.",
            callback=expanded,
            show_default=False,
        ),
    ] = STDIN,
    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite/--no-clobber",
            metavar="",
            help="Whether to replace FILE if it exists; it may contain labels that were filled in.",
        ),
    ] = False,
    exclude: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE",
            help="Do not suggest texts of this file, such as texts that are already labelled. Repeat for several.",
            show_default=False,
        ),
    ] = None,
    strategy: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="The query strategy: diverse-uncertainty by default; half-random chooses half of the texts at "
            "random; others are named as in simulate.",
            show_default=False,
            autocompletion=completion.listed_strategies,
        ),
    ] = "diverse-uncertainty",
    text_column: commands.TextColumn = "text",
    label_column: commands.LabelColumn = "label",
    file_format: commands.Format = None,
    quoting: commands.QuotingOption = None,
    sheet: commands.Sheet = None,
    output_format: commands.OutputFormatOption = None,
    seed: Annotated[int, typer.Option(metavar="N", min=0, help="The random state of the choice.")] = 0,
    trust: commands.Trust = None,
    device: commands.Device = None,
    quiet: commands.Quiet = False,
    verbose: commands.Verbose = False,
) -> None:
    """Suggest the texts to label next: uncertain ones that differ from one another.

    The suggested rows are written with all their columns, an empty column label, and a column uncertainty. Fill in
    the labels and pass the file to `smalltext train`, which skips rows that are still empty. By default, the
    10 N most uncertain texts are clustered by their embeddings, if the model has any, and one text per cluster is
    suggested. Texts that are already labelled, that the model was trained on, or that are copies of others are not
    suggested.

    Examples
    --------
        smalltext suggest model new.csv -n 20 --output next.csv

        smalltext suggest model new.csv -n 20 --strategy half-random --output next.csv

        smalltext suggest model new.jsonl --exclude labelled.csv --output next.jsonl
    """
    from smalltext_cli import predictions, suggestions, writers
    from smalltext_cli.evaluation import load_model
    from smalltext_cli.readers import Reader
    from smalltext_cli.readers.inputs import is_json_format

    set_verbosity(quiet=quiet, verbose=verbose)
    if label_column == text_column:
        raise UsageError(f"One column cannot be two things: {text_column!r}. Name different ones.")
    target_format = output_format or writers.output_format(output)
    writers.check_output(output, pool, model)
    if not overwrite and output != STDIN and Path(output).is_file():
        raise OutputError(
            f"{output}: it already exists, and labels may be filled in. Choose another place, or pass --overwrite."
        )
    replaced = writers.replaced_file(output)
    with working(f"Loading {model} ..."):
        loaded = load_model(model, trusted=trust, device=device)
    suggestions.check_strategy(loaded, strategy)
    left_out = suggestions.LeftOut.of(exclude or [], text_column, model, loaded.manifest)
    reader = Reader(text_column, file_format=file_format, quoting=quoting, sheet=sheet, keep_columns=True)
    begin = time.perf_counter()
    with reader.open(pool) as opened:
        with working("Reading ..."):
            candidates = suggestions.Pool.of(opened.rows, label_column, left_out, multi_label=loaded.multi_label)
        with working(f"Scoring {counted(len(candidates.rows), 'text')} ..."):
            chosen = suggestions.choose(loaded, candidates, number, strategy=strategy, seed=seed)
        with (
            writers.table_writer(output, target_format) as write,
            predictions.row_writer(
                opened.source.header, write, target_format, is_json=is_json_format(opened.source.file_format)
            ) as write_rows,
        ):
            write_rows(chosen.rows, chosen.table(label_column, opened.source.header))
    _report(candidates, len(chosen.rows), f"{writers.output_name(output)}{replaced}", time.perf_counter() - begin)
    for sentence in opened.source.counts.notes():
        note(sentence)


def _report(candidates: Pool, count: int, place: str, seconds: float) -> None:
    total = counted(candidates.total, "text")
    print_message(f"Suggested {count:,} of {total} in {seconds:.1f} s: {place}")
    reasons = [f"{number:,} {reason}" for reason, number in candidates.not_suggested.items() if number]
    if reasons:
        note(f"texts that could not be suggested: {', '.join(reasons)}.")
