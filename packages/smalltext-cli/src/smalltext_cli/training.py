"""From labelled texts to a model folder with its scores."""

from __future__ import annotations

import inspect
import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np

from smalltext_cli.errors import InputFileError, UsageError
from smalltext_cli.evaluation import alike_hint, threshold_of
from smalltext_cli.metrics import Scores, score
from smalltext_cli.readers import Label, Labelled
from smalltext_cli.readers.files import STDIN
from smalltext_cli.spelling import names_of
from smalltext_cli.splitting import held_out_rows
from smalltext_core import AnyClassifier, ClassifierSpec, LabelNames, Saving, TextDataset, create_classifier
from smalltext_core.errors import SmallTextError
from smalltext_core.label_names import shown_name
from smalltext_core.saving import save_with_files

SCORES = "scores.json"
"""The file in a model folder that holds its scores."""

_CLASSES = 1_000
_CLASSES_OF_FEW_TEXTS = 100


@dataclass(frozen=True)
class Split:
    """What a model is trained on, and what it is scored on, if anything.

    Parameters
    ----------
    train : TextDataset
    weights : list of float or None
        One for each text of `train`.
    scored : TextDataset or None
    validation : TextDataset or None
        The texts that the user keeps for validation: `scored`, or none.
    scored_on : dict
        Where `scored` comes from, as it is written beside the scores.
    """

    train: TextDataset
    weights: list[float] | None
    scored: TextDataset | None
    validation: TextDataset | None
    scored_on: dict[str, Any]

    @property
    def scored_labels(self) -> list[Label]:
        """The names of the labels of `scored`; none if it is None."""
        if self.scored is None or self.scored.label_names is None:
            return []
        decoded = self.scored.label_names.decode(self.scored.y)
        return [label if isinstance(label, str) else tuple(label) for label in decoded]

    @property
    def described(self) -> str:
        """What `scored` is, in words that follow "on 20 texts"."""
        return "that were held out" if self.validation is None else f"of {self.scored_on['file']}"


def held_out_split(data: Labelled, names: LabelNames, *, share: float, seed: int, multi_label: bool) -> Split:
    """Hold out a part of the texts; none, if they are too few."""
    texts = _dataset(data, names, multi_label=multi_label)
    held = held_out_rows(data.texts, data.labels, share, seed)
    rest = np.setdiff1d(np.arange(len(texts)), held)
    return Split(
        train=texts[rest].clone(),
        weights=None if data.weights is None else [data.weights[row] for row in rest.tolist()],
        scored=texts[held].clone() if held.size else None,
        validation=None,
        scored_on={"part": "held out", "texts": int(held.size), "share": share, "seed": seed},
    )


def validation_split(
    data: Labelled, validation: Labelled, names: LabelNames, file: str, *, multi_label: bool
) -> Split:
    """Train on all of one file, and score on another.

    Raises
    ------
    InputFileError
        If the other one has a class that the first one lacks.
    """
    unknown = sorted({name for label in validation.labels for name in names_of(label)} - set(names.names))
    if unknown:
        raise InputFileError(
            file,
            f"no text to train on has the label {shown_name(unknown[0])}",
            f"{alike_hint(unknown[:1], names.names)}Add such texts to the training file, or drop these.",
        )
    scored = _dataset(validation, names, multi_label=multi_label)
    return Split(
        train=_dataset(data, names, multi_label=multi_label),
        weights=data.weights,
        scored=scored,
        validation=scored,
        scored_on={"part": "validation file", "file": file, "texts": len(scored)},
    )


def _dataset(data: Labelled, names: LabelNames, *, multi_label: bool) -> TextDataset:
    if multi_label:
        labels = cast("Sequence[tuple[str, ...]]", data.labels)
        return TextDataset(data.texts, names.encode_multi_label(labels), label_names=names)
    return TextDataset(data.texts, names.encode(cast("Sequence[str]", data.labels)), label_names=names)


