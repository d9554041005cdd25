from __future__ import annotations

from smalltext_core import ClassifierSpec, hookimpl


@hookimpl
def smalltext_classifiers():
    yield ClassifierSpec(
        name="twin",
        summary="The first twin",
        protocol=1,
        classifier="acme_clash_one.parts:Classifier",
        factory="acme_clash_one.parts:Factory",
        builder="acme_clash_one.parts:build",
    )
