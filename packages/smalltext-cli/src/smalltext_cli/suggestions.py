"""Selection of texts to label next from the rows of a file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from smalltext_cli.auditing.near_duplicates import normalized
from smalltext_cli.evaluation import Model, thresholds_of
from smalltext_cli.query_strategies import STRATEGIES, check_strategies, query, select, uncertainty
from smalltext_cli.readers import UNCERTAINTY, Reader, Row
from smalltext_cli.readers.values import is_missing
from smalltext_cli.training_texts import TrainingTexts
from smalltext_core import AnyClassifier, TextDataset, classifier_spec
from smalltext_core.saving import Manifest

if TYPE_CHECKING:
    from polars import DataFrame


@dataclass(frozen=True)
class LeftOut:
    """Texts that are not suggested, regardless of the model.

    Parameters
    ----------
    excluded : mapping of str to str
        Texts by their normalised form.
    trained_on : TrainingTexts, optional
        The hashes of the texts that the model was trained on, if they were saved.
    """

    excluded: Mapping[str, str]
    trained_on: TrainingTexts | None = None

    @classmethod
    def of(cls, files: Iterable[str], text_column: str, folder: str, manifest: Manifest) -> LeftOut:
        """Read the texts of files, in the formats of their extensions, and the hashes in a model folder."""
        texts = (row.text for file in files for row in Reader(text_column).rows(file))
        return cls({normalized(text): text for text in texts}, TrainingTexts.from_model(folder, manifest))


@dataclass(frozen=True)
class Pool:
    """The rows of a file that may be suggested, counts of the other rows by reason, and known texts.

    `known` are distinct texts that need no label: those that have one, and those of the files to exclude.
    """

    rows: list[Row]
    not_suggested: dict[str, int]
    known: list[str]

    @property
    def total(self) -> int:
        """The number of all rows of the file."""
        return len(self.rows) + sum(self.not_suggested.values())

    @classmethod
    def of(cls, rows: Iterable[Row], label_column: str, left_out: LeftOut, *, multi_label: bool) -> Pool:
        """Keep the first copy of each text that is not empty, not excluded, and not labelled yet.

        Texts are copies if they differ only in case, whitespace and Unicode variants. Copies of a labelled text
        count as labelled. Single-label, an empty list is no label: doccano exports it for texts without one.
        """
        counts = dict.fromkeys(("already labelled", "used in training", "excluded", "empty", "repeated"), 0)
        first: dict[str, Row] = {}
        labelled: dict[str, str] = {}
        for row in rows:
            key = normalized(row.text)
            label = row.columns.get(label_column)
            if label == [] and not multi_label:
                label = None
                if isinstance(row.columns, dict):  # a JSON object, whose label is to be filled in
                    row = row._replace(columns={**row.columns, label_column: None})
            if not is_missing(label):
                labelled[key] = row.text
                counts["already labelled"] += 1
            elif not key:
                counts["empty"] += 1
            elif key in left_out.excluded:
                counts["excluded"] += 1
            elif key in first:
                counts["repeated"] += 1
            else:
                first[key] = row
        kept = [row for key, row in first.items() if key not in labelled]
        counts["repeated"] += len(first) - len(kept)
        if left_out.trained_on is not None:
            is_known = left_out.trained_on.contain([row.text for row in kept])
            counts["used in training"] = int(is_known.sum())
            kept = [row for row, known in zip(kept, is_known, strict=True) if not known]
        return cls(kept, counts, list({**left_out.excluded, **labelled}.values()))


@dataclass(frozen=True)
class Suggested:
    """The suggested rows, and the uncertainty of each."""

    rows: list[Row]
    uncertainty: NDArray[np.float64]

    def table(self, label_column: str, header: Sequence[str]) -> DataFrame:
        """Return the columns to add to the rows: an empty label, unless there is one, and the uncertainty."""
        import polars as pl

        has_label = label_column in header or any(label_column in row.columns for row in self.rows)
        columns = {} if has_label else {label_column: pl.Series([None] * len(self.rows), dtype=pl.String)}
        return pl.DataFrame({**columns, UNCERTAINTY: np.round(self.uncertainty, 4)})


def choose(model: Model, pool: Pool, count: int, *, strategy: str, seed: int = 0) -> Suggested:
    """Choose the rows to label next.

    Parameters
    ----------
    model : Model
    pool : Pool
    count : int
        The number of rows to choose, or all if there are fewer.
    strategy : str
        The name of a query strategy in `smalltext_cli.query_strategies`; see `check_strategy`.
    seed : int, default=0
        The random state of the strategy.
    """
    texts = [row.text for row in pool.rows]
    data_set, classifier = TextDataset(texts), model.classifier
    proba = classifier.predict_proba(data_set)
    scores = uncertainty(proba, thresholds_of(classifier) if model.multi_label else None)
    if STRATEGIES[strategy].library == "built-in":
        rows = select(strategy, classifier, data_set, scores, count, seed=seed)
    else:
        rows = _queried(classifier, texts, pool.known, min(count, len(texts)), strategy, seed)
    return Suggested([pool.rows[row] for row in rows.tolist()], scores[rows])


def check_strategy(model: Model, strategy: str) -> None:
    """Raise UsageError if a strategy is unknown, is for other labels or classifiers, or its library is missing."""
    spec = classifier_spec(f"{model.manifest.distribution}:{model.manifest.classifier}")
    check_strategies([strategy], [spec], multi_label=model.multi_label)


def _queried(
    classifier: AnyClassifier, texts: list[str], known: list[str], count: int, strategy: str, seed: int
) -> NDArray[np.intp]:
    """Return the rows that the strategy of a library chooses; known texts have the labels that are predicted."""
    if not count:
        return np.empty(0, dtype=np.intp)
    labels: Any = classifier.predict(TextDataset(known))
    pool = TextDataset([*texts, *known])
    labelled = np.arange(len(texts), len(pool))
    rows = query(strategy, classifier, pool, labelled=labelled, y=labels, count=count, seed=seed)
    return np.array(rows, dtype=np.intp)
