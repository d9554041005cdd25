"""The plugin that smalltext finds. It imports only smalltext_core, so that listing classifiers is fast."""

from smalltext_core import ClassifierSpec, hookimpl


@hookimpl
def smalltext_classifiers() -> list[ClassifierSpec]:
    return [
        ClassifierSpec(
            name="naive-bayes",
            summary="Multinomial naive Bayes that knows how sure it can be",
            protocol=1,
            classifier="smalltext_naive_bayes.classifier:NaiveBayesClassifier",
            abilities=("multi_label", "weights", "save"),
        )
    ]
