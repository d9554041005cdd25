"""``smalltext predict``: label any number of new texts with a saved model."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated

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
from smalltext_core.atomic import expanded

if TYPE_CHECKING:
    from smalltext_cli.predictions import Predictor
    from smalltext_cli.sharding.plan import Request
    from smalltext_cli.sharding.shard import Shard


_SHARDS_PANEL = "Shards, for several jobs"


def predict(
    model: commands.ModelFolder,
    data: commands.DataFiles = None,
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
    sheet: commands.Sheet = None,
    output_format: commands.OutputFormatOption = None,
    shard: Annotated[
        str | None,
        typer.Option(
            metavar="N/COUNT",
            help="Label one of several equal shares of the rows, such as 3/16, and write it to the folder FILE.",
            show_default=False,
            rich_help_panel=_SHARDS_PANEL,
        ),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume", metavar="", help="Continue with the missing parts.", rich_help_panel=_SHARDS_PANEL
        ),
    ] = False,
    part_rows: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            help="Rows per part: at most one part is lost if a job is killed. By default 8,192.",
            show_default=False,
            rich_help_panel=_SHARDS_PANEL,
        ),
    ] = None,
    trust: commands.Trust = None,
    device: commands.Device = None,
    workers: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            help="Label in N processes, each with its own copy of the model. By default one, or one per device.",
            show_default=False,
        ),
    ] = None,
    devices: Annotated[
        str | None,
        typer.Option(
            metavar="LIST",
            help="Distribute the processes over devices: all (GPUs), or a list such as cuda:0,cuda:1.",
            show_default=False,
        ),
    ] = None,
    quiet: commands.Quiet = False,
    verbose: commands.Verbose = False,
) -> None:
    """Label new texts with a trained model.

    All columns of DATA are kept, and the columns label and score (the probability of the label) are added. They
    are called predicted_label and predicted_score if DATA already has such columns. Rows keep their order. Memory
    use does not depend on the size of the file, and FILE appears only once it is complete. Several files, folders
    and globs are read as one file, sorted by path.

    With --shard, each of several jobs labels a share of the rows and writes it to a common folder; `smalltext
    merge` joins the shares. Finished parts of a killed job are kept; use --resume to continue.

    Examples
    --------
        smalltext predict model new.csv --output labelled.csv

        smalltext predict model --text "buy cheap pills" --text "lunch tomorrow?"

        smalltext predict model new.jsonl --output labelled.parquet --proba --top 3

        cat new.jsonl | smalltext predict model - --output-format jsonl

        smalltext predict model new.parquet --output labelled.parquet --workers 4

        smalltext predict model 'texts/*.parquet' --output parts --shard 3/16 --resume
    """
    from smalltext_cli import predictions, writers
    from smalltext_cli.evaluation import load_model
    from smalltext_cli.predictions import Predictor
    from smalltext_cli.readers import Reader, given_texts
    from smalltext_cli.readers.inputs import file_openers, input_files, opened_files
    from smalltext_cli.sharding.plan import PART_ROWS, Request
    from smalltext_cli.sharding.shard import Shard
    from smalltext_scale import BatchScorer
    from smalltext_scale.workers import worker_devices

    set_verbosity(quiet=quiet, verbose=verbose)
    if (not data) == (not texts):
        raise UsageError("Give DATA, a file of texts (- is standard input), or --text, but not both.")
    files, notes = input_files(data or [], file_format)
    reader = Reader(text_column, file_format=file_format, quoting=quoting, sheet=sheet, keep_columns=True)

    def new_predictor() -> Predictor:
        with working(f"Loading {model} ..."):
            loaded = load_model(model, trusted=trust, device="cpu" if devices else device)
        return Predictor(loaded, proba=proba, top=top)

    if shard is not None and (workers is not None or devices is not None):
        option = "--workers" if workers is not None else "--devices"
        raise UsageError(f"{option} is for one job: with --shard, start more jobs, each with its --device.")
    predict_chunks = None
    if worker_devices(workers, devices, device):
        # A copy refuses another model that is saved before the workers load this one.
        scorer = copy.copy(BatchScorer(model, device=device, trusted=trust or ()))
        predict_chunks = partial(scorer.predict_chunks, workers=workers, devices=devices)
    if shard is not None:
        part_format = output_format or "parquet"
        request = Request(
            model, files, reader, proba, top, part_format, part_rows or PART_ROWS, data or [], trust or []
        )
        _predict_shard(Path(output), Shard.parse(shard), request, new_predictor, resume=resume, notes=notes)
        return
    if resume or part_rows is not None:
        option = "--resume" if resume else "--part-rows"
        raise UsageError(f"{option} is for shards: add --shard 3/16, or --shard 1/1 for a single job.")
    target_format = output_format or writers.output_format(output)
    writers.check_output(output, files, model, overwrite=overwrite)
    predictor = new_predictor()
    openers = [partial(given_texts, texts, text_column)] if texts else file_openers(reader, files)
    replaced = writers.replaced_file(output)
    if output != writers.STDOUT:
        say_if_interrupted(f"{output} is unchanged." if replaced else f"{output} was not written.")
    begin = time.perf_counter()
    done = 0
    names: dict[str, str] = {}
    with (
        opened_files(openers) as opened,
        writers.table_writer(output, target_format) as write,
        predictions.row_writer(
            opened.header, write, target_format, names.update, is_json=opened.is_json
        ) as write_rows,
        progress_bar("Labelling") as update,
    ):
        for rows, table in predictor.tables(predictions.row_chunks(opened.rows), predict_chunks):
            write_rows(rows, table)
            done += len(rows)
            update(done, opened.fraction)
    place = f"{writers.output_name(output)}{replaced}"
    print_message(f"Labelled {counted(done, 'text')} in {time.perf_counter() - begin:.1f} s: {place}")
    for sentence in (*notes, *opened.notes(), *predictions.renamed_notes(names, opened.repeated_columns)):
        note(sentence)
    _note_texts_without_class(predictor, done)


def _predict_shard(
    folder: Path,
    shard: Shard,
    request: Request,
    new_predictor: Callable[[], Predictor],
    *,
    resume: bool,
    notes: Sequence[str],
) -> None:
    from smalltext_cli.predictions import renamed_notes
    from smalltext_cli.sharding.job import ShardJob
    from smalltext_cli.sharding.plan import described_rows

    if list(request.files) in ([], [STDIN]):
        raise UsageError("--shard is for files, which all jobs can read. Give DATA, the paths of files.")
    job = ShardJob(folder, shard, request, resume=resume, new_predictor=new_predictor)
    with working("Counting rows ..."):
        job.prepare()
    say_if_interrupted(f"Finished parts are kept in {folder}; the same command with --resume goes on from there.")
    begin = time.perf_counter()
    with progress_bar("Labelling") as update:
        done = job.run(update)
    rows = job.plan.rows_of(shard)
    place = f"shard {shard} in {folder}"
    if job.predictor is None or not rows:
        state = "is complete already" if rows else f"of {described_rows(job.plan)} has no rows"
        print_message(f"Nothing to do: {place} {state}.")
    else:
        print_message(
            f"Labelled {counted(done, 'text')} in {time.perf_counter() - begin:.1f} s: {place}, "
            f"rows {rows.start + 1:,} to {rows.stop:,} of {job.plan.rows:,}"
        )
    for sentence in (*notes, *job.notes, *renamed_notes(job.names)):
        note(sentence)
    if job.predictor is not None:
        _note_texts_without_class(job.predictor, done)
    if not job.unfinished_shards():
        note(f"every shard is complete: smalltext merge {quote(str(folder))} -o FILE")


def _note_texts_without_class(predictor: Predictor, done: int) -> None:
    if predictor.without_class:
        note(f"no class is above its threshold for {predictor.without_class:,} of {counted(done, 'text')}.")
