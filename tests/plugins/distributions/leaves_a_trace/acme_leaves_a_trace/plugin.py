from __future__ import annotations

import os
from pathlib import Path

from smalltext_core import ClassifierSpec, hookimpl

TRACE = Path(os.environ["ACME_TRACE"])
TRACE.touch()


@hookimpl
def smalltext_classifiers():
    yield ClassifierSpec(
        name="traced",
        summary="Always the most frequent class",
        protocol=1,
        classifier="acme_leaves_a_trace.parts:Classifier",
        factory="acme_leaves_a_trace.parts:Factory",
        builder="acme_leaves_a_trace.parts:build",
    )
