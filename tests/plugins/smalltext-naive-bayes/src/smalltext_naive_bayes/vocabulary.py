"""The words of the training texts, and their counts in other texts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import numpy as np
from scipy.sparse import csr_matrix

_WORD = re.compile(r"\w+")


class Vocabulary:
    """Words with their numbers.

    Parameters
    ----------
    words : iterable of str
        In the order of their numbers.
    """

    def __init__(self, words: Iterable[str]) -> None:
        self.number_of = {word: number for number, word in enumerate(words)}

    @classmethod
    def of(cls, texts: Iterable[str]) -> Vocabulary:
        """Return the sorted words of texts, so that the same texts give the same numbers."""
        return cls(sorted({word for text in texts for word in split(text)}))

    @property
    def words(self) -> list[str]:
        """All words, in the order of their numbers."""
        return list(self.number_of)

    def count(self, texts: Sequence[str]) -> csr_matrix:
        """Return the count of each word in each text, shape (len(texts), number of words)."""
        numbers = [
            [self.number_of[word] for word in split(text) if word in self.number_of]
            for text in texts
        ]
        starts = np.cumsum([0, *map(len, numbers)])
        columns = np.fromiter(
            (number for row in numbers for number in row), np.intp, starts[-1]
        )
        shape = (len(texts), len(self.number_of))
        counts = csr_matrix((np.ones(len(columns)), columns, starts), shape=shape)
        counts.sum_duplicates()
        return counts


def split(text: str) -> list[str]:
    """Return the words of a text, in lower case."""
    return _WORD.findall(text.lower())
