"""The plugin of the test backend, as a distribution of its own would have it."""

from __future__ import annotations

from collections.abc import Iterator

from smalltext_core import ClassifierSpec, hookimpl


@hookimpl
def smalltext_classifiers() -> Iterator[ClassifierSpec]:
    yield ClassifierSpec(
        name="bag",
        summary="The mean of word vectors",
        protocol=1,
        classifier="torch_backend.bag_of_embeddings:BagOfEmbeddings",
        factory="torch_backend.bag_of_embeddings:BagFactory",
        builder="torch_backend.bag_of_embeddings:BagFactory",
        abilities=("multi_label", "weights", "validate", "dropout_sampling", "save"),
    )
