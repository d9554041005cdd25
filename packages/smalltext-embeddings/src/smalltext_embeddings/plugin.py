"""The plugin that registers this backend with smalltext-core."""

from __future__ import annotations

from collections.abc import Iterable

from smalltext_core import ClassifierSpec, hookimpl


@hookimpl
def smalltext_classifiers() -> Iterable[ClassifierSpec]:
    yield ClassifierSpec(
        name="embeddings",
        summary="A frozen text encoder with a linear head",
        protocol=1,
        classifier="smalltext_embeddings.classifier:EmbeddingClassifier",
        factory="smalltext_embeddings.factory:EmbeddingClassifierFactory",
        builder="smalltext_embeddings.factory:build",
        dataset="smalltext_embeddings.dataset:EmbeddingDataset",
        abilities=("multi_label", "weights", "embed", "save"),
    )
