from __future__ import annotations

from smalltext_core import ClassifierSpec, hookimpl


@hookimpl
def smalltext_classifiers():
    yield ClassifierSpec(
        name="from-the-past",
        summary="Always the most frequent class",
        protocol=0,
        classifier="acme_older_protocol.parts:Classifier",
        factory="acme_older_protocol.parts:Factory",
        builder="acme_older_protocol.parts:build",
    )
