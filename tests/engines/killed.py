"""A scorer whose process is killed in the middle of its work, once."""

from __future__ import annotations

import os
import signal
from collections import Counter
from pathlib import Path
from typing import Any

from smalltext_scale import BatchScorer

_calls: Counter[str] = Counter()
"""The number of batches that this process has scored; an engine may unpickle a scorer for each of them."""


class KilledOnce:
    """Score batches; the process that is the first to get its third batch is killed.

    `marker` names a file that is created then.
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
