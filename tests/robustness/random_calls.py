"""Random calls of everything that a backend makes public, with valid and hostile arguments; one seed is one call.

Run in a process of its own, from the folder of the tests:

    python -m robustness.random_calls NAME FIRST_SEED COUNT RESULTS

Before each call its seed is written to RESULTS/now, and every exception that is not for users to RESULTS/found: a
process that crashes or hangs has left the seed behind. With NAME and FIRST_SEED alone one call is repeated.
"""

from __future__ import annotations

import copy
import faulthandler
import inspect
import json
import math
import pickle
import random
import sys
import tempfile
import traceback
import warnings
from collections.abc import Callable
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse import coo_matrix, csr_array, csr_matrix

import smalltext_core as core
from smalltext_core.errors import SmallTextError
from smalltext_core.registry import builder_parameters

HANG_SECONDS = 300
"""A call that takes this long hangs, on however slow a machine; the process shows where it is, and ends."""

TEXTS = (
    *(
        "",
        " ",
        "a fine film",
        "a dull film",
        "fine acting",
        "so dull",
        "日本語",
        "दिन",
        "👩\u200d👧 ❤\ufe0f",
        "\ud800",
        "\x00\x1b[31m",
    ),
    *("x" * 5_000, "\u0301" * 50, "a\nb\tc\r", "[CLS] [SEP] [PAD] [UNK]", "\u202eabc", "1" * 400),
)


class Odd:
    """An object that is nothing in particular, with a representation that no message should repeat."""

    def __repr__(self) -> str:
        return "\x1b[2J" + "odd " * 10_000


def hostile(rng: random.Random) -> Any:
    """Return a value that few parameters take."""
    return rng.choice(
        [
            *(None, True, False, 0, 1, -1, 2, 3, 10**3, 2**31, 2**63, 2**64, -(2**63), 10**40),
            *(0.0, -0.0, 0.5, 1.0, -0.1, 1e-300, 1e300, math.nan, math.inf, -math.inf, 1j, Fraction(1, 2)),
            *(np.int64(2), np.uint8(255), np.float32(0.5), np.float64("nan"), np.bool_(True), np.str_("cpu")),
            *("", "x", "cpu", "cuda:99", "auto", "none", "balanced", "\ud800", "\x00", "a" * 1_000, b"", b"x"),
            *(
                [],
                [1, 2],
                [0, 0],
                (3, 4),
                ["a", "b"],
                [None],
                {},
                {0: 1.0},
                {"0": 2.0, 1: -1},
                {"a": object()},
                set(),
                {1},
            ),
            *(
                np.zeros(0),
                np.ones((2, 3)),
                np.array(["a"]),
                np.array([None, 1], dtype=object),
                np.array(3),
                range(3),
            ),
            *(
                csr_matrix((2, 2)),
                object(),
                Odd(),
                int,
                len,
                lambda: 1,
                iter([1]),
                Path("x"),
                core,
                ...,
            ),
            *(np.random.default_rng(0), np.datetime64("2020-01-01"), Exception("x"), slice(1), memoryview(b"ab")),
        ]
    )


def plausible(rng: random.Random, name: str) -> Any:
    """Return a value that a parameter of this name may well take."""
    for part, values in {
        "multi_label": (True, False),
        "threshold": (0.0, 0.3, 0.5, 1.0, 0.7),
        "class_weight": (None, "balanced", {0: 1.0, 1: 2.0, 2: 3.0}, {0: 1}),
        "seed": (None, 0, 1, 2**32 - 1),
        "epochs": (1, 2),
        "size": (1, 2, 8, 0.2, 0.5),
        "lr": (1e-3, 1e-2, 1.0),
        "heights": ((2,), (2, 3), [1]),
        "device": (None, "cpu"),
        "precision": ("float32", "auto"),
        "strategy": ("oversampling", "unique", "undersampling"),
        "verbosity": (0, 1, 2, 3),
        "dropout": (0.0, 0.5),
        "len": (1, 3, 16, None),
        "dim": (1, 4),
        "channels": (1, 2),
        "num_classes": (2, 3, 5),
    }.items():
        if part in name:
            return rng.choice(values)
    return rng.choice([None, True, False, 1, 2, 0.5, "none", "auto"])


