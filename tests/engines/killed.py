"""A scorer whose process is killed once during its work."""

from __future__ import annotations

import os
import signal
from collections import Counter
from pathlib import Path
from typing import Any

from smalltext_scale import BatchScorer

_calls: Counter[str] = Counter()
"""The number of batches that this process has scored; an engine may unpickle a scorer for each batch."""


class KilledOnce:
    """Score batches; the first process that gets its third batch is killed.

    `marker` is the path of a file that is created then.
    """

    def __init__(self, folder: str, marker: str) -> None:
        self.scorer = BatchScorer(folder, proba=True)
        self.marker = marker

    def __call__(self, batch: Any) -> Any:
        _calls[self.marker] += 1
        if _calls[self.marker] == 3:
            try:
                Path(self.marker).touch(exist_ok=False)
            except FileExistsError:
                pass
            else:
                os.kill(os.getpid(), signal.SIGKILL)
        return self.scorer(batch)
