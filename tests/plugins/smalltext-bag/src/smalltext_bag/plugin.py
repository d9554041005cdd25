"""The plugin that smalltext finds. It imports only smalltext_core, so that listing classifiers is fast."""

from smalltext_core import ClassifierSpec, hookimpl


@hookimpl
def smalltext_classifiers() -> list[ClassifierSpec]:
    return [
        ClassifierSpec(
            name="bag",
            summary="The mean of word vectors that are learned along",
            protocol=1,
            classifier="smalltext_bag.classifier:BagOfEmbeddings",
            abilities=(
                "multi_label",
                "weights",
                "validate",
                "dropout_sampling",
                "save",
                "distributed",
            ),
        )
    ]
