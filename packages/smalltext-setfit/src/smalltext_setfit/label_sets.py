"""Which sets of labels texts have, and so which texts are alike."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from smalltext_core.labels import Labels, is_multi_label

Rows = NDArray[np.intp]
Mask = NDArray[np.bool_]


class LabelSets:
    """The sets of labels that texts have, each set once.

    Parameters
    ----------
    y : ndarray of int, shape (n,), or csr_matrix, shape (n, num_classes)
    """

    def __init__(self, y: Labels) -> None:
        marks = y.astype(np.bool_).toarray() if is_multi_label(y) else y[:, None] == np.unique(y)
        packed = np.packbits(marks, axis=1)
        self._sets, of_text = np.unique(packed, axis=0, return_inverse=True)
        self.of_text: Rows = of_text.reshape(-1)
        self.counts: NDArray[np.int64] = np.bincount(self.of_text, minlength=len(self._sets))
        self._empty: Mask = np.asarray(~self._sets.any(axis=1))

    def __len__(self) -> int:
        """Return the number of different sets."""
        return len(self._sets)

    def alike(self, number: int) -> Mask:
        """Return which sets have a label in common with this one."""
        shared: Mask = (self._sets & self._sets[number]).any(axis=1)
        return shared

    def apart(self, number: int) -> Mask:
        """Return which sets have no label in common with this one; two texts without any may be alike or not."""
        related: Mask = self.alike(number) | (self._empty & self._empty[number])
        return np.logical_not(related)

    def common(self, first: Rows, second: Rows) -> NDArray[np.intp]:
        """Return the lowest label that each two texts have in common; -1 if there is none."""
        shared = np.unpackbits(self._sets[self.of_text[first]] & self._sets[self.of_text[second]], axis=1)
        return np.where(shared.any(axis=1), shared.argmax(axis=1), -1)

    def both_empty(self, first: Rows, second: Rows) -> Mask:
        """Return which two texts have no label at all."""
        empty: Mask = self._empty[self.of_text]
        return np.logical_and(empty[first], empty[second])

    def members(self) -> list[tuple[int, Rows]]:
        """Return each label, and the texts that it applies to."""
        marks = np.unpackbits(self._sets, axis=1).astype(np.bool_)
        labels = np.flatnonzero(marks.any(axis=0))
        return [(int(label), np.flatnonzero(marks[self.of_text, label])) for label in labels]

    def pairs(self) -> tuple[int, int]:
        """Return how many pairs of texts are alike, and how many apart."""
        alike = apart = 0
        for number in range(len(self)):
            count = int(self.counts[number])
            alike += count * int(self.counts[self.alike(number)].sum()) - (0 if self._empty[number] else count)
            apart += count * int(self.counts[self.apart(number)].sum())
        return alike // 2, apart // 2
