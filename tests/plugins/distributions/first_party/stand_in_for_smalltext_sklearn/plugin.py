from __future__ import annotations

from smalltext_core import ClassifierSpec, hookimpl


@hookimpl
def smalltext_classifiers():
    yield ClassifierSpec(
        name="sklearn",
        summary="The one you think",
        protocol=1,
        classifier="stand_in_for_smalltext_sklearn.parts:Classifier",
        factory="stand_in_for_smalltext_sklearn.parts:Factory",
        builder="stand_in_for_smalltext_sklearn.parts:build",
    )
