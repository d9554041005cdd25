from __future__ import annotations

from smalltext_core import ClassifierSpec, hookimpl


@hookimpl
def smalltext_classifiers():
    yield ClassifierSpec(
        name="missing-module",
        summary="Always the most frequent class",
        protocol=1,
        classifier="acme_missing_target.parts:Classifier",
        factory="acme_missing_target.parts:Factory",
        builder="acme_missing_target.parts:build",
    )
    yield ClassifierSpec(
        name="missing-attribute",
        summary="Always the most frequent class",
        protocol=1,
        classifier="acme_missing_target.plugin:Nobody",
        factory="acme_missing_target.plugin:Nobody",
        builder="acme_missing_target.plugin:nobody",
    )
