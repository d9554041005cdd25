"""``smalltext predict``: label new texts with a saved model, however many there are."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from smalltext_cli import commands
from smalltext_cli.console import (
    UsageError,
    counted,
    note,
    print_message,
    progress_bar,
    say_if_interrupted,
    set_verbosity,
    working,
)
from smalltext_cli.readers.files import STDIN
from smalltext_cli.writers import OutputFormat
from smalltext_core.atomic import expanded


def predict(
    model: commands.ModelFolder,
    data: commands.OptionalData = None,
    *,
    texts: Annotated[
        list[str] | None,
        typer.Option(
            "--text",
            metavar="TEXT",
            help="A text to label, instead of DATA. Repeat for several.",
            show_default=False,
        ),
    ] = None,
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
    overwrite: commands.Overwrite = True,
    proba: Annotated[
        bool, typer.Option("--proba", metavar="", help="Add the probability of each class: proba_NAME.")
    ] = False,
    top: Annotated[
        int,
        typer.Option(
            metavar="N", min=0, help="Add the N most probable classes: label_1, proba_1, ...", show_default=False
        ),
    ] = 0,
    text_column: commands.TextColumn = "text",
    file_format: commands.Format = None,
    quoting: commands.QuotingOption = None,
    output_format: Annotated[
        OutputFormat | None,
        typer.Option(
            help="The format to write. By default that of the extension of FILE; CSV for standard output."
        ),
    ] = None,
    trust: commands.Trust = None,
    device: commands.Device = None,
    quiet: commands.Quiet = False,
    verbose: commands.Verbose = False,
) -> None:
    """Label new texts with a trained model.

    All columns of DATA are kept, and the columns label and score, the probability of the label, are added; they
    are called predicted_label and predicted_score if DATA has columns of these names. The rows come in order.
    Memory does not grow with the file, and FILE appears only once it is complete.

    Examples
    --------
        smalltext predict model new.csv --output labelled.csv

        smalltext predict model --text "buy cheap pills" --text "lunch tomorrow?"

        smalltext predict model new.jsonl --output labelled.parquet --proba --top 3

        cat new.jsonl | smalltext predict model - --output-format jsonl
    """
    from smalltext_cli import predictions, writers
    from smalltext_cli.evaluation import load_model
    from smalltext_cli.readers import Reader, given_texts

    set_verbosity(quiet=quiet, verbose=verbose)
    if (data is None) == (not texts):
        raise UsageError("Give DATA, a file of texts (- is standard input), or --text, but not both.")
    target_format = output_format or writers.output_format(output)
    writers.check_output(output, data, model, overwrite=overwrite)
    with working(f"Loading {model} ..."):
        loaded = load_model(model, trusted=trust, device=device)
    predictor = predictions.Predictor(loaded, proba=proba, top=top)
    reader = Reader(text_column, file_format=file_format, quoting=quoting, keep_columns=True)
    replaced = writers.replaced_file(output)
    if output != writers.STDOUT:
        say_if_interrupted(f"{output} is as it was." if replaced else f"{output} was not written.")
    begin = time.perf_counter()
    done = 0
    names: dict[str, str] = {}
    with (
        given_texts(texts or [], text_column) if data is None else reader.open(data) as opened,
        writers.table_writer(output, target_format) as write,
        predictions.row_writer(opened.source, write, target_format, names.update) as write_rows,
        progress_bar("Labelling") as update,
    ):
        for rows in predictions.row_chunks(opened.rows):
            write_rows(rows, predictor.table([row.text for row in rows]))
            done += len(rows)
            update(done, opened.source.fraction)
    place = "standard output" if output == writers.STDOUT else output
    print_message(f"Labelled {counted(done, 'text')} in {time.perf_counter() - begin:.1f} s: {place}{replaced}")
    counts = opened.source.counts
    for sentence in (*counts.notes(), *predictions.renamed_notes(names, counts.repeated_columns)):
        note(sentence)
    if predictor.without_class:
        note(f"no class is above its threshold for {predictor.without_class:,} of {counted(done, 'text')}.")
