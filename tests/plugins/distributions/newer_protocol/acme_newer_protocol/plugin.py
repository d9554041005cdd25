from __future__ import annotations

from smalltext_core import ClassifierSpec, hookimpl


@hookimpl
def smalltext_classifiers():
    yield ClassifierSpec(
        name="from-the-future",
        summary="Always the most frequent class",
        protocol=99,
        classifier="acme_newer_protocol.parts:Classifier",
        factory="acme_newer_protocol.parts:Factory",
        builder="acme_newer_protocol.parts:build",
    )
