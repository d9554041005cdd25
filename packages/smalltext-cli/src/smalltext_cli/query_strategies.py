"""Built-in query strategies, and those of small-text and scikit-activeml by name, imported on use."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from smalltext_cli.console import UsageError
from smalltext_core import AnyClassifier, ClassifierSpec, Embedding, TextDataset
from smalltext_core.labels import Labels, is_multi_label
from smalltext_core.messages import install_command

RANDOM, DIVERSE_UNCERTAINTY, HALF_RANDOM = "random", "diverse-uncertainty", "half-random"

SHORTLIST = 10
"""The number of uncertain texts that are clustered, as a multiple of the number of suggested ones."""

_MIN_WEIGHT = 1e-6

Library: TypeAlias = Literal["built-in", "small-text", "scikit-activeml"]
_MODULES: Mapping[Library, str] = {"small-text": "small_text", "scikit-activeml": "skactiveml"}


@dataclass(frozen=True)
class Strategy:
    """A query strategy.

    Parameters
    ----------
    library : {"built-in", "small-text", "scikit-activeml"}
        Where it comes from; "built-in" needs no library.
    class_name : str, default=""
        The name of the class in the library; empty if it is built in.
    labels : {"single", "multi", "any"}, default="single"
        The kind of labels that the strategy supports.
    ability : str, optional
        The ability that the classifier must have, as in `smalltext_core.ClassifierSpec.abilities`.
    parameters : mapping, default={}
        The parameters of the strategy.
    neighbours : str, default=""
        The attribute of the strategy with the number of nearest neighbours, if it looks for more of them than a
        small pool has texts.
    """

    library: Library
    class_name: str = ""
    labels: Literal["single", "multi", "any"] = "single"
    ability: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    neighbours: str = ""


STRATEGIES: Mapping[str, Strategy] = {
    RANDOM: Strategy("built-in", labels="any"),
    DIVERSE_UNCERTAINTY: Strategy("built-in", labels="any"),
    HALF_RANDOM: Strategy("built-in", labels="any"),
    "least-confidence": Strategy("small-text", "LeastConfidence"),
    "prediction-entropy": Strategy("small-text", "PredictionEntropy"),
    "breaking-ties": Strategy("small-text", "BreakingTies"),
    "embedding-kmeans": Strategy("small-text", "EmbeddingKMeans", "any", "embed"),
    "greedy-coreset": Strategy("small-text", "GreedyCoreset", "any", "embed"),
    "lightweight-coreset": Strategy("small-text", "LightweightCoreset", "any", "embed"),
    "contrastive": Strategy("small-text", "ContrastiveActiveLearning", "single", "embed", neighbours="k"),
    "bald": Strategy("small-text", "BALD", "single", "dropout_sampling"),
    "category-vector-inconsistency": Strategy(  # its progress bar is also written to files
        "small-text", "CategoryVectorInconsistencyAndRanking", "multi", parameters={"pbar": None}
    ),
    "uncertainty-margin": Strategy(
        "scikit-activeml", "UncertaintySampling", parameters={"method": "margin_sampling"}
    ),
    "uncertainty-entropy": Strategy("scikit-activeml", "UncertaintySampling", parameters={"method": "entropy"}),
    "uncertainty-confidence": Strategy(
        "scikit-activeml", "UncertaintySampling", parameters={"method": "least_confident"}
    ),
    "core-set": Strategy("scikit-activeml", "CoreSet", "any", "embed"),
    "typiclust": Strategy("scikit-activeml", "TypiClust", "any", "embed"),
    "prob-cover": Strategy("scikit-activeml", "ProbCover", "any", "embed"),
    "max-herding": Strategy("scikit-activeml", "MaxHerding", "any", "embed"),
}
"""The strategies by their names in ``--strategies``."""


def default_strategies(*, multi_label: bool) -> list[str]:
    """Return the strategies that are compared by default."""
    return (
        [RANDOM, "category-vector-inconsistency"] if multi_label else [RANDOM, "least-confidence", "breaking-ties"]
    )


def check_strategies(names: Sequence[str], specs: Sequence[ClassifierSpec], *, multi_label: bool) -> None:
    """Check that strategies can be used with labels and classifiers.

    Raises
    ------
    UsageError
        If a name is unknown, does not support the labels or the classifiers, or its library is not installed.
    """
    known = ", ".join(
        name for name, one in STRATEGIES.items() if one.labels != ("single" if multi_label else "multi")
    )
    for name in names:
        if name not in STRATEGIES:
            raise UsageError(f"There is no query strategy {name!r}. Known: {known}.")
        one = STRATEGIES[name]
        if one.labels == ("single" if multi_label else "multi"):
            kind = "single-label data" if one.labels == "single" else "multi-label data"
            raise UsageError(f"The query strategy {name} is for {kind}. For these data: {known}.")
        for spec in specs:
            if one.ability is not None and one.ability not in spec.abilities:
                raise UsageError(
                    f"The query strategy {name} needs the ability {one.ability}, which the classifier "
                    f"{spec.name!r} does not have. Choose another strategy or classifier."
                )
        if one.library in _MODULES and find_spec(_MODULES[one.library]) is None:
            raise UsageError(
                f"The query strategy {name} is part of {one.library}, which is not installed. Install it: "
                + install_command(f"smalltext-cli[{one.library}]")
            )


def query(
    name: str,
    classifier: AnyClassifier,
    pool: TextDataset,
    *,
    labelled: NDArray[np.intp],
    y: Labels,
    count: int,
    seed: int,
) -> list[int]:
    """Choose the texts of a pool to label next.

    Parameters
    ----------
    name : str
        A name in `STRATEGIES`, whose library is installed.
    classifier : AnyClassifier
        A classifier trained on the labelled texts.
    pool : TextDataset
        All texts, without labels.
    labelled : ndarray of int, shape (k,)
        The labelled rows.
    y : ndarray of int or csr_matrix
        Their labels.
    count : int
    seed : int
        The random state; the global one of numpy is set to it, since small-text uses that.

    Returns
    -------
    list of int
        `count` rows that have no label yet.
    """
    one = STRATEGIES[name]
    unlabelled = np.setdiff1d(np.arange(len(pool)), labelled)
    if one.library == "built-in":
        rest = pool[unlabelled]
        if name == RANDOM:  # needs no predictions
            scores = np.zeros(len(rest))
        else:
            from smalltext_cli.evaluation import thresholds_of  # not needed to complete or check names

            thresholds = thresholds_of(classifier) if is_multi_label(y) else None
            scores = uncertainty(classifier.predict_proba(rest), thresholds)
        return [int(row) for row in unlabelled[select(name, classifier, rest, scores, count, seed=seed)]]
    if one.library == "small-text":
        import small_text

        np.random.seed(seed % 2**32)  # noqa: NPY002 - where its strategies draw from
        strategy = getattr(small_text, one.class_name)(**one.parameters)
        if one.neighbours:
            setattr(strategy, one.neighbours, min(getattr(strategy, one.neighbours), len(pool)))
        return [int(row) for row in strategy.query(classifier, pool, unlabelled, labelled, y, n=count)]
    from skactiveml import pool as strategies

    strategy = getattr(strategies, one.class_name)(random_state=seed % 2**32, **one.parameters)
    known = np.full(len(pool), np.nan)
    # Strategies based on embeddings only look at which texts are labelled, so if multi-label, any label will do.
    known[labelled] = y if isinstance(y, np.ndarray) else 0
    options: dict[str, Any] = {}
    x: Any = np.arange(len(pool))[:, None]
    if one.ability == "embed":
        x = np.asarray(classifier.embed(pool), dtype=np.float64)  # type: ignore[attr-defined]
    else:
        options = {"clf": _known_probabilities(classifier.predict_proba(pool)), "fit_clf": False}
    return [int(row) for row in strategy.query(X=x, y=known, batch_size=count, **options)]


def _known_probabilities(proba: NDArray[np.float32]) -> Any:
    """Return a scikit-activeml classifier that looks up the probabilities of rows by row number."""
    from skactiveml.base import SkactivemlClassifier

    class KnownProbabilities(SkactivemlClassifier):  # type: ignore[misc]
        def fit(self, x: Any, y: Any, sample_weight: Any = None) -> Any:  # noqa: ARG002
            return self

        def predict_proba(self, x: Any) -> NDArray[np.float64]:
            return np.asarray(proba[np.ravel(x).astype(int)], dtype=np.float64)

    return KnownProbabilities(classes=list(range(proba.shape[1])))


def select(
    name: str,
    classifier: AnyClassifier,
    data_set: TextDataset,
    scores: NDArray[np.float64],
    count: int,
    *,
    seed: int = 0,
) -> NDArray[np.intp]:
    """Choose texts by a built-in strategy.

    Parameters
    ----------
    name : {"random", "diverse-uncertainty", "half-random"}
        "diverse-uncertainty" is `spread_out`, or `most_uncertain` if the classifier has no embeddings.
        "half-random" chooses half of the texts, rounded up, in this way, and the others at random. Probabilities
        are calibrated on the training set, which then resembles the pool more.
    classifier : AnyClassifier
    data_set : TextDataset
        n texts without labels.
    scores : ndarray of float64, shape (n,)
        Their uncertainty.
    count : int
    seed : int, default=0

    Returns
    -------
    ndarray of int, shape (min(count, n),)
        The row numbers of the chosen texts.
    """
    count, seed = min(count, len(scores)), seed % 2**32
    num_random = {RANDOM: count, HALF_RANDOM: count // 2}.get(name, 0)
    if isinstance(classifier, Embedding):
        chosen = spread_out(scores, lambda rows: classifier.embed(data_set[rows]), count - num_random, seed=seed)
    else:
        chosen = most_uncertain(scores, count - num_random)
    others = np.setdiff1d(np.arange(len(scores)), chosen)
    return np.append(chosen, np.random.default_rng(seed).choice(others, num_random, replace=False))


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
