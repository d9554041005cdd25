"""Random calls of the public functions of a backend, with valid and hostile arguments; each seed is one call.

Run it in a separate process, in the folder of the tests:

    python -m robustness.random_calls NAME FIRST_SEED COUNT RESULTS [NAME FIRST_SEED COUNT RESULTS]...

Before each call, its seed is written to RESULTS/now, and every exception that is not for users to RESULTS/found:
a process that crashes or hangs leaves the seed behind. With only NAME and FIRST_SEED, one call is repeated.
"""

from __future__ import annotations

import copy
import faulthandler
import inspect
import json
import os
import pickle
import random
import re
import sys
import tempfile
import traceback
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import smalltext_core as core
from robustness.random_values import (
    TRAIN_SET,
    Entry,
    WrittenInFullError,
    any_fitted,
    dataset,
    encoded,
    hostile,
    labels,
    model,
    part,
    plausible,
    texts,
    train_set,
)
from smalltext_core.errors import SmallTextError
from smalltext_core.factory import builder_parameters

HANG_SECONDS = 300
"""A call that takes this many seconds hangs, even on a slow machine; the process prints its stack, and ends."""


def settings(rng: random.Random, name: str, most: int, hostile_share: float) -> dict[str, Any]:
    """Return some parameters of the builder of a backend, and their values."""
    known = [
        parameter for parameter in builder_parameters(name) if parameter not in ("model", "encoder", "num_classes")
    ]
    chosen = rng.sample(known, min(rng.randrange(most + 1), len(known)))
    return {
        parameter: hostile(rng) if rng.random() < hostile_share else plausible(rng, parameter)
        for parameter in chosen
    }


def construct(rng: random.Random, name: str) -> object:
    parameters = {**model(name), **settings(rng, name, 3, 0.6)}
    if rng.random() < 0.1:
        parameters[rng.choice(["nmu_epochs", "", "self", "model", "\ud800"])] = hostile(rng)
    num_classes = hostile(rng) if rng.random() < 0.2 else rng.choice([1, 2, 3, 1000])
    created = rng.choice([core.create_classifier, core.create_factory])(name, num_classes, **parameters)
    return (
        rng.choice([repr, str, lambda made: getattr(made, "new", repr)(), copy.deepcopy])(created)
        if rng.random() < 0.5
        else created
    )


def construct_documented(rng: random.Random, name: str) -> object:
    spec = core.classifier_spec(name)
    home, _, attribute = rng.choice([spec.classifier, spec.factory, spec.dataset or spec.classifier]).partition(
        ":"
    )
    kind = getattr(sys.modules.get(home) or __import__(home, fromlist=["x"]), attribute)
    positional = [parameter for parameter in inspect.signature(kind).parameters if parameter != "self"]
    return kind(*[hostile(rng) for _ in range(rng.randrange(min(len(positional), 4) + 1))])


def make_dataset(rng: random.Random, name: str) -> object:
    data = core.TextDataset
    found: Any = rng.choice(
        [lambda: texts(rng), lambda: hostile(rng), lambda: [hostile(rng)], lambda: dataset(rng, name)]
    )()
    count = len(found) if isinstance(found, (list, tuple, core.Dataset)) else 2
    made = rng.choice(
        [
            lambda: data(found, labels(rng, count)),
            lambda: data(found, labels(rng, count), target_labels=hostile(rng)),
            lambda: data(found, labels(rng, count), label_names=hostile(rng)),
            lambda: data.from_labels(found, labels(rng, count)),
            lambda: data.from_labels(found, [hostile(rng) for _ in range(count)]),
            lambda: core.list_to_csr(hostile(rng), hostile(rng)),
            lambda: encoded(rng, name),
            lambda: core.marked_rows(hostile(rng)),
            lambda: core.csr_to_list(hostile(rng)),
        ]
    )()
    return repr(made), getattr(made, "clone", lambda: None)()


def index_dataset(rng: random.Random, name: str) -> object:
    data = part(rng, encoded(rng, name) if rng.random() < 0.5 else TRAIN_SET)
    return data[hostile(rng)]


def set_attributes(rng: random.Random, name: str) -> object:
    data = encoded(rng, name) if rng.random() < 0.5 else part(rng, core.TextDataset(TRAIN_SET.x, TRAIN_SET.y))
    data = data.clone() if rng.random() < 0.5 else data
    attribute = rng.choice([one for one in ("x", "y", "target_labels") if getattr(type(data), one).fset])
    value = rng.choice([lambda: hostile(rng), lambda: labels(rng, len(data)), lambda: data.x])()
    setattr(data, attribute, value)
    return any_fitted(rng, name).predict(data), repr(data), data.clone(), data[:2]


