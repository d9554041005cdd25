"""Send factories and fitted classifiers to worker processes, and print the results as JSON.

It is a separate process, which first computes with several threads, like a process that has run for a while.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable
from concurrent.futures import Executor, ProcessPoolExecutor
from typing import Any

import numpy as np
from joblib.externals import loky

from robustness import backends
from smalltext_core import Classifier, ClassifierFactory, TextDataset

PATIENCE = 1800
LOKY_SHIPS = ("sklearn",)  # for the others, it is like "spawn", with slower imports
POOLS: dict[str, ProcessPoolExecutor] = {}
TEXTS = TextDataset(backends.TRAIN_SET.x * 40)


def train_there(factory: ClassifierFactory) -> Any:
    return factory.new().fit(backends.TRAIN_SET).predict_proba(TEXTS)


def predict_there(classifier: Classifier) -> Any:
    return classifier.predict_proba(TEXTS)


def pool(method: str) -> Executor:
    """Return the pool of a start method, with one worker."""
    if method == "loky":
        return loky.get_reusable_executor(max_workers=1, timeout=PATIENCE)
    if method not in POOLS:
        POOLS[method] = ProcessPoolExecutor(1, mp_context=multiprocessing.get_context(method))
    return POOLS[method]


def answers(method: str, fitted: dict[str, Classifier]) -> dict[str, float | str]:
    """Return for each backend the maximum difference between probabilities of a worker and of this process."""
    found: dict[str, float | str] = {}
    for name, classifier in fitted.items():
        if method == "loky" and name not in LOKY_SHIPS:
            continue
        proba = classifier.predict_proba(TEXTS)
        found[f"{name} train"] = difference(method, proba, train_there, backends.factory(name))
        found[f"{name} predict"] = difference(method, proba, predict_there, classifier)
    return found


def difference(method: str, proba: Any, work: Callable[[Any], Any], cargo: Any) -> float | str:
    workers = pool(method)
    try:
        return float(np.abs(workers.submit(work, cargo).result(PATIENCE) - proba).max())
    except TimeoutError:
        for process in list(workers._processes):
            os.kill(process, signal.SIGKILL)
        POOLS.pop(method, None)
        return f"nothing came back in {PATIENCE} seconds"


def main() -> None:
    fitted = {name: backends.fitted(name) for name in backends.NAMES}
    for classifier in fitted.values():
        classifier.predict_proba(TEXTS)
    for method in sys.argv[1:]:
        sys.stdout.write(json.dumps({method: answers(method, fitted)}) + "\n")


if __name__ == "__main__":
    main()
