"""Selection of texts to label next: uncertain ones, spread out over the embeddings of the classifier."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from smalltext_cli.auditing.near_duplicates import normalized
from smalltext_cli.evaluation import Model, thresholds_of
from smalltext_cli.readers import UNCERTAINTY, Reader, Row
from smalltext_cli.readers.values import is_missing
from smalltext_cli.training_texts import TrainingTexts
from smalltext_core import Embedding, TextDataset, classifier_spec
from smalltext_core.saving import Manifest

if TYPE_CHECKING:
    from polars import DataFrame

SHORTLIST = 10
"""The number of uncertain texts that are clustered, as a multiple of the number of suggested ones."""

_MIN_WEIGHT = 1e-6


def uncertainty(proba: NDArray[np.float32], thresholds: ArrayLike | None = None) -> NDArray[np.float64]:
    """Return how uncertain the prediction for each text is, from 0 to 1.

    Single-label, this is one minus the margin between the two most probable classes (margin sampling, also called
    breaking ties) [1]_. Multi-label, it is that of the most uncertain class: 1 if its probability equals its
    threshold, and 0 if it is 0 or 1.

    Parameters
    ----------
    proba : ndarray, shape (n, num_classes)
    thresholds : float or array-like of float, shape (num_classes,), optional
        The thresholds of a multi-label classifier; by default, the classifier is single-label.

    Returns
    -------
    ndarray of float64, shape (n,)

    References
    ----------
    .. [1] Tobias Scheffer, Christian Decomain and Stefan Wrobel, Active Hidden Markov Models for Information
       Extraction, IDA 2001.

    Examples
    --------
    >>> (
    ...     uncertainty(np.array([[0.5, 0.5], [0.75, 0.25]])).tolist(),
    ...     uncertainty(np.array([[0.25, 0.0]]), 0.5).tolist(),
    ... )
    ([1.0, 0.5], [0.5])
    """
    proba = np.asarray(proba, dtype=np.float64)
    if thresholds is None:
        top = np.sort(proba, axis=1)[:, -2:]
        return np.asarray(1 - (top[:, 1] - top[:, 0]), dtype=np.float64)
    limits = np.clip(np.broadcast_to(np.asarray(thresholds, dtype=np.float64), proba.shape[1:]), 1e-9, 1 - 1e-9)
    distance = np.where(proba < limits, (limits - proba) / limits, (proba - limits) / (1 - limits))
    highest: NDArray[np.float64] = 1 - distance.min(axis=1, initial=1)
    return highest


def most_uncertain(scores: NDArray[np.float64], count: int) -> NDArray[np.intp]:
    """Return the texts with the highest uncertainty in descending order; ties are in the order of the texts."""
    return np.argsort(-scores, kind="stable")[:count]


def spread_out(
    scores: NDArray[np.float64],
    embed: Callable[[NDArray[np.intp]], NDArray[np.float32]],
    count: int,
    *,
    seed: int = 0,
) -> NDArray[np.intp]:
    """Choose uncertain texts that differ from one another (diverse mini-batch active learning) [1]_.

    The `SHORTLIST` times `count` most uncertain texts, weighted by their uncertainty, are grouped into `count`
    clusters by k-means. The text nearest to each cluster centre is chosen.

    Parameters
    ----------
    scores : ndarray of float64, shape (n,)
        The uncertainty of each text.
    embed : callable
        Returns the embeddings of the texts with the given row numbers.
    count : int
    seed : int, default=0
        The random state of k-means.

    Returns
    -------
    ndarray of int, shape (min(count, n),)
        The row numbers of the chosen texts, the most uncertain first.

    References
    ----------
    .. [1] Fedor Zhdanov, Diverse mini-batch Active Learning, 2019, arXiv:1901.05954.
    """
    candidates = most_uncertain(scores, SHORTLIST * count)
    if len(candidates) <= count:
        return candidates
    vectors = np.asarray(embed(candidates), dtype=np.float64)
    vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    weights = np.maximum(scores[candidates], _MIN_WEIGHT)
    chosen = candidates[_nearest_to_centres(vectors, weights, count, seed)]
    return chosen[most_uncertain(scores[chosen], count)]


def _nearest_to_centres(
    vectors: NDArray[np.float64], weights: NDArray[np.float64], count: int, seed: int
) -> list[int]:
    """Return one row per cluster, plus the rows of largest weight if there are fewer than `count` clusters."""
    import warnings

    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer different vectors than clusters
        means = KMeans(count, n_init=3, random_state=seed).fit(vectors, sample_weight=weights)
    distance = np.linalg.norm(vectors - means.cluster_centers_[means.labels_], axis=1)
    order = np.lexsort((-weights, distance))
    _, first = np.unique(means.labels_[order], return_index=True)
    chosen: list[int] = order[np.sort(first)].tolist()
    rest = [row for row in np.argsort(-weights, kind="stable").tolist() if row not in set(chosen)]
    return chosen + rest[: count - len(chosen)]


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
    def of(cls, rows: Iterable[Row], label_column: str, left_out: LeftOut) -> Pool:
        """Keep the first copy of each text that is not empty, not excluded, and not labelled yet.

        Texts are copies if they differ only in case, whitespace and Unicode variants. Copies of a labelled text
        count as labelled.
        """
        counts = dict.fromkeys(("labelled already", "trained on", "excluded", "empty", "copies of others"), 0)
        first: dict[str, Row] = {}
        labelled: dict[str, str] = {}
        for row in rows:
            key = normalized(row.text)
            if not is_missing(row.columns.get(label_column)):
                labelled[key] = row.text
                counts["labelled already"] += 1
            elif not key:
                counts["empty"] += 1
            elif key in left_out.excluded:
                counts["excluded"] += 1
            elif key in first:
                counts["copies of others"] += 1
            else:
                first[key] = row
        kept = [row for key, row in first.items() if key not in labelled]
        counts["copies of others"] += len(first) - len(kept)
        if left_out.trained_on is not None:
            is_known = left_out.trained_on.contain([row.text for row in kept])
            counts["trained on"] = int(is_known.sum())
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


def choose(model: Model, pool: Pool, count: int, *, strategy: str | None = None, seed: int = 0) -> Suggested:
    """Choose the rows to label next.

    Parameters
    ----------
    model : Model
    pool : Pool
    count : int
        The number of rows to choose, or all if there are fewer.
    strategy : str, optional
        The name of a query strategy of small-text or scikit-activeml. By default, uncertain texts are spread out
        over the embeddings, if the classifier has any.
    seed : int, default=0
        The random state of k-means, or of the strategy.

    Raises
    ------
    UsageError
        If the strategy is unknown, is for other labels or classifiers, or its library is not installed.
    """
    texts = [row.text for row in pool.rows]
    classifier = model.classifier
    proba = classifier.predict_proba(TextDataset(texts))
    scores = uncertainty(proba, thresholds_of(classifier) if model.multi_label else None)
    if strategy is not None:
        rows = _queried(model, texts, pool.known, min(count, len(texts)), strategy, seed)
    elif isinstance(classifier, Embedding):
        embeds = classifier.embed
        rows = spread_out(scores, lambda some: embeds(TextDataset([texts[row] for row in some])), count, seed=seed)
    else:
        rows = most_uncertain(scores, count)
    return Suggested([pool.rows[row] for row in rows.tolist()], scores[rows])


def check_strategy(model: Model, strategy: str) -> None:
    """Check that a strategy can be used with a model, or raise UsageError; see `choose`."""
    from smalltext_cli.compare.strategies import check_strategies

    spec = classifier_spec(f"{model.manifest.distribution}:{model.manifest.classifier}")
    check_strategies([strategy], [spec], multi_label=model.multi_label)


def _queried(
    model: Model, texts: list[str], known: list[str], count: int, strategy: str, seed: int
) -> NDArray[np.intp]:
    """Return the rows that a strategy chooses; predicted labels of known texts are passed as their labels."""
    from smalltext_cli.compare.strategies import query

    if not count:
        return np.empty(0, dtype=np.intp)
    labels: Any = model.classifier.predict(TextDataset(known))
    pool = TextDataset([*texts, *known])
    labelled = np.arange(len(texts), len(pool))
    check_strategy(model, strategy)
    rows = query(strategy, model.classifier, pool, labelled=labelled, y=labels, count=count, seed=seed)
    return np.array(rows, dtype=np.intp)