def texts(rng: random.Random) -> list[str]:
    return [rng.choice(TEXTS) for _ in range(rng.choice([0, 1, 2, 5, 8]))]


def labels(rng: random.Random, count: int) -> Any:
    """Return labels of texts, mostly such as can be."""
    return rng.choice(
        [
            lambda: None,
            lambda: [rng.randrange(3) for _ in range(count)],
            lambda: np.array([rng.randrange(-2, 4) for _ in range(count)]),
            lambda: csr_matrix(np.random.default_rng(rng.randrange(99)).integers(0, 2, (count, 3))),
            lambda: csr_array(np.ones((count, 2))),
            lambda: coo_matrix(np.full((count, 2), -1)),
            lambda: [[0, 1]] * count,
            lambda: ["a"] * count,
            lambda: np.full(count, 2**63, dtype=np.uint64),
            lambda: [10**40] * count,
            lambda: np.full(count, np.nan),
            lambda: hostile(rng),
        ]
    )()


def dataset(rng: random.Random, name: str) -> Any:
    """Return a dataset, whose labels may be of any kind; or something else."""
    chosen = rng.random()
    if chosen < 0.1:
        return hostile(rng)
    found = texts(rng)
    if chosen < 0.2:
        return found
    if chosen < 0.3:
        import pandas as pd

        return pd.DataFrame({"text": pd.Series(found, dtype=object), "label": range(len(found))})
    if chosen < 0.5:
        return encoded(rng, name)
    data = core.TextDataset(found, labels(rng, len(found)))
    return (
        data[rng.choice([slice(None, None, 2), [], list(range(len(data))), slice(3)])] if chosen < 0.65 else data
    )


def encoded(rng: random.Random, name: str) -> Any:
    """Return a dataset of a backend's own kind, where it has one."""
    found = texts(rng) or ["a"]
    y = rng.choice([None, [number % 3 for number in range(len(found))]])
    if name == "sklearn":
        from sklearn.feature_extraction.text import TfidfVectorizer

        from smalltext_sklearn import SklearnDataset

        return SklearnDataset.from_texts(
            ["a fine film", *found][: len(found)], y, TfidfVectorizer(analyzer="char")
        )
    if name == "kimcnn":
        from smalltext_kimcnn import PytorchTextClassificationDataset, Vocabulary

        return PytorchTextClassificationDataset.from_texts(found, y, vocabulary=Vocabulary.from_texts(found))
    return core.TextDataset(found, y)


@cache
def model(name: str) -> dict[str, Any]:
    """Return the parameters that make a classifier of a backend small."""
    if name == "kimcnn":
        return {"num_epochs": 1, "embedding_dim": 4, "out_channels": 2, "kernel_heights": (2,)}
    if name == "sklearn":
        return {}
    from setfit_backend.tiny_sentence_transformers import tiny_sentence_transformer
    from transformers_backend.tiny_models import tiny_model

    return {"num_epochs": 1, "model": tiny_model() if name == "transformers" else tiny_sentence_transformer()}


TRAIN_SET = core.TextDataset(
    ["a fine film", "a dull film", "fine acting", "so dull", "日本語", "दिन"], [0, 1, 0, 1, 2, 2]
)


@cache
def fitted(name: str) -> Any:
    """Return a classifier that most calls are made on."""
    return core.create_classifier(name, 3, seed=1, **model(name)).fit(TRAIN_SET)


def settings(rng: random.Random, name: str, most: int, hostile_share: float) -> dict[str, Any]:
    """Return some parameters of the builder of a backend, and their values."""
    known = [parameter for parameter in builder_parameters(name) if parameter not in ("model", "num_classes")]
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
    data = encoded(rng, name) if rng.random() < 0.5 else TRAIN_SET
    return data[hostile(rng)]


def train(rng: random.Random, name: str) -> object:
    parameters = {**model(name), **settings(rng, name, 2, 0)}
    classifier = core.create_classifier(name, 3, **parameters)
    data = rng.choice([lambda: dataset(rng, name), lambda: TRAIN_SET, lambda: encoded(rng, name)])()
    weights = rng.choice([None, None, [1.0] * 6, [0, 1, 2, 3, 4, 5], hostile(rng)])
    return classifier.fit(data, weights=weights).predict_proba(core.TextDataset(texts(rng)))


