"""A model's answers to labelled texts: what the tables and the report are made of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from smalltext_cli.errors import InputFileError
from smalltext_cli.loading import Model
from smalltext_cli.metrics import Scores, score
from smalltext_cli.readers import Row
from smalltext_cli.readers.files import STDIN
from smalltext_cli.spelling import names_of, one_spelling
from smalltext_core import AnyClassifier, LabelNames, TextDataset
from smalltext_core.errors import InvalidInputError
from smalltext_core.label_names import alike_names, shown_apart, shown_name
from smalltext_core.labels import Labels
from smalltext_core.saving import Manifest


@dataclass(frozen=True)
class Evaluation:
    """One model on one file of labelled texts.

    Parameters
    ----------
    manifest : Manifest
        What the model folder says of the model.
    data_name : str
        What the data is called, such as the name of its file.
    names : tuple of str
        What the classes are called, in the order of their numbers.
    texts : sequence of str
    lines : sequence of int
        Where each text stands in the data.
    line_unit : {"line", "row"}
        What is counted there.
    y : Labels
        The truth: int array of shape (n,), or csr_matrix of shape (n, num_classes).
    proba : ndarray of float32, shape (n, num_classes)
    scores : Scores
        Of `proba` against `y`.
    notes : tuple of str
        Labels that were taken for others because they are the same value, a sentence for each.
    """

    manifest: Manifest
    data_name: str
    names: tuple[str, ...]
    texts: Sequence[str]
    lines: Sequence[int]
    line_unit: Literal["line", "row"]
    y: Labels
    proba: NDArray[np.float32]
    scores: Scores
    notes: tuple[str, ...] = ()


def evaluate_model(
    model: Model, rows: Sequence[Row], source: str, line_unit: Literal["line", "row"] = "line"
) -> Evaluation:
    """Let a model label texts whose labels are known.

    A multi-label model decides at its own threshold, if it has one, and at 0.5 otherwise.

    Parameters
    ----------
    model : Model
    rows : sequence of Row
        With labels; at least one.
    source : str
        The file that the rows come from, or ``-`` for standard input.
    line_unit : {"line", "row"}, default="line"
        What the numbers of the rows count.

    Raises
    ------
    InputFileError
        If there are no texts, or a label is none of the model's, naming the first such line and all such labels.
    """
    place = "standard input" if source == STDIN else source
    if not rows:
        raise InputFileError(place, "there are no texts in it", "Give a row for each text.")
    given, notes = one_spelling([row.label for row in rows if row.label is not None], place, model.names.names)
    labels = [names_of(label) for label in given]
    _check_labels(model, labels, rows, place, line_unit)
    texts = [row.text for row in rows]
    if model.multi_label:
        y: Labels = model.names.encode_multi_label(labels)
    else:
        y = model.names.encode([name for (name,) in labels])
    proba = model.classifier.predict_proba(TextDataset(texts))
    threshold = threshold_of(model.classifier)
    return Evaluation(
        manifest=model.manifest,
        data_name=PurePath(place).name,
        names=model.names.names,
        texts=texts,
        lines=[row.line for row in rows],
        line_unit=line_unit,
        y=y,
        proba=proba,
        scores=score(y, proba, multi_label=model.multi_label, threshold=threshold),
        notes=tuple(notes),
    )


def threshold_of(classifier: AnyClassifier) -> float:
    """Return above which probability a multi-label classifier gives a class: 0.5 unless it says otherwise."""
    return float(getattr(classifier, "multi_label_threshold", 0.5))


def _check_labels(
    model: Model, labels: Sequence[tuple[str, ...]], rows: Sequence[Row], place: str, line_unit: str
) -> None:
    first: dict[str, int] = {}
    for names, row in zip(labels, rows, strict=True):
        for name in names:
            first.setdefault(name, row.line)
    unknown = {name: line for name, line in first.items() if not _is_known(model.names, name)}
    if not unknown:
        return
    names = model.names.names
    shown = ", ".join(f"{shown_name(name)} ({line_unit} {line})" for name, line in list(unknown.items())[:5])
    more = f" and {len(unknown) - 5} more" if len(unknown) > 5 else ""
    knows = ", ".join(map(shown_name, names[:20])) + (", ..." if len(names) > 20 else "")
    raise InputFileError(
        f"{place}, {line_unit} {min(unknown.values())}",
        f"the model does not know the label {shown}{more}",
        f"It knows {knows}. {alike_hint(unknown, names)}Correct or drop those rows, or name another column with "
        "--label-column.",
    )


def alike_hint(unknown: Iterable[str], known: Iterable[str]) -> str:
    """Return a sentence on the first unknown name that looks like a known one, and a space; empty if none does."""
    for name in unknown:
        for group in alike_names([name, *known]):
            if name in group:
                other = next(one for one in group if one != name)
                given, meant = shown_apart([name, other])
                return f"{given} looks like {meant}, and is another name. "
    return ""


def _is_known(names: LabelNames, name: str) -> bool:
    try:
        names.number(name)
    except InvalidInputError:
        return False
    return True
