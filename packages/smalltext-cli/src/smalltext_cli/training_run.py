"""One run of `smalltext train`: check the options, read and split the data, train, score and save."""

from __future__ import annotations

import inspect
import json
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from smalltext_cli import data_checks
from smalltext_cli.console import InputFileError, UsageError, messages, note, working
from smalltext_cli.data_checks import label_set
from smalltext_cli.diagnostics import print_diagnostics
from smalltext_cli.evaluation import SCORES, Probabilities, score_classifier
from smalltext_cli.metrics import Scores
from smalltext_cli.parameters import CLASS_WEIGHT, builder_parameters, parse_assignments, parse_values
from smalltext_cli.readers import Label, Labelled, Reader
from smalltext_cli.readers.files import STDIN, is_same_file, known_format
from smalltext_core import (
    AnyClassifier,
    ClassifierSpec,
    LabelNames,
    Saving,
    TextDataset,
    classifier_spec,
    create_classifier,
)
from smalltext_core.errors import SmallTextError
from smalltext_core.label_names import shown_name
from smalltext_core.saving import check_destination, save_with_files


@dataclass(frozen=True)
class Split:
    """The texts to train on, with their weights, and the texts to score on, with their origin.

    `is_held_out` tells whether the texts to score on are a part of the data or another file.
    """

    train: TextDataset
    weights: list[float] | None
    scored: TextDataset | None
    scored_on: dict[str, Any]
    is_held_out: bool

    @property
    def described(self) -> str:
        """The texts to score on, in words that follow "on 20 texts"."""
        return "that were held out" if self.is_held_out else f"of {self.scored_on['file']}"


