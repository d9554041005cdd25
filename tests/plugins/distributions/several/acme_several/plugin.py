from __future__ import annotations

from smalltext_core import ClassifierSpec, hookimpl


@hookimpl
def smalltext_classifiers():
    yield ClassifierSpec(
        name="first",
        summary="Always the most frequent class",
        protocol=1,
        classifier="acme_several.parts:Classifier",
        factory="acme_several.parts:Factory",
        builder="acme_several.parts:build",
    )
    yield ClassifierSpec(
        name="second",
        summary="Always the most frequent class",
        protocol=1,
        classifier="acme_several.parts:Classifier",
        factory="acme_several.parts:Factory",
        builder="acme_several.parts:build",
    )
    yield ClassifierSpec(
        name="third",
        summary="Always the most frequent class",
        protocol=99,
        classifier="acme_several.parts:Classifier",
        factory="acme_several.parts:Factory",
        builder="acme_several.parts:build",
    )
