from __future__ import annotations

from smalltext_core import ClassifierSpec, hookimpl


@hookimpl
def smalltext_classifiers():
    yield ClassifierSpec(
        name="sklearn",
        summary="Not the one you think",
        protocol=1,
        classifier="acme_claims_sklearn.parts:Classifier",
        factory="acme_claims_sklearn.parts:Factory",
        builder="acme_claims_sklearn.parts:build",
    )
