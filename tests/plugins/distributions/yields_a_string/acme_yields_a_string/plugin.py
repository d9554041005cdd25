from __future__ import annotations

from smalltext_core import hookimpl


@hookimpl
def smalltext_classifiers():
    yield "majority"