class TrainingRun:
    """A training run whose options have been checked, before any data is read.

    The parameters are the options of the command. `values` are the parameters of the classifier; the other
    attributes are set by `run`: `seconds` is the duration of the training, `probabilities` says how they are
    calibrated, `document` is what ``scores.json`` holds.

    Raises
    ------
    SmallTextError
        If options contradict one another, or the classifier or the folder.
    """

    summary: data_checks.DataSummary
    split: Split
    seconds: float
    probabilities: Probabilities
    scores: Scores | None = None
    document: dict[str, Any] | None = None

    def __init__(
        self,
        classifier: str,
        data: str,
        reader: Reader,
        settings: Sequence[str] = (),
        *,
        output: Path | None = None,
        validation: str | None = None,
        held_out: float = 0.2,
        max_classes: int | None = None,
        seed: int | None = None,
        device: str | None = None,
    ) -> None:
        if validation is not None and is_same_file(data, validation):
            raise UsageError(f"--validation {validation}: this is DATA itself. Give other texts, or leave it out.")
        if reader.separator is not None and not reader.multi_label:
            raise UsageError(
                "--separator is for --multi-label: without it, a text has one label. Leave it out, or add that."
            )
        spec = classifier_spec(classifier)
        _check_abilities(classifier, spec, reader)
        self._takes_weights = "weights" in spec.abilities
        self._parameters = builder_parameters(spec.resolve("builder"))
        self._settings = parse_assignments(classifier, self._parameters, settings, seed=seed, device=device)
        self.values = parse_values(self._parameters, self._settings)
        self.output = default_model_folder(data) if output is None else output
        check_destination(self.output)
        self._classifier, self._data, self._reader, self._max_classes = classifier, data, reader, max_classes
        self._validation, self._held_out, self._seed = validation, held_out, seed

    def run(self) -> None:
        """Read the data, train, score and save; notes and progress go to standard error."""
        labelled, names = self._read()
        if self._validation is None:
            self.split = self._hold_out(labelled, names)
        else:
            self.split = self._with_validation(labelled, names, self._validation)
        scored = self.split.scored
        if scored is not None:
            scored_on = data_checks.class_counts(_decoded(scored, names))
            data_checks.warn_of_unscored(self.summary.classes, scored_on, held_out=self.split.is_held_out)
        # No spinner: a backend with a progress bar would draw it over this line.
        messages().print(f"Training {self._classifier} on {len(self.split.train):,} texts ...", markup=False)
        classifier = self._fit(names)
        self.probabilities = Probabilities.of(classifier, names.names)
        if scored is not None:
            with working(f"Scoring it on {len(scored):,} texts ..."):
                self.scores = score_classifier(classifier, scored)
            print_diagnostics(classifier, self.scores, names.names)
            self.document = {**self.scores.as_dict(names.names), "scored_on": self.split.scored_on}
            if not self.split.is_held_out:
                given = {"given_to_fit": takes_validation_set(classifier)}
                self.document["scored_on"] = {**self.split.scored_on, **given}
        self._save(classifier)

    def _read(self) -> tuple[Labelled, LabelNames]:
        labelled = self._reader.read(self._data)
        if labelled.weights is not None and not self._takes_weights:
            note(f"{self._classifier} takes no weights: how far the annotators agree is not used.")
            labelled = replace(labelled, weights=None)
        labels, notes = data_checks.unify_spellings(labelled.labels, self._data)
        labelled = replace(labelled, labels=labels)
        names = data_checks.class_names(
            labels,
            self._data,
            str(self._reader.label_column),
            multi_label=self._reader.multi_label,
            max_classes=self._max_classes,
        )
        self.summary = data_checks.DataSummary.of(labelled)
        self.summary.show(self._data)
        for sentence in (*labelled.notes, *notes):
            note(sentence)
        if CLASS_WEIGHT in self._settings:  # whose keys are names of classes
            weights = {CLASS_WEIGHT: self._settings[CLASS_WEIGHT]}
            values = self.values | parse_values(self._parameters, weights, names)
            self.values = {name: values[name] for name in self._settings}
        return labelled, names

    def _hold_out(self, data: Labelled, names: LabelNames) -> Split:
        texts, seed = self._dataset(data, names), self._seed or 0
        held = held_out_rows(data.texts, data.labels, self._held_out, seed)
        rest = np.setdiff1d(np.arange(len(texts)), held)
        return Split(
            train=texts[rest].clone(),
            weights=None if data.weights is None else [data.weights[row] for row in rest.tolist()],
            scored=texts[held].clone() if held.size else None,
            scored_on={"part": "held out", "texts": int(held.size), "share": self._held_out, "seed": seed},
            is_held_out=True,
        )

    def _with_validation(self, data: Labelled, names: LabelNames, file: str) -> Split:
        known = known_format(file)
        file_format = None if known else self._reader.file_format
        quoting = self._reader.quoting if (known or file_format) in ("csv", "tsv") else None
        reader = replace(self._reader, weight_column=None, file_format=file_format, quoting=quoting)
        validation = reader.read(file)
        labels, notes = data_checks.unify_spellings(validation.labels, file, names.names)
        validation = replace(validation, labels=labels)
        for sentence in (*validation.notes, *notes):
            note(sentence)
        data_checks.warn_of_overlap(data, validation, file)
        unknown = sorted({name for label in labels for name in label_set(label)} - set(names.names))
        if unknown:
            raise InputFileError(
                file,
                f"no text to train on has the label {shown_name(unknown[0])}",
                f"{data_checks.similar_name_hint(unknown[:1], names.names)}Add such texts to the training file, "
                "or drop these.",
            )
        return Split(
            train=self._dataset(data, names),
            weights=data.weights,
            scored=self._dataset(validation, names),
            scored_on={"part": "validation file", "file": file, "texts": len(labels)},
            is_held_out=False,
        )

    def _dataset(self, data: Labelled, names: LabelNames) -> TextDataset:
        if self._reader.multi_label:
            labels = cast("Sequence[tuple[str, ...]]", data.labels)
            return TextDataset(data.texts, names.encode_multi_label(labels), label_names=names)
        return TextDataset(data.texts, names.encode(cast("Sequence[str]", data.labels)), label_names=names)

    def _fit(self, names: LabelNames) -> AnyClassifier:
        with _errors_explained(self._classifier):
            begin = time.perf_counter()
            classifier = create_classifier(
                self._classifier, len(names), multi_label=self._reader.multi_label, **self.values
            )
            options: dict[str, Any] = {}
            if not self.split.is_held_out and takes_validation_set(classifier):
                options["validation_set"] = self.split.scored
            classifier.fit(self.split.train, weights=self.split.weights, **options)
            self.seconds = time.perf_counter() - begin
            return classifier

    def _save(self, classifier: AnyClassifier) -> None:
        files = {}
        if self.document is not None:
            content = json.dumps(self.document, indent=2, ensure_ascii=False, allow_nan=False)
            files[SCORES] = f"{content}\n".encode()
        save_with_files(cast("Saving", classifier), self.output, files)


