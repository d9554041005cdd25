"""Stratified splits of labelled texts: a held-out set, or the folds of cross-validation."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from smalltext_cli import data_checks
from smalltext_cli.console import UsageError, counted
from smalltext_cli.data_checks import label_set
from smalltext_cli.readers import Label
from smalltext_cli.training_texts import normalised


def held_out_rows(texts: Sequence[str], labels: Sequence[Label], share: float, seed: int) -> NDArray[np.intp]:
    """Choose the rows to hold out, stratified by class.

    Copies of a text, which may differ in case and whitespace, stay on one side of the split, even if their labels
    differ. Each class keeps at least one training text; if there are too few texts, none is held out. `share` is
    the share of the texts to hold out, from 0 to below 1.

    Examples
    --------
    >>> held_out_rows(["a", "b", "c", "d", "c"], ["x", "y", "x", "y", "x"], share=0.5, seed=1).tolist()
    [0, 1]
    """
    groups, strata = _strata(texts, labels)
    sizes = np.array([len(rows) for rows in groups])
    held = _drawn_groups(strata, sizes, share, np.random.default_rng(seed))
    _keep_all_classes_in_training(held, groups, labels)
    return _rows(held, groups)


def folds_of_rows(texts: Sequence[str], labels: Sequence[Label], count: int, seed: int) -> list[NDArray[np.intp]]:
    """Split rows into the folds of a cross-validation, stratified by class.

    Copies of a text are in the same fold. The only text of a class is in no fold, and neither is a text without
    which a class would be missing from the training set of its fold.

    Raises
    ------
    UsageError
        If there are fewer different texts than folds, or no fold has a text.

    Examples
    --------
    >>> [fold.tolist() for fold in folds_of_rows(["a", "b", "c", "d", "c"], ["x", "y", "x", "y", "x"], 2, seed=1)]
    [[0, 1], [2, 3, 4]]
    """
    groups, strata = _strata(texts, labels)
    if len(groups) < count:
        raise UsageError(
            f"--cv {count}: DATA has only {counted(len(groups), 'different text')}. Give fewer folds."
        )
    rng = np.random.default_rng(seed)
    folds: list[list[int]] = [[] for _ in range(count)]
    sizes = np.zeros(count)
    for stratum in sorted(strata, key=len):
        in_stratum = np.zeros(count)
        for group in rng.permutation(stratum).tolist() if len(stratum) > 1 else ():
            fold = int(np.lexsort((sizes, in_stratum))[0])
            folds[fold].append(group)
            in_stratum[fold] += len(groups[group])
            sizes[fold] += len(groups[group])
    for fold_groups in folds:
        _keep_all_classes_in_training(fold_groups, groups, labels)
    found = [rows for fold_groups in folds if (rows := _rows(fold_groups, groups)).size]
    if not found:
        raise UsageError(
            f"--cv {count}: no text can be scored, since there are too few of each class. Label more, or pass "
            "--held-out 0 instead, to train without scores."
        )
    return found


def _strata(texts: Sequence[str], labels: Sequence[Label]) -> tuple[list[list[int]], list[list[int]]]:
    """Return the rows of each group of copies, and the groups of each stratum."""
    copies: dict[str, list[int]] = defaultdict(list)
    for row, text in enumerate(texts):
        copies[normalised(text)].append(row)
    groups = list(copies.values())
    frequency = data_checks.class_counts(labels)
    strata: dict[str | None, list[int]] = defaultdict(list)
    for number, rows in enumerate(groups):
        strata[_rarest_class(labels[rows[0]], frequency)].append(number)
    return groups, list(strata.values())


def _rows(numbers: list[int], groups: list[list[int]]) -> NDArray[np.intp]:
    return np.array(sorted(row for number in numbers for row in groups[number]), dtype=np.intp)


def _rarest_class(label: Label, frequency: Counter[str]) -> str | None:
    """Return the rarest class of a text, which determines its stratum."""
    return min(label_set(label), key=lambda name: (frequency[name], name), default=None)


def _drawn_groups(
    strata: list[list[int]], sizes: NDArray[np.intp], share: float, rng: np.random.Generator
) -> list[int]:
    """Draw groups of each stratum, up to its share; rounding remainders carry over to the next stratum."""
    drawn: list[int] = []
    wanted = 0.0
    for stratum in sorted(strata, key=len):
        wanted += share * sizes[stratum].sum()
        for group in rng.permutation(stratum)[:-1].tolist():
            if wanted < sizes[group] / 2:
                break
            drawn.append(group)
            wanted -= sizes[group]
        wanted = min(wanted, 0.5)
    return drawn


def _keep_all_classes_in_training(held: list[int], groups: list[list[int]], labels: Sequence[Label]) -> None:
    """Move groups back to the training set until it has a text of each class.

    This can only be necessary if texts have several labels, or contradictory ones.
    """
    held_rows = {row for number in held for row in groups[number]}
    trained = {name for row, label in enumerate(labels) if row not in held_rows for name in label_set(label)}
    for number in list(held):
        classes = {name for row in groups[number] for name in label_set(labels[row])}
        if not classes <= trained:
            held.remove(number)
            trained |= classes
