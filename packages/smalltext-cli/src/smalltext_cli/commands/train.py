"""``smalltext train``: labelled texts in, a model folder with its scores out."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from smalltext_cli.commands.options import (
    AsJson,
    Data,
    Device,
    Format,
    LabelColumn,
    QuotingOption,
    Separator,
    TextColumn,
)
from smalltext_cli.console import jsonable, messages, note, print_json, results, working
from smalltext_core.atomic import expanded

if TYPE_CHECKING:
    from smalltext_cli.metrics import Scores
    from smalltext_cli.training import Split


def train(
    data: Data,
    *,
    classifier: Annotated[
        str, typer.Option("--classifier", "-c", metavar="NAME", help="One of those that `smalltext list` shows.")
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FOLDER",
            help="Where the model is to be; by default the folder mails-model for DATA mails.csv.",
            show_default=False,
            callback=expanded,
        ),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="A parameter of the classifier; `smalltext info NAME` lists them. Repeat for several.",
            show_default=False,
        ),
    ] = None,
    text_column: TextColumn = "text",
    label_column: LabelColumn = "label",
    weight_column: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="The column of how much each text counts.", rich_help_panel="The columns"
        ),
    ] = None,
    multi_label: Annotated[
        bool, typer.Option("--multi-label", help="Several classes, or none, may apply to a text.")
    ] = False,
    max_classes: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            help="More different labels are no classes. By default 1,000, or half as many as there are texts if "
            "that is less, but at least 100.",
            show_default=False,
            rich_help_panel="The columns",
        ),
    ] = None,
    separator: Separator = None,
    file_format: Format = None,
    quoting: QuotingOption = None,
    validation: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Score on these texts instead of a held-out part.",
            show_default=False,
            callback=expanded,
        ),
    ] = None,
    held_out: Annotated[
        float,
        typer.Option(metavar="SHARE", min=0, max=0.9, help="How much of DATA to score on, not to train on."),
    ] = 0.2,
    seed: Annotated[
        int | None,
        typer.Option(metavar="N", min=0, help="The same seed, the same model and split.", show_default=False),
    ] = None,
    device: Device = None,
    as_json: AsJson = False,
) -> None:
    """Train a classifier on labelled texts.

    Part of the texts is held out (copies of a text never stand on both sides), and the model is scored on it. The
    folder appears only once it is whole.

    Examples
    --------
        smalltext train mails.csv --classifier sklearn

        smalltext train papers.jsonl -c sklearn -o model --multi-label --set class_weight=balanced --seed 1

        smalltext train train.tsv -c sklearn -o model --validation test.tsv --text-column body
    """
    from smalltext_cli import survey, training
    from smalltext_cli.errors import UsageError
    from smalltext_cli.parameters import builder_parameters
    from smalltext_cli.readers import Reader
    from smalltext_cli.readers.files import is_same_file, known_format
    from smalltext_cli.settings import settings_of, values_of
    from smalltext_cli.spelling import one_spelling
    from smalltext_core import classifier_spec
    from smalltext_core.saving import check_destination

    if validation is not None and is_same_file(data, validation):
        raise UsageError(f"--validation {validation}: this is DATA itself. Give other texts, or leave it out.")
    if separator is not None and not multi_label:
        raise UsageError(
            "--separator is for --multi-label: without it, a text has one label. Leave it out, or add that."
        )
    spec = classifier_spec(classifier)
    training.check_abilities(classifier, spec, multi_label=multi_label, weights=weight_column is not None)
    parameters = builder_parameters(spec.resolve("builder"))
    given = settings_of(classifier, parameters, settings or [], seed=seed, device=device)
    values_of(parameters, given)
    output = training.model_folder_of(data) if output is None else output
    check_destination(output)

    reader = Reader(text_column, label_column, weight_column, multi_label, separator, file_format, quoting)
    labelled = reader.read(data)
    labels, notes = one_spelling(labelled.labels, data)
    labelled = replace(labelled, labels=labels, notes=(*labelled.notes, *notes))
    names = training.label_names(
        labelled.labels, data, label_column, multi_label=multi_label, max_classes=max_classes
    )
    found = survey.survey(labelled)
    survey.show(found, data)
    for sentence in labelled.notes:
        note(sentence)
    values = values_of(parameters, given, names)
    if validation is None:
        split = training.held_out_split(labelled, names, share=held_out, seed=seed or 0, multi_label=multi_label)
    else:
        other_format = known_format(validation) or file_format
        quotable = other_format in ("csv", "tsv")
        quoting = quoting if quotable else None
        other_reader = replace(reader, weight_column=None, file_format=other_format, quoting=quoting)
        others = other_reader.read(validation)
        labels, notes = one_spelling(others.labels, validation, names.names)
        others = replace(others, labels=labels)
        for sentence in (*others.notes, *notes):
            note(sentence)
        survey.show_overlap(labelled, others, validation)
        split = training.validation_split(labelled, others, names, validation, multi_label=multi_label)

    if split.scored is not None:
        scored_on = survey.counted_names(split.scored_labels)
        survey.show_unscored(found.classes, scored_on, held_out=validation is None)

    # No spinner: a backend that has a progress bar of its own would draw it over this line.
    messages().print(f"Training {classifier} on {len(split.train):,} texts ...", markup=False)
    trained, seconds = training.fitted(classifier, split, values)
    scores = None
    if split.scored is not None:
        with working(f"Scoring it on {len(split.scored):,} texts ..."):
            scores = training.scored(trained, split.scored)
    document = None if scores is None else {**scores.as_dict(names.names), "scored_on": split.scored_on}
    if document is not None and split.validation is not None:
        document["scored_on"] = {**split.scored_on, "given_to_fit": training.takes_validation_set(trained)}
    training.save(trained, output, document)
    if as_json:
        print_json(
            {
                "model": str(output),
                "classifier": classifier,
                "parameters": jsonable(values),
                "data": found.as_dict(),
                "trained_on": len(split.train),
                "seconds": round(seconds, 3),
                "scores": document,
            }
        )
    else:
        _show(output, split, scores, seconds)


def _show(output: Path, split: Split, scores: Scores | None, seconds: float) -> None:
    console = results()
    say = partial(console.print, markup=False, soft_wrap=True)
    say(f"Trained on {len(split.train):,} texts in {seconds:.1f} s")
    if scores is None:
        say("There are no scores: no text was held out. Give --validation FILE, or more texts.")
    else:
        low, high = scores.accuracy_interval
        say(
            f"On {scores.num_texts:,} texts {split.described}: accuracy {scores.accuracy:.3f} "
            f"(95 % interval {low:.3f} to {high:.3f}), macro F1 {scores.macro_f1:.3f}, "
            f"log loss {scores.log_loss:.3f}, calibration error {scores.expected_calibration_error:.3f}"
        )
    say(f"Model: {output}")
