"""Classifiers each of which leaves something behind in the process: a setting, a thread, or an open file."""

from __future__ import annotations

import locale
import os
import tempfile
import threading
import warnings
from pathlib import Path
from typing import IO, ClassVar

import numpy as np
from counting_classifier import CountingClassifier

# Settings of the process


class MovesElsewhere(CountingClassifier):
    def learn(self, train_set, weights, rng):
        os.chdir(tempfile.gettempdir())
        return super().learn(train_set, weights, rng)


class MovesElsewhereWhenSaving(CountingClassifier):
    def write(self, folder):
        super().write(folder)
        os.chdir(tempfile.gettempdir())


class SilencesNumpy(CountingClassifier):
    def batch(self, texts):
        np.seterr(all="ignore")
        return super().batch(texts)


class HandlesErrorsOfNumpy(CountingClassifier):
    def learn(self, train_set, weights, rng):
        np.seterrcall(lambda *_: None)
        return super().learn(train_set, weights, rng)


class SilencesWarnings(CountingClassifier):
    def learn(self, train_set, weights, rng):
        warnings.simplefilter("ignore")
        return super().learn(train_set, weights, rng)


class SilencesWarningsWhenLoading(CountingClassifier):
    registered_name = "counting-silently"

    @classmethod
    def load(cls, folder):
        warnings.simplefilter("ignore")
        return super().load(folder)


class SetsTheLocale(CountingClassifier):
    def learn(self, train_set, weights, rng):
        locale.setlocale(locale.LC_TIME, "C" if locale.setlocale(locale.LC_TIME) != "C" else "C.UTF-8")
        return super().learn(train_set, weights, rng)


class SetsAVariable(CountingClassifier):
    def learn(self, train_set, weights, rng):
        os.environ.setdefault("COUNTING_PARALLELISM", "false")
        return super().learn(train_set, weights, rng)


class SetsAVariableWhenEmbedding(CountingClassifier):
    def embed(self, data_set):
        os.environ["COUNTING_PARALLELISM"] = "false"
        return self.predict_proba(data_set)


class SetsAVariableWhenItIsMade(CountingClassifier):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        os.environ.setdefault("COUNTING_PARALLELISM", "false")


class SetsAVariableWhenValidating(CountingClassifier):
    def validate(self, data_set):
        os.environ["COUNTING_PARALLELISM"] = "false"
        return 0.0, 1.0


# Threads


def wait_in_a_thread(name):
    threading.Thread(target=threading.Event().wait, name=name, daemon=True).start()


class LeavesAThreadAfterTraining(CountingClassifier):
    def learn(self, train_set, weights, rng):
        wait_in_a_thread("prefetching")
        return super().learn(train_set, weights, rng)


class LeavesAThreadAfterPredicting(CountingClassifier):
    def probabilities(self, texts):
        wait_in_a_thread("prefetching")
        return super().probabilities(texts)


class LeavesAThreadAfterSaving(CountingClassifier):
    def write(self, folder):
        wait_in_a_thread("uploading")
        super().write(folder)


class LeavesAThreadAfterLoading(CountingClassifier):
    registered_name = "counting-watching"

    @classmethod
    def load(cls, folder):
        wait_in_a_thread("watching the folder")
        return super().load(folder)


ENOUGH = threading.Event()
"""Ends the threads of `KeepsTheProcessRunning`."""


class KeepsTheProcessRunning(CountingClassifier):
    def learn(self, train_set, weights, rng):
        threading.Thread(target=ENOUGH.wait, name="reporting").start()
        return super().learn(train_set, weights, rng)


# Files


class LeavesFilesOpenAfterSaving(CountingClassifier):
    opened: ClassVar[list[IO[str]]] = []

    def write(self, folder):
        super().write(folder)
        self.opened.append((folder / "vocabulary.json").open(encoding="utf-8"))


class LeavesFilesOpenAfterLoading(CountingClassifier):
    registered_name = "counting-open"
    opened: ClassVar[list[IO[str]]] = []

    @classmethod
    def load(cls, folder):
        cls.opened.append((Path(folder) / "vocabulary.json").open(encoding="utf-8"))
        return super().load(folder)
