"""Generated texts with the statistics of real ones: Zipf's law for words, and topics that shift some of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

SYLLABLES = [consonant + vowel for consonant in "bdfghklmnprstvz" for vowel in ("a", "e", "i", "o", "u", "ai")]


def write_corpus(folder: Path, count: int, num_classes: int, seed: int = 0) -> None:
    """Write ``texts.txt``, with one text of 20 to 60 words per line, and ``labels.npy``."""
    rng = np.random.default_rng(seed)
    vocabulary = _words(rng, 60_000)
    general = np.cumsum(1 / np.arange(1, len(vocabulary) + 1))
    topics = [rng.permutation(np.arange(200, 5_000))[:400] for _ in range(num_classes)]
    labels = rng.integers(num_classes, size=count)
    with (folder / "texts.txt").open("w", encoding="utf-8") as file:
        for label, length in zip(labels, rng.integers(20, 61, size=count), strict=True):
            drawn = np.searchsorted(general, rng.random(length) * general[-1])
            on_topic = rng.random(length) < 0.1
            drawn[on_topic] = rng.choice(topics[label], size=on_topic.sum())
            file.write(" ".join(vocabulary[word] for word in drawn) + "\n")
    np.save(folder / "labels.npy", labels)


def read_corpus(folder: Path) -> tuple[list[str], np.ndarray]:
    """Read the output of `write_corpus`."""
    with (folder / "texts.txt").open(encoding="utf-8") as file:
        return [line.rstrip("\n") for line in file], np.load(folder / "labels.npy")


def _words(rng: np.random.Generator, count: int) -> list[str]:
    words: dict[str, None] = {}
    while len(words) < count:
        words["".join(rng.choice(SYLLABLES, size=rng.integers(1, 5)))] = None
    return list(words)
