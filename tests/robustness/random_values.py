"""Random values, texts, labels, datasets and classifiers, for calls that may accept or reject them."""

from __future__ import annotations

import math
import random
from decimal import Decimal
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse import coo_matrix, csr_array, csr_matrix

import smalltext_core as core
from robustness import backends

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
    """An arbitrary object, with a representation that no message should contain."""

    def __repr__(self) -> str:
        return "\x1b[2J" + "odd " * 10_000


class Raising:
    """An object whose `repr` raises an error."""

    def __repr__(self) -> str:
        raise KeyError("not for users")


class WrittenInFullError(BaseException):
    """Raised if a message contains the whole of a value whose representation could take gigabytes."""


class Entry:
    """An entry of a collection, of which a message may contain only a few."""

    written = 0
    MOST = 100

    def __repr__(self) -> str:
        Entry.written += 1
        if Entry.written > Entry.MOST:
            raise WrittenInFullError
        return "entry"


class Word(str):
    """A subclass of str, as in many libraries."""

    __slots__ = ()

    def __repr__(self) -> str:
        raise KeyError("not for users")


ENTRIES = [Entry()] * 5_000


def hostile(rng: random.Random) -> Any:
    """Return a value that few parameters accept."""
    return rng.choice(
        [
            *(None, True, False, 0, 1, -1, 2, 3, 10**3, 2**31, 2**63, 2**64, -(2**63), 10**40, 10**400),
            *(-(10**5_000), np.complex64(1), np.timedelta64(2, "s"), Word("cpu"), Word("auto"), "~/x", Path("~")),
            *(0.0, -0.0, 0.5, 1.0, -0.1, 1e-300, 1e300, math.nan, math.inf, -math.inf, 1j, Fraction(1, 2)),
            *(np.int64(2), np.uint8(255), np.float32(0.5), np.float64("nan"), np.bool_(True), np.str_("cpu")),
            *("", "x", "cpu", "cuda:99", "auto", "none", "balanced", "\ud800", "\x00", "a" * 1_000, b"", b"x"),
            *([], [1, 2], [0, 0], (3, 4), ["a", "b"], [None], {}, {0: 1.0}, {"0": 2.0, 1: -1}, {"a": object()}),
            *(set(), {1}, range(3), iter([1]), slice(1), memoryview(b"ab"), ..., np.ma.masked, Decimal("0.5")),
            *(np.zeros(0), np.ones((2, 3)), np.array(["a"]), np.array([None, 1], dtype=object), np.array(3)),
            *(csr_matrix((2, 2)), object(), Odd(), int, len, lambda: 1, Path("x"), core),
            *(np.random.default_rng(0), np.datetime64("2020-01-01"), Exception("x")),
            *(Raising(), [Raising()], {"a": Raising()}, {Raising(): 1.0}),
            *(list(ENTRIES), tuple(ENTRIES), {"a": ENTRIES}, dict(enumerate(ENTRIES))),
        ]
    )


def plausible(rng: random.Random, name: str) -> Any:
    """Return a value that a parameter of this name may accept."""
    for part, values in {
        "multi_label": (True, False),
        "threshold": (0.0, 0.3, 0.5, 1.0, 0.7),
        "class_weight": (None, "balanced", {0: 1.0, 1: 2.0, 2: 3.0}, {0: 1}),
        "seed": (None, 0, 1, 2**32 - 1),
        "epochs": (1, 2),
        "size": (1, 2, 8, 0.2, 0.5),
        "lr": (1e-3, 1e-2, 1.0),
        "heights": ((2,), (2, 3), [1]),
        "embedding_cache": (0, 1000, 2**20, "cache"),
        "label_texts": (None, {0: "a fine film"}, {0: ["dull", "bad"], 2: "far too long"}),
        "head": ("auto", 0.1, 10, 3.0),
        "device": (None, "cpu"),
        "precision": ("float32", "auto"),
        "strategy": ("oversampling", "unique", "undersampling"),
        "verbosity": (0, 1, 2, 3),
        "len": (1, 3, 16, None),
        "dim": (1, 4),
        "channels": (1, 2),
        "num_classes": (2, 3, 5),
        "warm_start": (True, False),
        "dropout_sampling": (1, 2, 3),
        "embedding_method": ("pooled", "gradient", "avg", "cls"),
        "dropout": (0.0, 0.5),
        "pbar": (None, "tqdm"),
        "early_stopping": (None, "none"),
        "model_selection": (True, False),
    }.items():
        if part in name:
            return rng.choice(values)
    return rng.choice([None, True, False, 1, 2, 0.5, "none", "auto"])


