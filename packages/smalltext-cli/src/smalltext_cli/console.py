"""Where things are printed: results to standard output, everything else to standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console


@cache
def results() -> Console:
    """Return the console of standard output: for what the user asked for."""
    from rich.console import Console

    return Console(soft_wrap=False, highlight=False)


@cache
def messages() -> Console:
    """Return the console of standard error: for progress, notes and tables that accompany a result."""
    from rich.console import Console

    return Console(stderr=True, highlight=False)


def print_json(content: Mapping[str, object] | list[object]) -> None:
    """Print a result for machines: JSON, never coloured or wrapped."""
    sys.stdout.write(json.dumps(content, indent=2, ensure_ascii=False) + "\n")
