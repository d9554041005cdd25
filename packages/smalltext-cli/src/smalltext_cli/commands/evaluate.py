"""``smalltext evaluate``: labelled texts in, how good a model is on them out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from smalltext_cli.commands.options import (
    AsJson,
    Data,
    Device,
    Format,
    LabelColumn,
    ModelFolder,
    QuotingOption,
    Separator,
    TextColumn,
    Trust,
)
from smalltext_cli.console import messages, note, print_json, results, warn, working
from smalltext_cli.readers.files import STDIN, format_of
from smalltext_core.atomic import expanded

if TYPE_CHECKING:
    from smalltext_cli.evaluation import Evaluation


def evaluate(
    model: ModelFolder,
    data: Data,
    *,
    report: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Write the pictures to this file, one HTML page.",
            show_default=False,
            callback=expanded,
        ),
    ] = None,
    text_column: TextColumn = "text",
    label_column: LabelColumn = "label",
    separator: Separator = None,
    file_format: Format = None,
    quoting: QuotingOption = None,
    trust: Trust = None,
    device: Device = None,
    as_json: AsJson = False,
) -> None:
    """Tell how good a model is on labelled texts.

    Whether a text may have several labels is known from the model. DATA should hold texts that the model was not
    trained on.

    For example:

        smalltext evaluate model test.csv

        smalltext evaluate model test.csv --report report.html

        smalltext evaluate model test.jsonl --json
    """
    from smalltext_cli import survey, writing
    from smalltext_cli.errors import UsageError
    from smalltext_cli.evaluation import evaluate_model
    from smalltext_cli.loading import load_model
    from smalltext_cli.readers import Reader

    if report is not None:
        writing.check_file_output(report, data, model)
    loaded = load_model(model, trusted=trust, device=device)
    if separator is not None and not loaded.multi_label:
        raise UsageError(
            "--separator is for models that give several labels a text; this one gives one. Leave it out."
        )
    notes: list[str] = []
    reader = Reader(
        text_column,
        label_column,
        multi_label=loaded.multi_label,
        separator=separator,
        file_format=file_format,
        quoting=quoting,
    )
    with working("Reading ...") as status:
        labelled = list(reader.rows(data, notes.append))
        status.update(f"Labelling {len(labelled):,} texts ...")
        evaluation = evaluate_model(loaded, labelled, data, _line_unit(data, file_format))
    if report is not None:
        from smalltext_cli.report.page import render_report

        writing.write_file(report, render_report(evaluation).encode())
    for sentence in (*notes, *evaluation.notes):
        note(sentence)
    counts = dict.fromkeys(evaluation.names, 0)
    counts.update(zip(evaluation.names, (one.support for one in evaluation.scores.per_class), strict=True))
    for sentence in survey.doubtful_names(counts):
        warn(sentence)
    survey.show_unscored(counts, counts, held_out=False)
    if as_json:
        print_json(_as_dict(model, evaluation))
    else:
        _show(evaluation)
    if report is not None:
        messages().print(f"Report: {report}", markup=False, soft_wrap=True)


def _line_unit(data: str, file_format: str | None) -> Any:
    """Return what the reader counts: the rows of a Parquet file, the lines of any other."""
    known = file_format or (None if data == STDIN else format_of(data))
    return "row" if known == "parquet" else "line"


def _as_dict(model: str, evaluation: Evaluation) -> dict[str, Any]:
    manifest = evaluation.manifest
    return {
        "model": model,
        "classifier": manifest.classifier,
        "distribution": manifest.distribution,
        "version": manifest.version,
        "data": evaluation.data_name,
        **evaluation.scores.as_dict(evaluation.names),
    }


def _show(evaluation: Evaluation) -> None:
    from smalltext_cli.score_tables import score_tables

    console = results()
    texts, classes = evaluation.scores.num_texts, len(evaluation.names)
    console.print(f"{evaluation.data_name}: {texts:,} texts, {classes} classes", markup=False, soft_wrap=True)
    for table in score_tables(evaluation.scores, evaluation.names):
        console.print()
        console.print(table)