def train_with_anything(rng: random.Random, name: str) -> object:
    classifier = core.create_classifier(name, 3, **model(name))
    parameters = [
        parameter for parameter in inspect.signature(classifier.fit).parameters if parameter != "train_set"
    ]
    keywords = {
        parameter: hostile(rng)
        for parameter in rng.sample(parameters, rng.randrange(1, 3) if len(parameters) > 1 else 1)
    }
    return classifier.fit(TRAIN_SET, **keywords)


def ask(rng: random.Random, name: str) -> object:
    classifier = fitted(name)
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
    # A share of what is drawn is too much to compute, not too much to ask for.
    keywords = {parameter: small(hostile(rng)) for parameter in chosen}
    return function(data, **keywords)


def small(value: Any) -> Any:
    """Return a value, or a number that costs less where it is a large one."""
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
    classifier = fitted(name)
    action = rng.choice(["save", "load", "both", "class"])
    where = path(rng)
    if action in ("save", "both"):
        classifier.save(where)
    loader = type(classifier).load if action == "class" else core.load
    return loader(where, **({rng.choice(["device", "trusted"]): hostile(rng)} if rng.random() < 0.3 else {}))


def copies(rng: random.Random, name: str) -> object:
    thing = rng.choice([fitted(name), core.create_factory(name, 3, **model(name)), TRAIN_SET])
    again = rng.choice([copy.deepcopy, copy.copy, lambda given: pickle.loads(pickle.dumps(given))])(thing)
    if thing is fitted(name):
        again.predict(core.TextDataset(texts(rng)))
    return again


def estimate(rng: random.Random, name: str) -> object:
    from sklearn.base import clone

    from smalltext_sklearn import TextClassifier

    classifier = TextClassifier(name, **settings(rng, name, 2, 0.5))
    action = rng.choice(["clone", "set_params", "get_params", "fit", "repr"])
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
    ask: 10,
    ask_unfitted: 3,
    copies: 3,
    save_and_load: 3,
    estimate: 3,
    train_with_anything: 2,
    train: 1,
}
"""How often each kind of call is made; those that train or write cost a hundred times as much as the others."""


def call(name: str, seed: int) -> tuple[str, str] | None:
    """Make the call of a seed; return its kind and a traceback if it ends in an exception not meant for users."""
    rng = random.Random(f"{name} {seed}")
    (kind,) = rng.choices(list(CALLS), list(CALLS.values()))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            kind(rng, name)
    except SmallTextError as error:
        if len(str(error)) > 2_000:
            return kind.__name__, f"a message of {len(str(error))} characters: {str(error)[:200]}"
    except IndexError:
        if kind is not index_dataset:
            return kind.__name__, traceback.format_exc()
    except Exception as error:
        if not is_pythons(error):
            return kind.__name__, traceback.format_exc()
    return None


def is_pythons(error: Exception) -> bool:
    """Tell whether Python itself refused a call, or `load` in its words, as having other parameters."""
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    refused = frame.f_code.co_filename == __file__ or "unexpected keyword argument" in str(error)
    return isinstance(error, TypeError) and refused


def main(name: str, first: int, count: int, results: Path) -> None:
    with (results / "found").open("w", encoding="utf-8") as found:
        for seed in range(first, first + count):
            (results / "now").write_text(str(seed), encoding="utf-8")
            faulthandler.dump_traceback_later(HANG_SECONDS, exit=True)
            failure = call(name, seed)
            faulthandler.cancel_dump_traceback_later()
            if failure is not None:
                found.write(json.dumps({"seed": seed, "kind": failure[0], "traceback": failure[1]}) + "\n")
                found.flush()
    (results / "now").write_text("done", encoding="utf-8")


if __name__ == "__main__":
    import os

    with tempfile.TemporaryDirectory() as room:
        results = Path(sys.argv[4]).resolve() if len(sys.argv) > 4 else Path(room)
        os.chdir(room)
        if len(sys.argv) > 3:
            main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), results)
        else:
            print(call(sys.argv[1], int(sys.argv[2])))  # noqa: T201 - to repeat a call by hand
