"""``smalltext predict``: label new texts with a saved model, however many there are."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from typing import TYPE_CHECKING, Annotated, Any

import typer

from smalltext_cli import commands
from smalltext_cli.console import UsageError, counted, note, print_message, set_verbosity, working
from smalltext_cli.readers.files import FileFormat, format_of
from smalltext_core import TextDataset
from smalltext_core.atomic import expanded

if TYPE_CHECKING:
    from polars import DataFrame

    from smalltext_cli.evaluation import Model
    from smalltext_cli.readers import Row
    from smalltext_core.labels import Labels
    from smalltext_core.probabilities import Probabilities

_CHUNK_ROWS = 4_096
_CHUNK_CHARACTERS = 8_000_000


def predict(
    model: commands.ModelFolder,
    data: commands.Data,
    *,
    output: Annotated[
        str,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="A .csv, .tsv, .jsonl or .parquet file to write; - is standard output.",
            callback=expanded,
        ),
    ],
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
        FileFormat | None,
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

    The rows come in order, with the columns text and label. Memory does not grow with the file, and FILE appears
    only once it is complete.

    Examples
    --------
        smalltext predict model new.csv --output labelled.csv

        smalltext predict model new.jsonl --output labelled.parquet --proba --top 3

        cat new.jsonl | smalltext predict model - --output - --output-format jsonl
    """
    from smalltext_cli import writers
    from smalltext_cli.evaluation import load_model
    from smalltext_cli.readers import Reader

    set_verbosity(quiet=quiet, verbose=verbose)
    target_format = output_format or ("csv" if output == writers.STDOUT else format_of(output, "--output-format"))
    writers.check_output(output, data, model)
    predictor = Predictor(load_model(model, trusted=trust, device=device), target_format, proba=proba, top=top)
    reader = Reader(text_column, file_format=file_format, quoting=quoting)
    begin = time.perf_counter()
    done = 0
    notes: list[str] = []
    with (
        closing(reader.rows(data, notes.append)) as rows,
        writers.table_writer(output, target_format) as write,
        working("Labelling ...") as status,
    ):
        for texts in text_chunks(rows):
            write(predictor.table(texts))
            done += len(texts)
            status.update(f"Labelling ... {counted(done, 'text')}")
    if predictor.without_class:
        notes.append(
            f"no class is above its threshold for {predictor.without_class:,} of {counted(done, 'text')}."
        )
    place = "standard output" if output == writers.STDOUT else output
    print_message(f"Labelled {counted(done, 'text')} in {time.perf_counter() - begin:.1f} s: {place}")
    for sentence in notes:
        note(sentence)


def text_chunks(rows: Iterable[Row]) -> Iterator[list[str]]:
    """Yield texts in chunks, bounded in number and in length; without any text, one chunk that is empty."""
    chunk: list[str] = []
    length = 0
    is_first = True
    for row in rows:
        chunk.append(row.text)
        length += len(row.text)
        if len(chunk) == _CHUNK_ROWS or length >= _CHUNK_CHARACTERS:
            yield chunk
            chunk, length, is_first = [], 0, False
    if chunk or is_first:
        yield chunk


class Predictor:
    """Makes tables of texts and their predictions.

    Several labels a text are a JSON list in CSV and TSV. `proba` adds a column ``proba_<name>`` for each class,
    and `top` the most probable classes, as ``label_1``, ``proba_1`` and so on. UsageError is raised if two columns
    would have one name. `without_class` counts the texts that got no label, which only multi-label ones can.
    """

    def __init__(self, model: Model, file_format: FileFormat, *, proba: bool, top: int) -> None:
        self.without_class = 0
        self._model = model
        self._as_json = file_format in ("csv", "tsv")
        self._proba = [f"proba_{name}" for name in model.names.names] if proba else []
        self._top = min(top, len(model.names))
        clash = {f"proba_{rank}" for rank in range(1, self._top + 1)} & set(self._proba)
        if clash:
            raise UsageError(
                f"--proba and --top would both write a column {min(clash)!r}, since classes are called so. "
                "Give one of the two."
            )

    def table(self, texts: list[str]) -> DataFrame:
        """Predict the labels of texts, in order."""
        import numpy as np
        import polars as pl

        labels, proba = self._model.classifier.predict(TextDataset(texts), return_proba=True)
        columns: dict[str, Any] = {"text": pl.Series(texts, dtype=pl.String), "label": self._labels(labels)}
        for number, name in enumerate(self._proba):
            columns[name] = np.ascontiguousarray(proba[:, number])
        return pl.DataFrame(columns | self._top_classes(proba))

    def _labels(self, labels: Labels) -> Any:
        import polars as pl

        decoded = self._model.names.decode(labels)
        if not self._model.multi_label:
            return pl.Series(decoded, dtype=pl.String)
        self.without_class += sum(not names for names in decoded)
        if self._as_json:
            return pl.Series([json.dumps(names, ensure_ascii=False) for names in decoded], dtype=pl.String)
        return pl.Series(decoded, dtype=pl.List(pl.String))

    def _top_classes(self, proba: Probabilities) -> dict[str, Any]:
        import numpy as np

        names = np.array(self._model.names.names, dtype=object)
        order = np.argsort(-proba, axis=1, kind="stable")[:, : self._top]
        columns: dict[str, Any] = {}
        for rank, numbers in enumerate(order.T):
            columns[f"label_{rank + 1}"] = names[numbers].tolist()
            columns[f"proba_{rank + 1}"] = np.take_along_axis(proba, numbers[:, None], axis=1)[:, 0]
        return columns
