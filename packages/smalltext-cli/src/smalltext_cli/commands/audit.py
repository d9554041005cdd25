"""``smalltext audit``: find problems in labelled texts before training."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from smalltext_cli import commands, completion
from smalltext_cli.console import (
    UsageError,
    counted,
    messages,
    new_table,
    note,
    plain,
    print_json,
    print_line,
    print_message,
    results,
    set_verbosity,
    working,
)
from smalltext_core.atomic import expanded
from smalltext_core.messages import LIMIT

if TYPE_CHECKING:
    from smalltext_cli.auditing.audit import Audit
    from smalltext_cli.auditing.texts import Finding

_EXAMPLES = 3
_SUSPECTS = 10


def audit(
    data: commands.Data,
    *,
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Also write all findings, with every affected row, to this JSON file.",
            callback=expanded,
            show_default=False,
        ),
    ] = None,
    overwrite: commands.Overwrite = True,
    classifier: Annotated[
        str | None,
        typer.Option(
            "--classifier",
            "-c",
            metavar="NAME",
            help="The classifier to find wrong labels with. By default embeddings, or else sklearn.",
            show_default=False,
            autocompletion=completion.classifier_names,
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="FOLDER",
            help="A pretrained or saved model, whose tokenizer is used to count truncated tokens.",
            callback=expanded,
            show_default=False,
        ),
    ] = None,
    similarity: Annotated[
        float,
        typer.Option(metavar="X", min=0.5, max=1, help="The minimum similarity of near duplicates."),
    ] = 0.8,
    wrong_labels: Annotated[
        bool,
        typer.Option(
            "--wrong-labels/--no-wrong-labels", metavar="", help="Whether to look for wrong labels and outliers."
        ),
    ] = True,
    times: Annotated[
        bool,
        typer.Option("--times/--no-times", metavar="", help="Whether to estimate how long the classifiers take."),
    ] = True,
    strict: Annotated[
        bool, typer.Option("--strict", metavar="", help="End with exit code 1 if anything is found.")
    ] = False,
    text_column: commands.TextColumn = "text",
    label_column: commands.LabelColumn = "label",
    id_column: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="The column of ids, which are shown next to line numbers. By default id, if there is one.",
            rich_help_panel=commands.COLUMNS_PANEL,
            show_default=False,
        ),
    ] = None,
    multi_label: commands.MultiLabel = False,
    separator: commands.Separator = None,
    file_format: commands.Format = None,
    quoting: commands.QuotingOption = None,
    sheet: commands.Sheet = None,
    seed: Annotated[int, typer.Option(metavar="N", min=0, help="The random state of samples and folds.")] = 0,
    as_json: commands.AsJson = False,
    quiet: commands.Quiet = False,
    verbose: commands.Verbose = False,
) -> None:
    """Check labelled texts for problems before training.

    Looks for missing, contradictory and probably wrong labels, similar class names, classes with one text, exact
    and near duplicates, empty and very long texts, and rare scripts. Counts the tokens that classifiers truncate,
    and estimates training times. Rows are identified by line and id. Files without labels can be checked, too.

    The exit code is 0 regardless of findings, or with --strict 1 if there are any; it is 2 if DATA cannot be read.

    Examples
    --------
        smalltext audit mails.csv

        smalltext audit mails.csv --output audit.json --strict --no-times

        smalltext audit papers.jsonl --multi-label --model pretrained-model
    """
    from smalltext_cli import writers
    from smalltext_cli.auditing.audit import Audit
    from smalltext_cli.readers import Reader

    set_verbosity(quiet=quiet, verbose=verbose)
    if separator is not None and not multi_label:
        raise UsageError("--separator is for --multi-label. Leave it out, or add --multi-label.")
    if output is not None:
        writers.check_file_output(output, data, None, overwrite=overwrite)
    reader = Reader(
        text_column,
        label_column,
        None,
        multi_label,
        separator,
        file_format,
        quoting,
        sheet=sheet,
        unlabelled="keep",
        keep_columns=True,
    )
    run = Audit(data, reader, id_column, classifier=classifier, model=model, similarity=similarity, seed=seed)
    with working("Reading ...", messages()) as status:
        run.run(status.update, wrong_labels=wrong_labels, times=times)
    for sentence in run.notes:
        note(sentence)
    content = run.as_dict()
    if output is not None:
        replaced = writers.replaced_file(output)
        writers.write_file(output, f"{json.dumps(content, indent=2, ensure_ascii=False)}\n".encode())
        print_message(f"Findings: {output}{replaced}")
    if as_json:
        print_json(content)
    else:
        _show(run)
    if strict and any(one.count for one in run.findings):
        raise typer.Exit(1)


def _show(run: Audit) -> None:
    print_line(run.described)
    results().print()
    results().print(_findings_table(run.findings))
    for sentence in run.not_checked:
        print_line(f"Not checked: {sentence}")
    _show_advice(run.findings)
    suspects = next((one for one in run.findings if one.check == "wrong_labels" and one.count), None)
    if suspects is not None:
        _show_suspects(suspects)
    results().print()
    results().print(_limits_table(run))
    if run.times:
        results().print()
        results().print(_times_table(run))


def _findings_table(findings: Sequence[Finding]) -> Any:
    table = new_table("check", "found", "where", left=(0, 2), padding=(0, 2, 0, 0))
    for one in findings:
        shown = "; ".join(one.examples[:_EXAMPLES]) + ("; ..." if len(one.examples) > _EXAMPLES else "")
        table.add_row(plain(one.title, 2 * LIMIT), f"{one.count:,}", plain(shown, 2 * LIMIT))
    return table


def _show_advice(findings: Sequence[Finding]) -> None:
    advised = [one for one in findings if one.count and one.advice]
    if advised:
        print_line("\nWhat to do", style="bold")
    for one in advised:
        print_line(f"{one.title}: {one.advice}")


def _show_suspects(finding: Finding) -> None:
    print_line("\nLeast credible labels", style="bold")
    table = new_table("where", "label", "likely", "score", "text", left=(0, 1, 2, 4))
    for place, one in list(zip(finding.examples, finding.details, strict=True))[:_SUSPECTS]:
        table.add_row(
            plain(place),
            plain(_label_text(one["label"])),
            plain(_label_text(one["predicted"])),
            f"{one['score']:.2f}",
            plain(one["text"], 60),
        )
    results().print(table)


def _label_text(label: str | list[str]) -> str:
    return label if isinstance(label, str) else ", ".join(label) or "none"


def _limits_table(run: Audit) -> Any:
    table = new_table(
        "classifier", "token limit", "texts truncated", "tokens truncated", "counted by", left=(0, 4)
    )
    for one in run.limits:
        limit = "all" if one.max_tokens is None else f"{one.max_tokens:,} tokens"
        texts = f"{one.texts:,} ({one.texts / max(run.count, 1):.1%})"
        table.add_row(plain(one.name), limit, texts, f"{one.share:.1%}", plain(one.counted))
    return table


def _times_table(run: Audit) -> Any:
    table = new_table(
        "classifier", f"train on {counted(run.count, 'text')}", "label 1,000 texts", "from", left=(0, 3)
    )
    for one in run.times:
        table.add_row(
            plain(one.name),
            _seconds(one.train_seconds),
            _seconds(one.predict_seconds),
            plain(one.basis, 2 * LIMIT),
        )
    return table


def _seconds(value: float | None) -> str:
    if value is None:
        return "unknown"
    return (
        f"{value:.1f} s" if value < 100 else f"{value / 60:.0f} min" if value < 6000 else f"{value / 3600:.1f} h"
    )
