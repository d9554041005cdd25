"""Classifiers that follow all rules in unusual ways, some of which look like a violation."""

from __future__ import annotations

import _thread
import locale
import os
import tempfile
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import ClassVar

import numpy as np
from counting_classifier import CountingClassifier

from smalltext_core.errors import UnsupportedError
from smalltext_core.probabilities import to_labels


class RestoresWhatItSets(CountingClassifier):
    def learn(self, train_set, weights, rng):
        before = os.environ.get("COUNTING_PARALLELISM"), Path.cwd(), locale.setlocale(locale.LC_TIME)
        os.environ["COUNTING_PARALLELISM"] = "false"
        os.chdir(tempfile.gettempdir())
        locale.setlocale(locale.LC_TIME, "C")
        try:
            with warnings.catch_warnings(), np.errstate(all="raise", divide="ignore"):
                warnings.simplefilter("error")
                return super().learn(train_set, weights, rng)
        finally:
            os.environ.pop("COUNTING_PARALLELISM")
            if before[0] is not None:
                os.environ["COUNTING_PARALLELISM"] = before[0]
            os.chdir(before[1])
            locale.setlocale(locale.LC_TIME, before[2])


class SetsUpOnce(CountingClassifier):
    """Does what the import of a library may do, when that is first needed."""

    needed: ClassVar[set[str]] = set()

    def set_up(self, what):
        if what not in self.needed:
            self.needed.add(what)
            os.environ[f"COUNTING_{what.upper()}"] = "1"
            warnings.filterwarnings("ignore", message=f"of {what}")

    def learn(self, train_set, weights, rng):
        self.set_up("learning")
        return super().learn(train_set, weights, rng)

    def write(self, folder):
        self.set_up("writing")
        super().write(folder)


class SometimesLeavesAFilter(CountingClassifier):
    """Does what threads of a library do by chance if they use warnings.catch_warnings at the same time."""

    fits: ClassVar[list[int]] = []

    def learn(self, train_set, weights, rng):
        self.fits.append(1)
        if len(self.fits) % 2:
            warnings.filterwarnings("ignore", message=f"of thread {len(self.fits)}")
        return super().learn(train_set, weights, rng)


class SharesAPoolOfThreads(CountingClassifier):
    pool: ClassVar[ThreadPoolExecutor] = ThreadPoolExecutor(4)

    def probabilities(self, texts):
        return self.pool.submit(super().probabilities, texts).result()


class HasAMonitor(CountingClassifier):
    """Has a thread that runs until the process ends, like the monitor of the progress bars of tqdm."""

    monitor: ClassVar[list[threading.Thread]] = []

    def learn(self, train_set, weights, rng):
        if not self.monitor:
            self.monitor.append(threading.Thread(target=threading.Event().wait, daemon=True))
            self.monitor[0].start()
        return super().learn(train_set, weights, rng)


class ForgetsItsPool(CountingClassifier):
    """Does not end its threads itself: they end when the executor is garbage."""

    def probabilities(self, texts):
        return ThreadPoolExecutor(1).submit(super().probabilities, texts).result()


class EndsItsThreadsLater(CountingClassifier):
    def learn(self, train_set, weights, rng):
        threading.Timer(0.3, str).start()
        return super().learn(train_set, weights, rng)


class IsCalledByThreadsOfALibrary(CountingClassifier):
    """Is called by threads that Python did not start, by two more each time.

    Until Python 3.13, threading lists them even after they have ended.
    """

    threads = 0

    def learn(self, train_set, weights, rng):
        self.threads += 2
        all_called = threading.Barrier(self.threads + 1)

        def call():
            threading.current_thread()
            all_called.wait()

        for _ in range(self.threads):
            _thread.start_new_thread(call, ())
        all_called.wait()
        return super().learn(train_set, weights, rng)


class MapsItsModelIntoMemory(CountingClassifier):
    registered_name = "counting-mapped"

    @classmethod
    def load(cls, folder):
        classifier = super().load(folder)
        vocabulary, _, prior = classifier.model
        classifier.model = vocabulary, np.load(Path(folder) / "per_word.npy", mmap_mode="r"), prior
        return classifier


class MapsItsModelAndRefersToItself(CountingClassifier):
    """Keeps a file open as long as it exists, and is garbage only for the collector of cycles."""

    registered_name = "counting-cyclic"

    @classmethod
    def load(cls, folder):
        classifier = super().load(folder)
        classifier.file = (Path(folder) / "per_word.npy").open("rb")
        classifier.itself = classifier
        return classifier


class KeepsTheLastModelOfAFolder(CountingClassifier):
    registered_name = "counting-cached"
    opened: ClassVar[dict[str, object]] = {}

    @classmethod
    def load(cls, folder):
        cls.opened[str(folder)] = (Path(folder) / "per_word.npy").open("rb")
        return super().load(folder)


class OnlyPredictsOnceLoaded(CountingClassifier):
    registered_name = "counting-predicting"

    @classmethod
    def load(cls, folder):
        classifier = super().load(folder)
        classifier.loaded = True
        return classifier

    def fit(self, train_set, weights=None):
        if getattr(self, "loaded", False):
            raise UnsupportedError("only the original can be trained")
        return super().fit(train_set, weights)


class StoresItsThresholdsAsAList(CountingClassifier):
    registered_name = "counting-list"

    def __init__(self, *args, multi_label_threshold=(0.1, 0.2, 0.3), **kwargs):
        super().__init__(*args, **kwargs)
        self.multi_label_threshold = multi_label_threshold

    def labels(self, proba):
        threshold = self.multi_label_threshold if self.multi_label else 0.5
        return to_labels(proba, self.multi_label, threshold)

    @classmethod
    def load(cls, folder):
        classifier = super().load(folder)
        classifier.multi_label_threshold = np.array([0.1, 0.2, 0.3], dtype=np.float32)
        return classifier


class ContinuesFromItsModel(CountingClassifier):
    registered_name = "counting-on"
    warm_start = True

    def learn(self, train_set, weights, rng):
        vocabulary, per_word, prior = super().learn(train_set, weights, rng)
        return vocabulary, per_word, prior if self.model is None else (prior + self.model[2]) / 2
