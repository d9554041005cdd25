"""A plugin whose classifiers need no library: one that counts its processes, and others that fail in some way.

Install it into a folder with `install`, and put that folder on PYTHONPATH.
"""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path
from typing import ClassVar

import numpy as np

from smalltext_core import ClassifierSpec, hookimpl

LOG, KILL_AT = "TALLY_LOG", "TALLY_KILLS_PARENT_AT"
"""Environment variables: the file to count processes in, and at which of them the parent process is killed."""


def install(folder: Path) -> None:
    """Make a distribution of this module that importlib.metadata finds in a folder."""
    shutil.copy(__file__, folder / "tally_plugin.py")
    information = folder / "tally_plugin-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: tally-plugin\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text("[smalltext]\ntally = tally_plugin\n")


class Tally:
    """Gives each word the class that it occurred with last."""

    def __init__(self, num_classes: int, *, multi_label: bool = False, seed: int | None = None) -> None:
        self.num_classes, self.multi_label, self.seed = num_classes, multi_label, seed

    def fit(self, train_set, weights=None):
        if log := os.environ.get(LOG):
            processes = set(Path(log).read_text().split()) if Path(log).exists() else set()
            if len(processes | {str(os.getpid())}) == int(os.environ.get(KILL_AT, "0")):
                os.kill(os.getppid(), signal.SIGKILL)
                signal.pause()
            with Path(log).open("a") as file:
                file.write(f"{os.getpid()}\n")
        self.words = {}
        for text, label in zip(train_set.x, train_set.y, strict=True):
            classes = label.indices.tolist() if self.multi_label else [int(label)]
            self.words |= dict.fromkeys(text.split(), classes)
        return self

    def predict_proba(self, data_set):
        counts = np.full((len(data_set), self.num_classes), 0.1, dtype=np.float32)
        for row, text in enumerate(data_set.x):
            for word in text.split():
                counts[row, self.words.get(word, [])] += 1
        highest = (
            counts.max(axis=1, keepdims=True) * 1.1 if self.multi_label else counts.sum(axis=1, keepdims=True)
        )
        return counts / highest

    def predict(self, data_set, return_proba=False):
        proba = self.predict_proba(data_set)
        return (proba.argmax(axis=1).astype(np.int32), proba) if return_proba else proba.argmax(axis=1)


class Killed(Tally):
    def fit(self, train_set, weights=None):
        os.kill(os.getpid(), signal.SIGKILL)


class OutOfMemory(Tally):
    def fit(self, train_set, weights=None):
        raise MemoryError


class Exits(Tally):
    def fit(self, train_set, weights=None):
        os.write(2, b"the library gave up\n")
        os._exit(3)


class Refuses(Tally):
    def fit(self, train_set, weights=None):
        super().fit(train_set)
        raise ValueError("no such thing")


class NeedsModel(Tally):
    def __init__(self, num_classes: int, *, model: str, multi_label: bool = False) -> None:
        super().__init__(num_classes, multi_label=multi_label)


class Weighted(Tally):
    """Takes weights, and keeps them and the texts of each training in `given`."""

    given: ClassVar[list] = []

    def fit(self, train_set, weights=None):
        self.given.append((list(train_set.x), None if weights is None else list(weights)))
        return super().fit(train_set)


@hookimpl
def smalltext_classifiers():
    for one in (Tally, Killed, OutOfMemory, Exits, Refuses, NeedsModel, Weighted):
        yield ClassifierSpec(
            name=one.__name__.lower(),
            summary="For tests",
            protocol=1,
            classifier=f"tally_plugin:{one.__name__}",
            abilities=("multi_label", "weights") if one is Weighted else ("multi_label",),
        )
