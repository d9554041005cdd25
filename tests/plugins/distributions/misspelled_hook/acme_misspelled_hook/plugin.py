from __future__ import annotations

from smalltext_core import ClassifierSpec, hookimpl


@hookimpl
def smalltext_clasifiers():
    yield ClassifierSpec(
        name="misspelled",
        summary="Always the most frequent class",
        protocol=1,
        classifier="acme_misspelled_hook.parts:Classifier",
        factory="acme_misspelled_hook.parts:Factory",
        builder="acme_misspelled_hook.parts:build",
    )
