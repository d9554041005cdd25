"""The plugin that registers this backend with smalltext-core; imports neither torch nor setfit."""

from __future__ import annotations

from collections.abc import Iterable

from smalltext_core import ClassifierSpec, hookimpl


@hookimpl
def smalltext_classifiers() -> Iterable[ClassifierSpec]:
    yield ClassifierSpec(
        name="setfit",
        summary="Few-shot fine-tuning of sentence transformers, by contrasting pairs of texts",
        protocol=1,
        classifier="smalltext_setfit.classifier:SetFitClassification",
        factory="smalltext_setfit.factory:SetFitClassificationFactory",
        builder="smalltext_setfit.factory:build",
        abilities=("multi_label", "weights", "validate", "embed", "dropout_sampling", "save"),
    )