def set_thresholds(rng: random.Random, name: str) -> object:
    classifier = copy.copy(any_fitted(rng, name))
    classifier.multi_label_threshold = plausible(rng, "threshold") if rng.random() < 0.3 else hostile(rng)
    return classifier.predict(dataset(rng, name))


def train(rng: random.Random, name: str) -> object:
    data = train_set(rng, name)
    parameters = {**model(name), **settings(rng, name, 2, 0)}
    classifier = core.create_classifier(name, 3, multi_label=data.is_multi_label, **parameters)
    keywords: dict[str, Any] = {}
    known = inspect.signature(classifier.fit).parameters
    if "weights" in known and rng.random() < 0.5:
        keywords["weights"] = rng.choice([[1.0] * 6, [0, 1, 2, 3, 4, 5], [0] * 6, np.ones(6), hostile(rng)])
    if "validation_set" in known and rng.random() < 0.4:
        keywords["validation_set"] = rng.choice([train_set, dataset])(rng, name)
    classifier.fit(data, **keywords)
    if rng.random() < 0.4:  # again, with another dataset or a part of this one, for warm_start
        classifier.fit(rng.choice([lambda: part(rng, data), lambda: train_set(rng, name)])())
    return classifier.predict_proba(part(rng, encoded(rng, name)))


def train_with_any_data(rng: random.Random, name: str) -> object:
    """Train with a dataset or another object; most are rejected before training."""
    classifier = core.create_classifier(name, 3, multi_label=rng.random() < 0.5, **model(name))
    return classifier.fit(dataset(rng, name))


def train_with_anything(rng: random.Random, name: str) -> object:
    classifier = core.create_classifier(name, 3, **model(name))
    parameters = [
        parameter for parameter in inspect.signature(classifier.fit).parameters if parameter != "train_set"
    ]
    keywords = {
        parameter: hostile(rng)
        for parameter in rng.sample(parameters, rng.randrange(1, 3) if len(parameters) > 1 else 1)
    }
    return classifier.fit(train_set(rng, name) if rng.random() < 0.3 else TRAIN_SET, **keywords)


def ask(rng: random.Random, name: str) -> object:
    classifier = any_fitted(rng, name)
    method = rng.choice(
        [
            known
            for known in ("predict", "predict_proba", "embed", "validate", "refit_head")
            if hasattr(classifier, known)
        ]
    )
    if method == "refit_head":
        classifier = copy.deepcopy(classifier)
    function = getattr(classifier, method)
    data = dataset(rng, name) if rng.random() < 0.8 else TRAIN_SET
    others = list(inspect.signature(function).parameters)[1:]
    chosen = rng.sample(others, rng.randrange(min(len(others), 2) + 1)) if rng.random() < 0.4 else []
    # Some of the values are valid, but too expensive to compute.
    keywords = {
        parameter: small(hostile(rng)) if rng.random() < 0.6 else plausible(rng, parameter) for parameter in chosen
    }
    return function(data, **keywords)


def small(value: Any) -> Any:
    """Return a value, or a smaller number if it is too expensive."""
    return 3 if isinstance(value, (int, np.integer)) and not isinstance(value, bool) and value > 255 else value


def ask_unfitted(rng: random.Random, name: str) -> object:
    classifier = core.create_classifier(name, 3, **model(name))
    methods = ("predict", "predict_proba", "embed", "validate", "save")
    method = rng.choice([known for known in methods if hasattr(type(classifier), known)])
    return getattr(classifier, method)(rng.choice([TRAIN_SET, "folder", hostile(rng)]))


def path(rng: random.Random) -> Any:
    Path("file").write_text("no folder", encoding="utf-8")
    return rng.choice(
        [
            *("model", "file", "file/model", "", ".", "\x00", "a" * 300, "\ud800", "new/folder"),
            Path("model"),
            hostile(rng),
        ]
    )


def save_and_load(rng: random.Random, name: str) -> object:
    classifier = any_fitted(rng, name)
    action = rng.choice(["save", "load", "both", "class"])
    where = path(rng)
    if action in ("save", "both"):
        classifier.save(where)
    loader = type(classifier).load if action == "class" else core.load
    keywords = {rng.choice(["device", "trusted"]): hostile(rng)} if rng.random() < 0.3 else {}
    return loader(where, **keywords).predict(part(rng, encoded(rng, name)))


