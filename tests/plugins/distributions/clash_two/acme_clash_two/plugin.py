from __future__ import annotations

from smalltext_core import ClassifierSpec, hookimpl


@hookimpl
def smalltext_classifiers():
    yield ClassifierSpec(
        name="twin",
        summary="The second twin",
        protocol=1,
        classifier="acme_clash_two.parts:Classifier",
        factory="acme_clash_two.parts:Factory",
        builder="acme_clash_two.parts:build",
    )
