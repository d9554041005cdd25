"""One run of `smalltext train`: check the options, read and split the data, train, score and save."""

from __future__ import annotations

import inspect
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from smalltext_cli import data_checks, splitting
from smalltext_cli.console import (
    InputFileError,
    OutputError,
    UsageError,
    check_one_process,
    counted,
    errors_of_classifier,
    note,
    print_message,
    process_number,
    say_if_interrupted,
    working,
)
from smalltext_cli.data_checks import label_set
from smalltext_cli.diagnostics import print_diagnostics
from smalltext_cli.evaluation import Evaluation, Probabilities, thresholds_of
from smalltext_cli.metrics import Scores, score
from smalltext_cli.parameters import CLASS_WEIGHT, builder_parameters, parse_assignments, parse_values
from smalltext_cli.readers import Label, Labelled, Reader
from smalltext_cli.readers.files import is_same_file, known_format
from smalltext_cli.shipped_parameters import parameters_of
from smalltext_cli.training_record import SCORES, TRAINING, as_json_file, training_record
from smalltext_cli.training_texts import TRAINING_TEXTS, TrainingTexts
from smalltext_cli.writers import default_model_folder
from smalltext_core import (
    AnyClassifier,
    ClassifierSpec,
    LabelNames,
    Saving,
    TextDataset,
    classifier_spec,
    create_classifier,
    plugins,
)
from smalltext_core.label_names import shown_name
from smalltext_core.labels import Labels
from smalltext_core.saving import MANIFEST, check_destination, read_manifest, save_with_files

DEFAULT_HELD_OUT = 0.2
"""The default share of texts to hold out."""


@dataclass(frozen=True)
class ScoredTexts:
    """Labelled texts that were scored, with probabilities from models that were not trained on them.

    Parameters
    ----------
    texts : list of str
    lines : list of int
        The line or row of each text in its file.
    y : Labels
    proba : ndarray of float32, shape (n, num_classes)
    scores : Scores
    scored_on : dict
        The origin of the texts, as JSON values.
    trained_on : int
        The number of texts that the scored model was trained on, or the mean of several models.
    line_unit : {"line", "row"}
    """

    texts: list[str]
    lines: list[int]
    y: Labels
    proba: NDArray[np.float32]
    scores: Scores
    scored_on: dict[str, Any]
    trained_on: int
    line_unit: Literal["line", "row"]