def copies(rng: random.Random, name: str) -> object:
    classifier = any_fitted(rng, name)
    thing = rng.choice(
        [classifier, core.create_factory(name, 3, **model(name)), TRAIN_SET, part(rng, encoded(rng, name))]
    )
    again = rng.choice([copy.deepcopy, copy.copy, lambda given: pickle.loads(pickle.dumps(given))])(thing)
    if thing is classifier:
        again.predict(core.TextDataset(texts(rng)))
    return repr(again)


def estimate(rng: random.Random, name: str) -> object:
    from sklearn.base import clone

    from smalltext_sklearn import TextClassifier

    action = rng.choice(["clone", "set_params", "get_params", "fit", "repr"])
    # Objects that cannot be shown or copied cannot be part of an estimator.
    classifier = TextClassifier(name, **settings(rng, name, 2, 0 if action in ("repr", "clone") else 0.5))
    if action == "clone":
        return clone(classifier)
    if action == "set_params":
        return classifier.set_params(**settings(rng, name, 2, 0.5), **({"x__y": 1} if rng.random() < 0.3 else {}))
    if action == "fit":
        return classifier.fit(hostile(rng), hostile(rng))
    return repr(classifier) if action == "repr" else classifier.get_params()


CALLS: dict[Callable[[random.Random, str], object], int] = {
    construct: 45,
    construct_documented: 10,
    make_dataset: 15,
    index_dataset: 5,
    set_attributes: 4,
    set_thresholds: 2,
    ask: 10,
    ask_unfitted: 3,
    copies: 3,
    save_and_load: 3,
    estimate: 3,
    train_with_anything: 2,
    train_with_any_data: 2,
    train: 2,
}
"""The frequency of each kind of call; those that train or write take a hundred times as long as the others."""


class Outcome(NamedTuple):
    """The result of a call: "fine", "refused" (an exception for users), or "foreign" (others; long messages)."""

    kind: str
    verdict: str
    traceback: str = ""


def call(name: str, seed: int) -> Outcome:
    """Make the call of a seed."""
    rng = random.Random(f"{name} {seed}")
    (kind,) = rng.choices(list(CALLS), list(CALLS.values()))
    Entry.written = 0
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            kind(rng, name)
    except SmallTextError as error:
        if len(str(error)) > 2_000:
            what = f"a message of {len(str(error))} characters: {str(error)[:200]}"
            return Outcome(kind.__name__, "foreign", what)
    except (Exception, WrittenInFullError) as error:
        if not (kind is index_dataset and isinstance(error, IndexError)) and not is_pythons(error):
            return Outcome(kind.__name__, "foreign", traceback.format_exc())
    else:
        return Outcome(kind.__name__, "fine")
    return Outcome(kind.__name__, "refused")


def is_pythons(error: BaseException) -> bool:
    """Return whether Python itself, or `load` in the same words, rejected a call for its parameters.

    Functions of the caller, such as callbacks or functions that create an optimizer, may also be called with
    parameters that they do not have.
    """
    last = traceback.extract_tb(error.__traceback__)[-1]
    refused = last.filename == __file__ or any(
        said in str(error) for said in ("unexpected keyword argument", f"{hostile.__name__}.<locals>.<lambda>()")
    )
    in_callers_function = re.search(r"\b(callback|optimizer|scheduler)\(", last.line or "")
    return isinstance(error, TypeError) and (refused or in_callers_function is not None)


def main(name: str, first: int, count: int, results: Path) -> None:
    verdicts: Counter[str] = Counter()
    with (results / "found").open("w", encoding="utf-8") as found:
        for seed in range(first, first + count):
            (results / "now").write_text(str(seed), encoding="utf-8")
            faulthandler.dump_traceback_later(HANG_SECONDS, exit=True)
            outcome = call(name, seed)
            faulthandler.cancel_dump_traceback_later()
            verdicts[outcome.verdict] += 1
            if outcome.verdict == "foreign":
                found.write(json.dumps({"seed": seed, **outcome._asdict()}) + "\n")
                found.flush()
    (results / "verdicts").write_text(json.dumps(verdicts), encoding="utf-8")
    (results / "now").write_text("done", encoding="utf-8")


if __name__ == "__main__":
    given = sys.argv[1:]
    if len(given) == 2:
        with tempfile.TemporaryDirectory() as room:
            os.chdir(room)
            print(*call(given[0], int(given[1])))  # noqa: T201 - to repeat a call by hand
    else:
        runs = [(*given[start : start + 3], Path(given[start + 3]).resolve()) for start in range(0, len(given), 4)]
        with tempfile.TemporaryDirectory() as room:
            os.chdir(room)
            for name, first, count, results in runs:
                main(name, int(first), int(count), results)
