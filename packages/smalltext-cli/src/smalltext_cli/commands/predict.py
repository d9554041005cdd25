"""``smalltext predict``: new texts in, labels out, however many there are."""

from __future__ import annotations

import time
from contextlib import closing
from typing import Annotated

import typer

from smalltext_cli.commands.options import (
    Data,
    Device,
    Format,
    ModelFolder,
    QuotingOption,
    TextColumn,
    Trust,
)
from smalltext_cli.console import messages, note, working
from smalltext_cli.readers.files import FileFormat, format_of
from smalltext_core.atomic import expanded


def predict(
    model: ModelFolder,
    data: Data,
    *,
    output: Annotated[
        str,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="A .csv, .tsv, .jsonl or .parquet file; - is standard output.",
            callback=expanded,
        ),
    ],
    proba: Annotated[bool, typer.Option("--proba", help="Add the probability of each class: proba_NAME.")] = False,
    top: Annotated[
        int,
        typer.Option(
            metavar="N", min=0, help="Add the N most probable classes: label_1, proba_1, ...", show_default=False
        ),
    ] = 0,
    text_column: TextColumn = "text",
    file_format: Format = None,
    quoting: QuotingOption = None,
    output_format: Annotated[
        FileFormat | None,
        typer.Option(help="What to write. By default the ending of FILE says it; CSV for standard output."),
    ] = None,
    trust: Trust = None,
    device: Device = None,
) -> None:
    """Label new texts with a trained model.

    The rows come in order, with the columns text and label. Memory does not grow with the file, and FILE
    appears only once it is whole.

    Examples
    --------
        smalltext predict model new.csv --output labelled.csv

        smalltext predict model new.jsonl --output labelled.parquet --proba --top 3

        cat new.jsonl | smalltext predict model - --output - --output-format jsonl
    """
    from smalltext_cli import writing
    from smalltext_cli.loading import load_model
    from smalltext_cli.prediction import Labeller, chunks_of_texts
    from smalltext_cli.readers import Reader

    target_format = output_format or ("csv" if output == writing.STDOUT else format_of(output, "--output-format"))
    writing.check_output(output, data, model)
    labeller = Labeller(load_model(model, trusted=trust, device=device), target_format, proba=proba, top=top)
    begin = time.perf_counter()
    done = 0
    notes: list[str] = []
    reader = Reader(text_column, file_format=file_format, quoting=quoting)
    with (
        closing(reader.rows(data, notes.append)) as found,
        writing.table_writer(output, target_format) as write,
        working("Labelling ...") as status,
    ):
        for texts in chunks_of_texts(found):
            write(labeller.table(texts))
            done += len(texts)
            status.update(f"Labelling ... {done:,} texts")
    place = "standard output" if output == writing.STDOUT else output
    messages().print(
        f"Labelled {done:,} texts in {time.perf_counter() - begin:.1f} s: {place}", markup=False, soft_wrap=True
    )
    for sentence in notes:
        note(sentence)