def default_model_folder(data: str) -> Path:
    """Return the folder in the working directory that a model is saved to if no other is given.

    Examples
    --------
    >>> default_model_folder("mails/2024.csv").name, default_model_folder("-").name
    ('2024-model', 'model')
    """
    return Path("model" if data == STDIN else f"{Path(data).stem}-model")


def takes_validation_set(classifier: AnyClassifier) -> bool:
    """Tell whether training uses a validation set, such as for early stopping; its scores are then optimistic."""
    return "validation_set" in inspect.signature(classifier.fit).parameters


def _check_abilities(name: str, spec: ClassifierSpec, reader: Reader) -> None:
    if reader.multi_label and "multi_label" not in spec.abilities:
        raise UsageError(f"The classifier {name!r} gives one label a text. Leave --multi-label out.")
    if reader.weight_column is not None and "weights" not in spec.abilities:
        raise UsageError(f"The classifier {name!r} takes no weights. Leave --weight-column out.")
    if "save" not in spec.abilities:
        raise UsageError(f"The classifier {name!r} cannot be saved, so there is no model folder to write.")


def _decoded(data: TextDataset, names: LabelNames) -> list[tuple[str, ...]]:
    return [label_set(label if isinstance(label, str) else tuple(label)) for label in names.decode(data.y)]


@contextmanager
def _errors_explained(name: str) -> Iterator[None]:
    """Name the classifier that refused a value, in one line."""
    try:
        yield
    except SmallTextError:
        raise
    except (TypeError, ValueError, LookupError, ImportError) as error:
        raise UsageError(
            f"The classifier {name!r} refused its parameters or the data: {type(error).__name__}: {error}"
        ) from error


def held_out_rows(texts: Sequence[str], labels: Sequence[Label], share: float, seed: int) -> NDArray[np.intp]:
    """Choose the rows to hold out, stratified by class.

    Copies of one text stay on one side, even if their labels differ. Each class keeps at least one text to train
    on; if there are too few texts, none is held out. `share` is that of the texts, from 0 to below 1.

    Examples
    --------
    >>> held_out_rows(["a", "b", "c", "d", "c"], ["x", "y", "x", "y", "x"], share=0.5, seed=1).tolist()
    [0, 1]
    """
    copies: dict[str, list[int]] = defaultdict(list)
    for row, text in enumerate(texts):
        copies[text].append(row)
    groups = list(copies.values())
    frequency = data_checks.class_counts(labels)
    strata: dict[str | None, list[int]] = defaultdict(list)
    for number, rows in enumerate(groups):
        strata[_rarest_class(labels[rows[0]], frequency)].append(number)
    sizes = np.array([len(rows) for rows in groups])
    held = _drawn_groups(list(strata.values()), sizes, share, np.random.default_rng(seed))
    _keep_all_classes_in_training(held, groups, labels)
    return np.array(sorted(row for number in held for row in groups[number]), dtype=np.intp)


def _rarest_class(label: Label, frequency: Counter[str]) -> str | None:
    """Return the class that decides on the stratum of a text."""
    return min(label_set(label), key=lambda name: (frequency[name], name), default=None)


def _drawn_groups(
    strata: list[list[int]], sizes: NDArray[np.intp], share: float, rng: np.random.Generator
) -> list[int]:
    """Draw groups of each stratum, up to its share; the remainder of rounding is added to the next stratum."""
    drawn: list[int] = []
    wanted = 0.0
    for stratum in sorted(strata, key=len):
        wanted += share * sizes[stratum].sum()
        for group in rng.permutation(stratum)[:-1].tolist():
            if wanted < sizes[group] / 2:
                break
            drawn.append(group)
            wanted -= sizes[group]
        wanted = min(wanted, 0.5)
    return drawn


def _keep_all_classes_in_training(held: list[int], groups: list[list[int]], labels: Sequence[Label]) -> None:
    """Return groups to training until each class has a text there.

    Only several labels a text, or contradictory ones, can make that necessary.
    """
    held_rows = {row for number in held for row in groups[number]}
    trained = {name for row, label in enumerate(labels) if row not in held_rows for name in label_set(label)}
    for number in list(held):
        classes = {name for row in groups[number] for name in label_set(labels[row])}
        if not classes <= trained:
            held.remove(number)
            trained |= classes