class TrainingRun:
    """A training run, whose options are checked before any data is read.

    The parameters are the options of the command. `values` are the parameters of the classifier. The other
    attributes are set by `run`: `summary` counts the texts, `seconds` is the time of all training, including that
    for the scores, `trained_on` is the number of texts of the saved model, `probabilities` is its calibration,
    `scored` holds the scored texts, and `document` is the content of ``scores.json``.

    Raises
    ------
    SmallTextError
        If options contradict one another, or do not fit the classifier or the folder.
    """

    summary: data_checks.DataSummary
    names: LabelNames
    seconds: float = 0.0
    trained_on: int
    probabilities: Probabilities
    scored: ScoredTexts | None = None
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
        held_out: float | None = None,
        cv: int | None = None,
        refit: bool = True,
        overwrite: bool = True,
        max_classes: int | None = None,
        seed: int | None = None,
        device: str | None = None,
    ) -> None:
        if validation is not None and is_same_file(data, validation):
            raise UsageError(f"--validation {validation}: this is DATA itself. Give other texts, or leave it out.")
        if sum(option is not None for option in (validation, held_out, cv)) > 1:
            raise UsageError("--validation, --held-out and --cv are three ways to score. Give one of them.")
        if not refit and (validation is not None or cv is not None):
            raise UsageError("--no-refit is for held-out texts; with --validation or --cv there are none.")
        if reader.separator is not None and not reader.multi_label:
            raise UsageError(
                "--separator is for --multi-label: without it, a text has one label. Leave it out, or add "
                "--multi-label."
            )
        spec = classifier_spec(classifier)
        _check_abilities(classifier, spec, reader)
        self._takes_weights = "weights" in spec.abilities
        self._distribution = next(one.distribution for one in plugins() if any(it is spec for it in one.specs))
        # Check the options before importing the libraries of the classifier.
        parse_assignments(classifier, parameters_of(spec), settings, seed=seed, device=device)
        with working(f"Loading {classifier} ..."):
            self._parameters = builder_parameters(spec.resolve("builder"))
        self._settings = parse_assignments(classifier, self._parameters, settings, seed=seed, device=device)
        self.values = parse_values(self._parameters, self._settings)
        self.output = default_model_folder(data) if output is None else output
        check_destination(self.output)
        self.is_replaced = (self.output / MANIFEST).exists()
        if self.is_replaced and not overwrite:
            raise OutputError(
                f"{self.output}: it already exists. Leave out --no-clobber to replace it, or choose another place."
            )
        self._classifier, self._data, self._reader, self._max_classes = classifier, data, reader, max_classes
        self._validation, self._cv, self._seed = validation, cv, seed
        self._held_out = DEFAULT_HELD_OUT if held_out is None else held_out
        self._refit = refit

    def run(self) -> None:
        """Read the data, train, score and save; notes and progress go to standard error."""
        kept = f"The model in {self.output} is unchanged." if self.is_replaced else "No model was written."
        say_if_interrupted(kept)
        labelled, self.names = self._read()
        data = self._dataset(labelled, self.names)
        if self._validation is not None:
            classifier, trained = self._score_file(labelled, data, self._validation), np.arange(len(data))
        elif self._cv is not None:
            classifier, trained = self._cross_validate(labelled, data, self._cv), np.arange(len(data))
        else:
            classifier, trained = self._score_held_out(labelled, data)
        self.trained_on = len(trained)
        self.probabilities = Probabilities.of(classifier, self.names.names)
        if self.scored is not None:
            print_diagnostics(classifier, self.scored.scores, self.names.names)
            self.document = {
                **self.scored.scores.as_dict(self.names.names),
                "scored_on": self.scored.scored_on,
                "scored_model": {"trained_on": self.scored.trained_on, "is_saved": self.is_scored_model_saved},
                "saved_model": {"trained_on": self.trained_on},
            }
        self._save(classifier, labelled, trained.tolist())
        say_if_interrupted(f"The model is in {self.output}.")

    def evaluation(self) -> Evaluation:
        """Return the scored texts as an evaluation; UsageError is raised if none were scored."""
        if (scored := self.scored) is None:
            raise UsageError("--report: no text was scored. Give --validation FILE, --held-out, or more texts.")
        return Evaluation(
            manifest=read_manifest(self.output, verify=False),
            probabilities=self.probabilities,
            data_name=PurePath(self._validation or self._data).name,
            names=self.names.names,
            texts=scored.texts,
            lines=scored.lines,
            line_unit=scored.line_unit,
            y=scored.y,
            proba=scored.proba,
            scores=scored.scores,
            scored_model=self.scored_model,
        )

    @property
    def is_scored_model_saved(self) -> bool:
        """Whether the scored model is the saved one, and not one trained on fewer texts."""
        return self._validation is not None or not self._refit

    @property
    def scored_model(self) -> str:
        """A description of the scored and the saved model; empty without scores."""
        if self.scored is None:
            return ""
        trained, saved = f"{self.scored.trained_on:,}", counted(self.trained_on, "text")
        if self.is_scored_model_saved:
            return f"The scores are those of the saved model, which was trained on {saved}."
        if self._cv is not None:
            scores = f"of {counted(self._cv, 'model')} trained on about {trained} texts each (cross-validation)"
        else:
            scores = f"of a model that was trained on the other {trained} texts"
        return f"The scores are {scores}. The saved model was trained on all {saved}, and is not scored itself."

    @property
    def described(self) -> str:
        """A description of the scored texts, to follow "On 20 texts"."""
        if self._validation is not None:
            return f"of {self._validation}"
        held_out = "that was held out" if self.scored and len(self.scored.texts) == 1 else "that were held out"
        return held_out if self._cv is None else f"in {counted(self._cv, 'fold')}"

    def _read(self) -> tuple[Labelled, LabelNames]:
        labelled = self._reader.read(self._data)
        if labelled.weights is not None and not self._takes_weights:
            note(f"{self._classifier} takes no weights: the agreement of annotators is not used.")
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
        self.summary.show(self._data, multi_label=self._reader.multi_label)
        for sentence in (*labelled.notes, *notes):
            note(sentence)
        if CLASS_WEIGHT in self._settings:  # its keys are class names
            weights = {CLASS_WEIGHT: self._settings[CLASS_WEIGHT]}
            values = self.values | parse_values(self._parameters, weights, names)
            self.values = {name: values[name] for name in self._settings}
        return labelled, names

    def _score_held_out(self, data: Labelled, texts: TextDataset) -> tuple[AnyClassifier, NDArray[np.intp]]:
        """Score a model on held-out texts; return the model to save, and the rows it was trained on."""
        seed = self._seed or 0
        every = np.arange(len(texts))
        held = splitting.held_out_rows(data.texts, data.labels, self._held_out, seed)
        if not held.size:
            return self._fit(texts, data.weights), every
        rest = np.setdiff1d(every, held)
        self._name_unscored([data.labels[row] for row in held.tolist()], is_part=True)
        classifier = self._fit(texts[rest].clone(), _chosen(data.weights, rest))
        scored_on = {"part": "held out", "texts": int(held.size), "share": self._held_out, "seed": seed}
        with working(f"Scoring it on {counted(int(held.size), 'text')} ..."):
            proba = classifier.predict_proba(texts[held].clone())
        thresholds = thresholds_of(classifier)
        self._keep_scores(data, held, texts[held].y, proba, thresholds, scored_on, trained_on=len(rest))
        return (self._fit(texts, data.weights), every) if self._refit else (classifier, rest)

    def _cross_validate(self, data: Labelled, texts: TextDataset, count: int) -> AnyClassifier:
        """Score out-of-fold predictions; return a model trained on all texts."""
        seed = self._seed or 0
        folds = splitting.folds_of_rows(data.texts, data.labels, count, seed)
        rows, self._cv = np.sort(np.concatenate(folds)), len(folds)
        self._name_unscored([data.labels[row] for row in rows.tolist()], is_part=True)
        proba = np.zeros((len(texts), len(self.names)), dtype=np.float32)
        thresholds = []
        for number, fold in enumerate(folds, start=1):
            rest = np.setdiff1d(np.arange(len(texts)), fold)
            classifier = self._fit(
                texts[rest].clone(), _chosen(data.weights, rest), f"Fold {number} of {len(folds)}"
            )
            proba[fold] = classifier.predict_proba(texts[fold].clone())
            thresholds.append(np.broadcast_to(np.asarray(thresholds_of(classifier)), len(self.names)))
        scored_on = {"part": "cross-validation", "folds": len(folds), "texts": len(rows), "seed": seed}
        trained_on = round(len(texts) - len(rows) / len(folds))
        mean = np.mean(thresholds, axis=0)
        self._keep_scores(data, rows, texts[rows].y, proba[rows], mean, scored_on, trained_on=trained_on)
        return self._fit(texts, data.weights)

    def _score_file(self, data: Labelled, texts: TextDataset, file: str) -> AnyClassifier:
        """Train on all texts, and score the model on those of another file."""
        known = known_format(file)
        file_format = None if known else self._reader.file_format
        quoting = self._reader.quoting if (known or file_format) in ("csv", "tsv") else None
        reader = replace(self._reader, weight_column=None, file_format=file_format, quoting=quoting, sheet=None)
        validation = reader.read(file)
        labels, notes = data_checks.unify_spellings(validation.labels, file, self.names.names)
        validation = replace(validation, labels=labels)
        for sentence in (*validation.notes, *notes):
            note(sentence)
        data_checks.warn_of_overlap(data, validation, file)
        unknown = sorted({name for label in labels for name in label_set(label)} - set(self.names.names))
        if unknown:
            raise InputFileError(
                file,
                f"no text to train on has the label {shown_name(unknown[0])}",
                f"{data_checks.similar_name_hint(unknown[:1], self.names.names)}Add such texts to the training "
                "file, or drop these.",
            )
        self._name_unscored(labels, is_part=False)
        scored = self._dataset(validation, self.names)
        classifier = self._fit(texts, data.weights, validation_set=scored)
        with working(f"Scoring it on {counted(len(scored), 'text')} ..."):
            proba = classifier.predict_proba(scored)
        given = takes_validation_set(classifier)
        scored_on = {"part": "validation file", "file": file, "texts": len(labels), "given_to_fit": given}
        every, thresholds = np.arange(len(scored)), thresholds_of(classifier)
        self._keep_scores(validation, every, scored.y, proba, thresholds, scored_on, trained_on=len(texts))
        return classifier

    def _name_unscored(self, labels: Sequence[Label], *, is_part: bool) -> None:
        counts = data_checks.class_counts(labels)
        data_checks.warn_of_unscored(self.summary.classes, counts, held_out=is_part)

    def _keep_scores(
        self,
        data: Labelled,
        rows: NDArray[np.intp],
        y: Labels,
        proba: NDArray[np.float32],
        thresholds: ArrayLike,
        scored_on: dict[str, Any],
        *,
        trained_on: int,
    ) -> None:
        scores = score(y, proba, multi_label=self._reader.multi_label, threshold=thresholds)
        texts, lines = ([column[row] for row in rows.tolist()] for column in (data.texts, data.lines))
        self.scored = ScoredTexts(texts, lines, y, proba, scores, scored_on, trained_on, data.unit)

    def _dataset(self, data: Labelled, names: LabelNames) -> TextDataset:
        if self._reader.multi_label:
            labels = cast("Sequence[tuple[str, ...]]", data.labels)
            return TextDataset(data.texts, names.encode_multi_label(labels), label_names=names)
        return TextDataset(data.texts, names.encode(cast("Sequence[str]", data.labels)), label_names=names)

    def _fit(
        self,
        texts: TextDataset,
        weights: list[float] | None,
        heading: str = "",
        *,
        validation_set: TextDataset | None = None,
    ) -> AnyClassifier:
        """Train a new classifier and add up the time; `heading` is the start of the message about it."""
        # No spinner, since the progress bar of a backend would overwrite it.
        what = f"{self._classifier} on {counted(len(texts), 'text')} ..."
        print_message(f"{heading}: training {what}" if heading else f"Training {what}")
        with errors_of_classifier(self._classifier):
            started = time.perf_counter()
            classifier = create_classifier(
                self._classifier, len(self.names), multi_label=self._reader.multi_label, **self.values
            )
            options: dict[str, Any] = {}
            if validation_set is not None and takes_validation_set(classifier):
                options["validation_set"] = validation_set
            classifier.fit(texts, weights=weights, **options)
            self.seconds += time.perf_counter() - started
            return classifier

    def _save(self, classifier: AnyClassifier, data: Labelled, rows: Sequence[int]) -> None:
        record = training_record(self._distribution, [data.labels[row] for row in rows], self.values)
        texts = TrainingTexts.of(data.texts[row] for row in rows)
        files = {TRAINING_TEXTS: texts.to_bytes(), TRAINING: as_json_file(record)}
        if self.document is not None:
            files[SCORES] = as_json_file(self.document)
        if process_number() == 0:
            save_with_files(cast("Saving", classifier), self.output, files)
        else:  # wait until the main process has written the folder
            cast("Saving", classifier).save(self.output)


def _chosen(weights: list[float] | None, rows: NDArray[np.intp]) -> list[float] | None:
    return None if weights is None else [weights[row] for row in rows.tolist()]


def takes_validation_set(classifier: AnyClassifier) -> bool:
    """Return whether training uses a validation set, e.g. for early stopping, whose scores are then optimistic."""
    return "validation_set" in inspect.signature(classifier.fit).parameters


def _check_abilities(name: str, spec: ClassifierSpec, reader: Reader) -> None:
    if reader.multi_label and "multi_label" not in spec.abilities:
        raise UsageError(f"The classifier {name!r} gives one label per text. Leave --multi-label out.")
    if reader.weight_column is not None and "weights" not in spec.abilities:
        raise UsageError(f"The classifier {name!r} takes no weights. Leave --weight-column out.")
    if "distributed" not in spec.abilities:
        check_one_process(f"train -c {name}")
    if "save" not in spec.abilities:
        raise UsageError(f"The classifier {name!r} cannot be saved, so there is no model folder to write.")
