"""Random sampling and the query strategies of small-text and scikit-activeml by name, imported on use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from smalltext_cli.console import UsageError
from smalltext_core import AnyClassifier, ClassifierSpec, TextDataset
from smalltext_core.labels import Labels

RANDOM = "random"

Library: TypeAlias = Literal["built-in", "small-text", "scikit-activeml"]
_MODULES: Mapping[Library, str] = {"small-text": "small_text", "scikit-activeml": "skactiveml"}


@dataclass(frozen=True)
class Strategy:
    """A query strategy.

    Parameters
    ----------
    library : {"built-in", "small-text", "scikit-activeml"}
        Where it comes from; "built-in" needs no library.
    class_name : str
        The name of the class in the library; empty if it is built in.
    labels : {"single", "multi", "any"}, default="single"
        The kind of labels that the strategy supports.
    ability : str, optional
        The ability that the classifier must have, as in `smalltext_core.ClassifierSpec.abilities`.
    parameters : mapping, default={}
        The parameters of the strategy.
    """

    library: Library
    class_name: str
    labels: Literal["single", "multi", "any"] = "single"
    ability: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)


STRATEGIES: Mapping[str, Strategy] = {
    RANDOM: Strategy("built-in", "", "any"),
    "least-confidence": Strategy("small-text", "LeastConfidence"),
    "prediction-entropy": Strategy("small-text", "PredictionEntropy"),
    "breaking-ties": Strategy("small-text", "BreakingTies"),
    "embedding-kmeans": Strategy("small-text", "EmbeddingKMeans", "any", "embed"),
    "greedy-coreset": Strategy("small-text", "GreedyCoreset", "any", "embed"),
    "lightweight-coreset": Strategy("small-text", "LightweightCoreset", "any", "embed"),
    "contrastive": Strategy("small-text", "ContrastiveActiveLearning", "single", "embed"),
    "bald": Strategy("small-text", "BALD", "single", "dropout_sampling"),
    "category-vector-inconsistency": Strategy("small-text", "CategoryVectorInconsistencyAndRanking", "multi"),
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
                f"pip install 'smalltext-cli[{one.library}]' "
                f"(in a clone: pip install './packages/smalltext-cli[{one.library}]')"
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
    if name == RANDOM:
        rng = np.random.default_rng(seed % 2**32)
        return [int(row) for row in rng.choice(unlabelled, min(count, len(unlabelled)), replace=False)]
    if one.library == "small-text":
        import small_text

        np.random.seed(seed % 2**32)  # noqa: NPY002 - where its strategies draw from
        strategy = getattr(small_text, one.class_name)(**one.parameters)
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