def texts(rng: random.Random) -> list[str]:
    return [rng.choice(TEXTS) for _ in range(rng.choice([0, 1, 2, 5, 8]))]


def labels(rng: random.Random, count: int) -> Any:
    """Return labels of texts, most of which are valid."""
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
    """Return a dataset with any kind of labels, or another object."""
    chosen = rng.random()
    if chosen < 0.1:
        return hostile(rng)
    found = texts(rng)
    if chosen < 0.2:
        return found
    if chosen < 0.25:
        import pandas as pd

        return pd.DataFrame({"text": pd.Series(found, dtype=object), "label": range(len(found))})
    if chosen < 0.5:
        return part(rng, encoded(rng, name))
    return part(rng, core.TextDataset(found, labels(rng, len(found))))


def part(rng: random.Random, data: Any) -> Any:
    """Return a dataset, or a view of some of its rows, or a copy of such a view."""
    if rng.random() < 0.6:
        return data
    rows = rng.choice([slice(None, None, 2), [], list(range(len(data))), slice(3), np.arange(len(data)) % 2 == 0])
    return data[rows] if rng.random() < 0.7 else data[rows].clone()


def encoded(rng: random.Random, name: str, found: list[str] | None = None, y: object = None) -> Any:
    """Return a dataset of the backend's own class, if it has one."""
    if found is None:
        found = texts(rng) or ["a"]
        y = rng.choice([None, [number % 3 for number in range(len(found))], csr_matrix(np.eye(len(found), 3))])
    if name == "sklearn":
        from sklearn.feature_extraction.text import TfidfVectorizer

        from smalltext_sklearn import SklearnDataset

        return SklearnDataset.from_texts(
            ["a fine film", *found][: len(found)], y, TfidfVectorizer(analyzer="char")
        )
    if name == "kimcnn":
        from smalltext_kimcnn import PytorchTextClassificationDataset, Vocabulary

        known = Vocabulary.from_texts(rng.choice([found, TRAIN_SET.x]))
        return PytorchTextClassificationDataset.from_texts(found, y, vocabulary=known)
    if name == "transformers":
        from smalltext_transformers import TransformersDataset

        return TransformersDataset.from_texts(found, y, tokenizer(), max_length=rng.choice([None, 3, 16]))
    if name == "embeddings":
        from smalltext_embeddings import EmbeddingDataset

        return EmbeddingDataset.from_texts(found, y, encoder=backends.parameters(name)["encoder"])
    return core.TextDataset(found, y)


@cache
def tokenizer() -> Any:
    """Return the tokenizer of the tiny model."""
    from transformers import AutoTokenizer

    from transformers_backend.tiny_models import tiny_model

    return AutoTokenizer.from_pretrained(tiny_model())


@cache
def model(name: str) -> dict[str, Any]:
    """Return the parameters that make a classifier of a backend small."""
    if name == "kimcnn":
        return {"num_epochs": 1, "embedding_dim": 4, "out_channels": 2, "kernel_heights": (2,)}
    if name in ("sklearn", "embeddings"):
        return backends.parameters(name)
    from setfit_backend.tiny_sentence_transformers import tiny_sentence_transformer
    from transformers_backend.tiny_models import tiny_model

    return {"num_epochs": 1, "model": tiny_model() if name == "transformers" else tiny_sentence_transformer()}


TRAIN_SET = core.TextDataset(
    ["a fine film", "a dull film", "fine acting", "so dull", "日本語", "दिन"], [0, 1, 0, 1, 2, 2]
)

MULTI_LABEL = core.TextDataset(
    TRAIN_SET.x, csr_matrix([[1, 0, 1], [0, 1, 0], [1, 1, 0], [0, 0, 0], [0, 0, 1], [1, 1, 1]])
)
"""The same texts with any number of labels."""


def train_set(rng: random.Random, name: str) -> Any:
    """Return a dataset for training a classifier; it may be a view, or of the backend's own class."""
    data = rng.choice([TRAIN_SET, TRAIN_SET, MULTI_LABEL])
    if rng.random() < 0.4:
        data = encoded(rng, name, data.x, data.y)
    if rng.random() < 0.3:
        rows = list(range(len(data)))
        rng.shuffle(rows)
        return data[rows]
    return data


@cache
def fitted(name: str, multi_label: bool = False) -> Any:
    """Return the classifier for most of the calls."""
    data = MULTI_LABEL if multi_label else TRAIN_SET
    return core.create_classifier(name, 3, seed=1, multi_label=multi_label, **model(name)).fit(data)


def any_fitted(rng: random.Random, name: str) -> Any:
    return fitted(name, rng.random() < 0.4)
