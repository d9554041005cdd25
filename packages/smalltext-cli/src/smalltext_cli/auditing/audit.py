"""One run of `smalltext audit`: read the texts and run all checks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalltext_cli.auditing import training_time
from smalltext_cli.auditing.checks import checks_of, script_counts
from smalltext_cli.auditing.texts import AuditedTexts, Finding
from smalltext_cli.auditing.token_limits import TokenLimit, limit_of_model, limits_of_classifiers, word_counts
from smalltext_cli.auditing.training_time import TimeEstimate
from smalltext_cli.auditing.wrong_labels import default_classifier, find_wrong_labels, missing_package
from smalltext_cli.console import InputFileError, MissingColumnError, counted, listed_names
from smalltext_cli.data_checks import class_counts, label_set, unify_spellings
from smalltext_cli.readers import Reader, Row
from smalltext_cli.readers.files import STDIN, Source
from smalltext_core import LabelNames, classifier_spec
from smalltext_core.label_names import shown_name

_ID = "id"
_MAX_SCRIPTS = 5


class Audit:
    """An audit, whose options are checked before any data is read.

    The parameters are the options of the command. `run` sets the results: `findings`, `limits` and `times`, notes
    on the data (`notes`), and the checks that could not be run (`not_checked`).

    Raises
    ------
    SmallTextError
        If the classifier is unknown.
    """

    data: AuditedTexts

    def __init__(
        self,
        file: str,
        reader: Reader,
        id_column: str | None = None,
        *,
        classifier: str | None = None,
        model: str | None = None,
        similarity: float = 0.8,
        seed: int = 0,
    ) -> None:
        if classifier is not None:
            classifier_spec(classifier)
        self._file, self._reader, self._id_column = file, reader, id_column
        self._classifier, self._model = classifier, model
        self._similarity, self._seed = similarity, seed
        self.is_labelled = True
        self.findings: list[Finding] = []
        self.limits: list[TokenLimit] = []
        self.times: list[TimeEstimate] = []
        self.notes: list[str] = []
        self.not_checked: list[str] = []

    def run(
        self,
        on_progress: Callable[[str], object] = lambda _: None,
        *,
        wrong_labels: bool = True,
        times: bool = True,
    ) -> None:
        """Read the texts and run the checks; `on_progress` is called with a line on each step."""
        self.data = self._read()
        on_progress(f"Checking {counted(self.count, 'text')} ...")
        self.findings += checks_of(self.data, is_labelled=self.is_labelled, threshold=self._similarity)
        words = word_counts(self.data.texts)
        self.limits += limits_of_classifiers(words)
        if self._model is not None:
            self.limits.append(limit_of_model(self._model, self.data.texts))
        if wrong_labels:
            self._find_wrong_labels(on_progress)
        if times:
            on_progress("Estimating how long the classifiers take ...")
            self._estimate_times(words)

    @property
    def count(self) -> int:
        """The number of texts."""
        return len(self.data.texts)

    @property
    def classes(self) -> dict[str, int]:
        """The number of texts of each class."""
        return dict(sorted(class_counts(label for label in self.data.labels if label is not None).items()))

    @property
    def described(self) -> str:
        """A description of the texts in two lines: number, classes, lengths and scripts."""
        kinds = f" in {counted(len(self.classes), 'class')}" if self.is_labelled else ""
        scripts = list(script_counts(self.data.texts).items())
        listed = ", ".join(f"{name} {count:,}" for name, count in scripts[:_MAX_SCRIPTS])
        more = f" and {len(scripts) - _MAX_SCRIPTS} more" if len(scripts) > _MAX_SCRIPTS else ""
        middle, most = np.median(self._lengths), self._lengths.max()
        return (
            f"{self._file}: {counted(self.count, 'text')}{kinds}\n"
            f"Length: median {middle:,.0f} characters, longest {most:,}. Scripts: {listed}{more}"
        )

    @property
    def _lengths(self) -> Any:
        return np.array([len(text) for text in self.data.texts])

    def as_dict(self) -> dict[str, Any]:
        """Return all results as JSON values."""
        return {
            "data": self._file,
            "texts": self.count,
            "classes": self.classes if self.is_labelled else None,
            "characters": {
                "median": float(np.median(self._lengths)),
                "percentile_95": float(np.percentile(self._lengths, 95)),
                "longest": int(self._lengths.max()),
            },
            "scripts": script_counts(self.data.texts),
            "findings": [one.as_dict() for one in self.findings],
            "not_checked": self.not_checked,
            "truncation": [
                {
                    "classifier": one.name,
                    "max_tokens": one.max_tokens,
                    "texts": one.texts,
                    "share_of_tokens": round(one.share, 4),
                    "longest": one.longest,
                    "counted_by": one.counted,
                }
                for one in self.limits
            ],
            "times": [one.as_dict() for one in self.times],
        }

    def _read(self) -> AuditedTexts:
        """Read the file, without labels if it has no label column."""
        try:
            rows, source = self._rows(self._reader)
        except MissingColumnError as error:
            if error.column != self._reader.label_column or self._file == STDIN:
                raise
            self.is_labelled = False
            self.not_checked.append(f"labels. {error}")
            rows, source = self._rows(replace(self._reader, label_column=None))
        self.notes += source.counts.notes()
        if not rows:
            raise InputFileError(self._file, "there are no texts in it", "Give a row for each text.")
        labels = [row.label for row in rows]
        unified, notes = unify_spellings([label for label in labels if label is not None], self._file)
        self.notes += notes
        remaining = iter(unified)
        return AuditedTexts(
            [row.text for row in rows],
            [None if label is None else next(remaining) for label in labels],
            [row.line for row in rows],
            self._ids(rows),
            source.unit,
        )

    def _rows(self, reader: Reader) -> tuple[list[Row], Source]:
        with reader.open(self._file) as opened:
            return list(opened.rows), opened.source

    def _ids(self, rows: Sequence[Row]) -> list[str] | None:
        """Return the ids of rows; None if no column was given, and none is called id."""
        columns = list(rows[0].columns)
        name = self._id_column or next((one for one in columns if one.lower() == _ID), None)
        if name is None:
            return None
        if name not in columns:
            problem = f"there is no column {shown_name(name)}, only {listed_names(columns)}"
            raise InputFileError(self._file, problem, "Name another column with --id-column.")
        values = [row.columns.get(name) for row in rows]
        return ["" if value is None else str(value) for value in values]

    def _find_wrong_labels(self, on_progress: Callable[[str], object]) -> None:
        if not self.is_labelled:
            return
        if missing := missing_package():
            self.not_checked.append(missing)
            return
        name = self._classifier or default_classifier()
        if name is None:
            self.not_checked.append("wrong labels, since no installed classifier works without settings")
            return

        def on_fold(number: int, count: int) -> None:
            on_progress(f"Predicting labels out of fold with {name}: fold {number} of {count} ...")

        found = find_wrong_labels(
            self.data, name, multi_label=self._reader.multi_label, seed=self._seed, on_fold=on_fold
        )
        if not found:
            self.not_checked.append(
                "wrong labels, since there are fewer than ten labelled texts, or only one class"
            )
        self.findings += found

    def _estimate_times(self, words: NDArray[np.int64]) -> None:
        names = LabelNames.of([label for label in self.data.labels if label is not None])
        if len(names) < 2:
            self.not_checked.append("how long the classifiers take, since there are fewer than two classes")
            return
        y = np.array([names.number(label_set(label)[0]) if label else -1 for label in self.data.labels])
        rows = np.flatnonzero(y >= 0)
        texts = [self.data.texts[row] for row in rows.tolist()]
        self.times += training_time.estimates(
            texts, y[rows].astype(np.int32), len(names), words[rows], seed=self._seed
        )
