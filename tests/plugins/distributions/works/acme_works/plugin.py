from __future__ import annotations

from smalltext_core import ClassifierSpec, hookimpl


@hookimpl
def smalltext_classifiers():
    yield ClassifierSpec(
        name="majority",
        summary="Always the most frequent class",
        protocol=1,
        classifier="acme_works.parts:Classifier",
        factory="acme_works.parts:Factory",
        builder="acme_works.parts:build",
    )
