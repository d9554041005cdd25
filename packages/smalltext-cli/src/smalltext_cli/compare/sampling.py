"""The texts of a comparison: a held-out set for all cells, and seeded training sets for each repeat."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from smalltext_cli import data_checks
from smalltext_cli.auditing.near_duplicates import normalized
from smalltext_cli.console import InputFileError, UsageError, counted, listed_names, note
from smalltext_cli.data_checks import label_set
from smalltext_cli.readers import Label, Reader
from smalltext_cli.splitting import held_out_rows
from smalltext_core import LabelNames
from smalltext_core.labels import Labels
from smalltext_core.messages import shown

MAX_HELD_OUT = 2_000
"""The maximum size of the held-out set: more would cost time in every cell, and hardly narrow the intervals."""

ALL = "all"
"""The value of ``--shots`` for all texts that are not held out."""

_MIN_TEXTS = 10


@dataclass(frozen=True)
class Texts:
    """Labelled texts, their class names, and the held-out rows; copies of a text are on the same side.

    Parameters
    ----------
    source : str
        The file, as given by the user.
    texts : list of str
    labels : list of str or tuple of str
    names : LabelNames
    multi_label : bool
    held_out : ndarray of int, shape (h,)
        The rows of the held-out set, which is the same for all cells.
    weights : list of float, optional
        The training weights of the texts; scores are not weighted.
    """

    source: str
    texts: list[str]
    labels: list[Label]
    names: LabelNames
    multi_label: bool
    held_out: NDArray[np.intp]
    weights: list[float] | None = None

    @cached_property
    def pool(self) -> NDArray[np.intp]:
        """The rows that are not held out, which training sets are drawn from."""
        return np.setdiff1d(np.arange(len(self.texts)), self.held_out)

    @cached_property
    def distinct(self) -> NDArray[np.intp]:
        """The rows of the pool without later copies of a text."""
        first = {normalized(self.texts[row]): row for row in reversed(self.pool.tolist())}
        return np.array(sorted(first.values()), dtype=np.intp)

    def numbers(self, rows: Sequence[int]) -> list[Any]:
        """Return the class numbers of rows, or (multi-label) lists of class numbers."""
        known = {name: number for number, name in enumerate(self.names.names)}
        numbers = [sorted(known[name] for name in label_set(self.labels[row])) for row in rows]
        return numbers if self.multi_label else [number for (number,) in numbers]

    def encoded(self, rows: Sequence[int]) -> Labels:
        """Return the labels of rows in the form that classifiers accept."""
        chosen = [self.labels[row] for row in rows]
        if self.multi_label:
            return self.names.encode_multi_label(cast("Sequence[tuple[str, ...]]", chosen))
        return self.names.encode(cast("Sequence[str]", chosen))

    def part(self, rows: Sequence[int]) -> dict[str, Any]:
        """Return rows as JSON values: texts and class numbers."""
        return {"texts": [self.texts[row] for row in rows], "labels": self.numbers(rows)}

    def training_part(self, rows: Sequence[int], *, weighted: bool) -> dict[str, Any]:
        """Return rows like `part`, with their weights if there are any and `weighted` is True."""
        part = self.part(rows)
        if weighted and self.weights is not None:
            part["weights"] = [self.weights[row] for row in rows]
        return part


def read_texts(reader: Reader, data: str, *, share: float, seed: int, max_classes: int | None = None) -> Texts:
    """Read labelled texts, print a summary to standard error, and hold out a part.

    The held-out set is stratified by class and has at most `MAX_HELD_OUT` texts. Copies of a text stay on one side
    of the split, even if they differ in whitespace, case or Unicode variants.

    Raises
    ------
    InputFileError
        If there are fewer than ten texts, or nothing can be held out.
    """
    labelled = reader.read(data)
    labels, notes = data_checks.unify_spellings(labelled.labels, data)
    labelled = replace(labelled, labels=labels)
    multi_label = reader.multi_label
    names = data_checks.class_names(
        labels, data, str(reader.label_column), multi_label=multi_label, max_classes=max_classes
    )
    data_checks.DataSummary.of(labelled).show(data, multi_label=multi_label)
    for sentence in (*labelled.notes, *notes):
        note(sentence)
    if len(labels) < _MIN_TEXTS:
        raise InputFileError(
            data, f"it has only {counted(len(labels), 'text')}", f"Give at least {_MIN_TEXTS} texts."
        )
    share = min(share, MAX_HELD_OUT / len(labels))
    held = held_out_rows([normalized(text) for text in labelled.texts], labels, share, seed)
    if not held.size:
        raise InputFileError(
            data, "no text can be held out, since each class needs one to train on", "Give more texts."
        )
    texts = Texts(data, labelled.texts, labels, names, multi_label, held, labelled.weights)
    counts = data_checks.class_counts(labels)
    data_checks.warn_of_unscored(
        counts, data_checks.class_counts([labels[row] for row in held.tolist()]), held_out=True
    )
    return texts


def parse_shots(given: str) -> list[int | str]:
    """Parse ``--shots``: numbers of texts per class, which are sorted, and optionally ``all``.

    Examples
    --------
    >>> parse_shots("32, 8,all")
    [8, 32, 'all']
    """
    numbers: set[int] = set()
    for part in given.split(","):
        word = part.strip().lower()
        if word == ALL:
            continue
        if not word.isascii() or not word.isdigit() or int(word) < 1:
            raise UsageError(
                f"--shots: got {shown(part.strip())}; allowed: whole numbers from 1 and 'all', such as 8,32,all."
            )
        numbers.add(int(word))
    has_all = any(part.strip().lower() == ALL for part in given.split(","))
    return [*sorted(numbers), *([ALL] if has_all else [])]


def possible_shots(texts: Texts, shots: Sequence[int | str]) -> tuple[list[int | str], list[str]]:
    """Return the numbers of texts per class that give different training sets, and notes on the others."""
    counts = _class_counts(texts)
    largest = max(counts.values())
    kept: list[int | str] = [one for one in shots if one == ALL or int(one) < largest]
    left_out = [one for one in shots if one not in kept]
    notes: list[str] = []
    if left_out:
        if ALL not in kept:
            kept.append(ALL)
        numbers = ", ".join(map(str, left_out))
        notes.append(
            f"{numbers} texts per class: no class has more than {largest:,} different texts to train on, so that "
            "all of them are used."
        )
    most = max((int(one) for one in kept if one != ALL), default=0)
    small = {name: count for name, count in counts.items() if count < most}
    if small:
        few = listed_names([f"{name} ({count})" for name, count in small.items()], 5)
        notes.append(f"classes with fewer texts to train on than asked for give all that they have: {few}.")
    return kept, notes


def training_rows(texts: Texts, shots: int | str, *, seed: int, repeat: int) -> list[int]:
    """Draw the training set of a repeat: up to `shots` different texts of each class, or all texts, shuffled.

    The training sets of a repeat are nested: smaller sets are subsets of larger ones (multi-label: nearly).
    Multi-label, a text is drawn if one of its classes has too few texts so far; texts without a class count as a
    class of their own.
    """
    rng = np.random.default_rng([seed, repeat])
    if shots == ALL:
        return [int(row) for row in rng.permutation(texts.pool)]
    drawn: list[int] = []
    counts: Counter[str | None] = Counter()
    for row in rng.permutation(texts.distinct).tolist():
        classes = label_set(texts.labels[row]) or (None,)
        if any(counts[name] < int(shots) for name in classes):
            counts.update(classes)
            drawn.append(row)
    return drawn


def first_rows(texts: Texts, count: int, *, seed: int, repeat: int) -> list[int]:
    """Draw the initial texts of a simulation: one per class, and random ones up to `count`.

    If there are more classes than `count`, as many texts as classes are drawn, even if some texts have several
    classes, since means over repeats need training sets of the same size.
    """
    drawn = training_rows(texts, 1, seed=seed, repeat=repeat)
    classes = {name for row in drawn for name in label_set(texts.labels[row]) or (None,)}
    rng = np.random.default_rng([seed, repeat, 1])
    others = np.setdiff1d(texts.distinct, drawn)
    return [*drawn, *rng.permutation(others)[: max(count, len(classes)) - len(drawn)].tolist()]


def described_shots(shots: int | str) -> str:
    """Return a number of texts per class in words.

    Examples
    --------
    >>> described_shots(8), described_shots("all")
    ('8 texts per class', 'all texts')
    """
    return "all texts" if shots == ALL else f"{counted(int(shots), 'text')} per class"


def _class_counts(texts: Texts) -> Counter[str]:
    return data_checks.class_counts([texts.labels[row] for row in texts.distinct.tolist()])
