"""The plugin that registers this backend with smalltext-core; imports neither torch nor transformers."""

from __future__ import annotations

from collections.abc import Iterable

from smalltext_core import ClassifierSpec, hookimpl


@hookimpl
def smalltext_classifiers() -> Iterable[ClassifierSpec]:
    yield ClassifierSpec(
        name="transformers",
        summary="Fine-tuning of any sequence classification model that transformers loads",
        protocol=1,
        classifier="smalltext_transformers.classifier:TransformerBasedClassification",
        factory="smalltext_transformers.factory:TransformerBasedClassificationFactory",
        builder="smalltext_transformers.factory:build",
        dataset="smalltext_transformers.dataset:TransformersDataset",
        abilities=("multi_label", "weights", "validate", "embed", "dropout_sampling", "save", "distributed"),
    )