def label_names(
    labels: Sequence[Label], name: str, column: str, *, multi_label: bool, max_classes: int | None
) -> LabelNames:
    """Return the classes that occur, or refuse labels that leave nothing to learn, or are none.

    Parameters
    ----------
    labels : sequence of str, or of tuples of str (multi-label)
    name, column : str
        The file, and the column that they come from.
    multi_label : bool
    max_classes : int or None
        More are refused: a column of numbers or titles was named by mistake. None: more than 100 if there are not
        even two texts a class, and more than 1,000 in any case.

    Raises
    ------
    InputFileError
    """
    names = LabelNames.of(labels)
    allowed = min(_CLASSES, max(_CLASSES_OF_FEW_TEXTS, len(labels) // 2)) if max_classes is None else max_classes
    if len(names) > allowed:
        raise InputFileError(
            name,
            f"the column {column!r} holds {len(names):,} different labels in {len(labels):,} texts, such as "
            f"{shown_name(names.names[0], 30)} and {shown_name(names.names[-1], 30)}",
            "Name the column of the labels with --label-column; if these are classes indeed, say so with "
            f"--max-classes {len(names)}.",
        )
    if multi_label and not len(names):
        raise InputFileError(name, "no text has a label", "Label some.")
    if not multi_label and len(names) < 2:
        raise InputFileError(
            name,
            f"all texts have one label, {shown_name(names.names[0])}",
            "Give texts of two classes at least, or name another column with --label-column.",
        )
    return names


def check_abilities(name: str, spec: ClassifierSpec, *, multi_label: bool, weights: bool) -> None:
    """Refuse what a classifier does not declare that it can do.

    Raises
    ------
    UsageError
    """
    if multi_label and "multi_label" not in spec.abilities:
        raise UsageError(f"The classifier {name!r} gives one label a text. Leave --multi-label out.")
    if weights and "weights" not in spec.abilities:
        raise UsageError(f"The classifier {name!r} takes no weights. Leave --weight-column out.")
    if "save" not in spec.abilities:
        raise UsageError(f"The classifier {name!r} cannot be saved, so there is no model folder to write.")


def model_folder_of(data: str) -> Path:
    """Return where a model goes if nobody says where: a folder in this one, called after the data.

    Examples
    --------
    >>> model_folder_of("mails/2024.csv").name, model_folder_of("-").name
    ('2024-model', 'model')
    """
    return Path("model" if data == STDIN else f"{Path(data).stem}-model")


def fitted(name: str, split: Split, parameters: dict[str, Any]) -> tuple[AnyClassifier, float]:
    """Make a classifier and train it; return it and the seconds that took.

    The validation set is handed to a classifier that takes one.

    Raises
    ------
    SmallTextError
        If the classifier refuses its parameters or the data.
    """
    names = split.train.label_names
    num_classes = 0 if names is None else len(names)
    with _explained(name):
        begin = time.perf_counter()
        classifier = create_classifier(name, num_classes, multi_label=split.train.is_multi_label, **parameters)
        guided = split.validation is not None and takes_validation_set(classifier)
        options: dict[str, Any] = {"validation_set": split.validation} if guided else {}
        classifier.fit(split.train, weights=split.weights, **options)
        return classifier, time.perf_counter() - begin


def takes_validation_set(classifier: AnyClassifier) -> bool:
    """Tell whether training looks at a validation set, as stopping early does; its scores then flatter."""
    return "validation_set" in inspect.signature(classifier.fit).parameters


def scored(classifier: AnyClassifier, data: TextDataset) -> Scores:
    """Return how good a classifier is on labelled texts, at its own threshold if it has one."""
    proba = classifier.predict_proba(data)
    return score(data.y, proba, multi_label=data.is_multi_label, threshold=threshold_of(classifier))


def save(classifier: AnyClassifier, folder: Path, scores: dict[str, Any] | None) -> None:
    """Write a model folder and the scores in it, whole or not at all.

    A model that was there is replaced; what somebody else put beside it is kept.
    """
    files = {}
    if scores is not None:
        files[SCORES] = f"{json.dumps(scores, indent=2, ensure_ascii=False, allow_nan=False)}\n".encode()
    save_with_files(cast("Saving", classifier), folder, files)


@contextmanager
def _explained(name: str) -> Iterator[None]:
    """Say which classifier it was that refused a value, in one line."""
    try:
        yield
    except SmallTextError:
        raise
    except (TypeError, ValueError, LookupError, ImportError) as error:
        raise UsageError(
            f"The classifier {name!r} refused its parameters or the data: {type(error).__name__}: {error}"
        ) from error
