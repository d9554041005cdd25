"""The plugin that registers this backend with smalltext-core; imports neither torch nor tokenizers."""

from __future__ import annotations

from collections.abc import Iterable

from smalltext_core import ClassifierSpec, hookimpl


@hookimpl
def smalltext_classifiers() -> Iterable[ClassifierSpec]:
    yield ClassifierSpec(
        name="kimcnn",
        summary="The convolutional network of Kim (2014), over random or pretrained word vectors",
        protocol=1,
        classifier="smalltext_kimcnn.classifier:KimCNNClassifier",
        factory="smalltext_kimcnn.factory:KimCNNFactory",
        builder="smalltext_kimcnn.factory:build",
        dataset="smalltext_kimcnn.dataset:PytorchTextClassificationDataset",
        abilities=("multi_label", "weights", "validate", "embed", "dropout_sampling", "save", "distributed"),
    )
