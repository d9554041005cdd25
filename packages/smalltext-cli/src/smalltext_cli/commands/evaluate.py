"""``smalltext evaluate``: score a model on labelled texts, as tables, JSON or an HTML report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from smalltext_cli import commands
from smalltext_cli.console import (
    UsageError,
    counted,
    new_table,
    note,
    plain,
    print_json,
    print_line,
    print_message,
    progress_bar,
    results,
    say_if_interrupted,
    set_verbosity,
    warn,
    working,
)
from smalltext_core.atomic import expanded

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

    from smalltext_cli.evaluation import Evaluation
    from smalltext_cli.metrics import Scores

MAX_COLUMNS = 8
"""The maximum number of classes in a printed confusion matrix; with more, top confusions are listed."""


def evaluate(
    model: commands.ModelFolder,
    data: commands.LabelledData,
    *,
    report: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Write an HTML report with charts to this file.",
            show_default=False,
            callback=expanded,
        ),
    ] = None,
    overwrite: commands.Overwrite = True,
    text_column: commands.TextColumn = "text",
    label_column: commands.LabelColumn = "label",
    skip_unlabelled: commands.SkipUnlabelled = False,
    separator: commands.Separator = None,
    file_format: commands.Format = None,
    quoting: commands.QuotingOption = None,
    sheet: commands.Sheet = None,
    trust: commands.Trust = None,
    device: commands.Device = None,
    as_json: commands.AsJson = False,
    quiet: commands.Quiet = False,
    verbose: commands.Verbose = False,
) -> None:
    """Score a model on labelled texts.

    Whether a text may have several labels depends on the model. DATA should be texts that the model was not
    trained on. If `smalltext train` wrote the model, a warning says how many of them it was trained on.

    Examples
    --------
        smalltext evaluate model test.csv

        smalltext evaluate model test.csv --report report.html

        smalltext evaluate model test.jsonl --json
    """
    from smalltext_cli import data_checks, diagnostics, writers
    from smalltext_cli.evaluation import evaluate_model, load_model
    from smalltext_cli.readers import Reader
    from smalltext_cli.training_texts import TrainingTexts

    set_verbosity(quiet=quiet, verbose=verbose)
    if report is not None:
        writers.check_file_output(report, data, model, overwrite=overwrite)
        say_if_interrupted(f"{report} is unchanged." if Path(report).exists() else f"{report} was not written.")
    with working(f"Loading {model} ..."):
        loaded = load_model(model, trusted=trust, device=device)
    if separator is not None and not loaded.multi_label:
        raise UsageError("--separator is for multi-label models, and this one is single-label. Leave it out.")
    reader = Reader(
        text_column,
        label_column,
        None,
        loaded.multi_label,
        separator,
        file_format,
        quoting,
        sheet=sheet,
        unlabelled="skip" if skip_unlabelled else "refuse",
    )
    with working("Reading ..."), reader.open(data) as opened:
        labelled = list(opened.rows)
    with progress_bar("Labelling") as update:
        known = TrainingTexts.from_model(model, loaded.manifest)
        evaluation = evaluate_model(loaded, labelled, data, opened.source.unit, known, update)
    if report is not None:
        from smalltext_cli.report import render_report

        replaced = writers.replaced_file(report)
        writers.write_file(report, render_report(evaluation).encode())
    for sentence in (*opened.source.counts.notes(), *evaluation.notes):
        note(sentence)
    counts = dict.fromkeys(evaluation.names, 0)
    counts.update(zip(evaluation.names, (one.support for one in evaluation.scores.per_class), strict=True))
    data_checks.warn_of_names(counts, multi_label=loaded.multi_label)
    data_checks.warn_of_unscored(counts, counts, held_out=False)
    if evaluation.seen:
        warn(data_checks.trained_on_warning(evaluation.seen, len(labelled), evaluation.data_name))
    diagnostics.print_diagnostics(loaded.classifier, evaluation.scores, evaluation.names)
    if as_json:
        print_json(_as_dict(model, evaluation))
    else:
        _show(evaluation)
    if report is not None:
        print_message(f"Report: {report}{replaced}")


def _as_dict(model: str, evaluation: Evaluation) -> dict[str, Any]:
    manifest = evaluation.manifest
    return {
        "model": model,
        "classifier": manifest.classifier,
        "distribution": manifest.distribution,
        "version": manifest.version,
        "data": evaluation.data_name,
        "trained_on_texts": evaluation.seen,
        "calibration": evaluation.probabilities.as_dict()["calibration"],
        **evaluation.scores.as_dict(evaluation.names),
    }


def _show(evaluation: Evaluation) -> None:
    texts, classes = evaluation.scores.num_texts, len(evaluation.names)
    print_line(f"{evaluation.data_name}: {counted(texts, 'text')}, {counted(classes, 'class')}")
    for name, words in evaluation.probabilities.as_text().items():
        print_line(f"{name}: {words}")
    for table in score_tables(evaluation.scores, evaluation.names):
        results().print()
        results().print(table)


def score_tables(scores: Scores, names: Sequence[str]) -> Iterator[Table]:
    """Yield the tables of overall scores, scores per class, and confusions (multi-label: decisions)."""
    yield _overall_scores(scores, names)
    yield _class_scores(scores, names)
    if scores.multi_label:
        yield _decisions(scores, names)
    elif len(names) <= MAX_COLUMNS:
        yield _confusion_matrix(scores, names)
    else:
        yield _top_confusions(scores, names)


def _overall_scores(scores: Scores, names: Sequence[str]) -> Table:
    from smalltext_cli.diagnostics import left_out_text

    low, high = scores.accuracy_interval
    exactly = "all classes right; " if scores.multi_label else ""
    zeros = scores.zero_probability_truths
    rows = [
        ("accuracy", scores.accuracy, f"{exactly}95% interval {low:.3f} to {high:.3f}"),
        ("macro F1", scores.macro_f1, f"every class has the same weight{left_out_text(scores, names)}"),
        ("micro F1", scores.micro_f1, f"every {'decision' if scores.multi_label else 'text'} has the same weight"),
        ("Hamming loss", scores.hamming_loss, "wrong decisions on a text and a class"),
        (
            "log loss",
            scores.log_loss,
            f"0 is best{f'; {zeros:,} times the truth had probability 0' if zeros else ''}",
        ),
        ("calibration error", scores.expected_calibration_error, "0 is best; 15 bins"),
        ("Brier score", scores.brier, "0 is best"),
    ]
    table = new_table("", "", "", left=(0, 1, 2), show_header=False)
    for name, value, meaning in rows:
        if value is not None:
            table.add_row(name, f"{value:.4f}", meaning)
    return table


def _class_scores(scores: Scores, names: Sequence[str]) -> Table:
    table = new_table("class", "precision", "recall", "F1", "texts")
    for name, one in zip(names, scores.per_class, strict=True):
        table.add_row(
            plain(name, 40),
            f"{one.precision:.3f}" if one.predicted else "-",
            f"{one.recall:.3f}" if one.support else "-",
            f"{one.f1:.3f}" if one.support or one.predicted else "-",
            f"{one.support:,}",
        )
    return table


def _decisions(scores: Scores, names: Sequence[str]) -> Table:
    table = new_table("class", "true positives", "false negatives", "false positives", "true negatives")
    for name, matrix in zip(names, scores.confusion_matrix.tolist(), strict=True):
        counts = (*reversed(matrix[1]), *reversed(matrix[0]))
        table.add_row(plain(name, 40), *(f"{count:,}" for count in counts))
    return table


def _confusion_matrix(scores: Scores, names: Sequence[str]) -> Table:
    table = new_table("true / predicted")
    for name in names:
        table.add_column(plain(name, 12), justify="right")
    for row, (name, counts) in enumerate(zip(names, scores.confusion_matrix.tolist(), strict=True)):
        table.add_row(plain(name, 40), *(_count(count, right=row == k) for k, count in enumerate(counts)))
    return table


def _top_confusions(scores: Scores, names: Sequence[str]) -> Table:
    from smalltext_cli.diagnostics import top_confusions

    table = new_table("truth", "most frequent prediction", "texts", "share of the class", left=(0, 1))
    for one in top_confusions(scores.confusion_matrix, names):
        table.add_row(plain(one.truth, 40), plain(one.predicted, 40), f"{one.count:,}", f"{one.share:.1%}")
    return table


def _count(count: int, *, right: bool) -> Text:
    style = "bold green" if right else "red" if count else "dim"
    return plain(f"{count:,}" if count or right else ".", style=style)
