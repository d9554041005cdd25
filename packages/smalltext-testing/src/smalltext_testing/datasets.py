"""Rule 7: what is trained on is what a dataset shows, and neither a dataset nor an array has to be writable."""

from __future__ import annotations

import warnings
from contextlib import suppress
from typing import Any

import numpy as np

from smalltext_core.dataset import TextDataset
from smalltext_core.labels import Labels, is_multi_label
from smalltext_testing.check import BrokenRuleError, expect, rule
from smalltext_testing.subject import Subject, difference, same_bits


def _written_into(y: Labels) -> None:
    """Try to change labels in place, as a caller may who does not know that they are read-only."""
    with suppress(ValueError), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scipy warns that this is slow before it finds out that it is impossible
        y[0] = 0
    if is_multi_label(y):
        with suppress(ValueError):
            y.data[:] = 0


@rule(7)
def check_labels_changed_in_place_are_those_that_count(subject: Subject) -> None:
    """Trained on a dataset whose labels were changed, a classifier learns what the dataset shows now.

    An active learner labels texts and trains again, on one dataset. A classifier that keeps what it made of a
    dataset by its identity, or reads entries of a matrix that are stored and zero, learns labels that are gone.

    What to do: read data_set.y in every fit, and keep nothing of a dataset from one fit to the next.
    """
    subject.require_repeatable()
    dataset = subject.train_set.clone()
    classifier = subject.new().fit(dataset)
    _written_into(dataset.y)
    _written_into(dataset[:].y)
    dataset.y = subject.opposite_labels
    _written_into(dataset.y)
    classifier = subject.new() if subject.attribute("warm_start") else classifier
    classifier.fit(dataset)
    y: Any = dataset.y
    fresh = TextDataset(list(dataset.x), y.copy(), label_names=dataset.label_names)
    given, expected = (each.predict_proba(subject.texts) for each in (classifier, subject.new().fit(fresh)))
    expect(
        same_bits(given, expected),
        seen=f"other probabilities than with a new dataset of these labels: {difference(given, expected)}",
        expected="the same bits",
    )


@rule(7)
def check_dataset_changed_after_training_does_not_matter(subject: Subject) -> None:
    """What is done to the training set after fit does not change the classifier.

    The labels of a pool go on changing while a classifier that was trained on it is in use.

    What to do: keep what was learned, not the dataset.
    """
    dataset = subject.train_set.clone()
    classifier = subject.new().fit(dataset)
    before = np.array(classifier.predict_proba(subject.texts))
    dataset.y = subject.opposite_labels
    dataset.x[:] = ["something else entirely"] * len(dataset)
    after = classifier.predict_proba(subject.texts)
    expect(
        same_bits(after, before),
        seen=f"other probabilities after it: {difference(after, before)}",
        expected="the same bits",
    )


@rule(7)
def check_read_only_memory_works(subject: Subject) -> None:
    """Weights and labels in memory that cannot be written to are as good as any, and nothing is written to them.

    Arrays that are memory-mapped, or shared between processes, are read-only. A classifier that normalises weights
    in place fails on them, and changes the caller's weights where it can.

    What to do: begin fit with smalltext_core.validation.training_data, which copies weights, and change no
    argument.
    """
    subject.require_repeatable()
    count = len(subject.train_set)
    weights: Any = 1.0 + np.arange(count) % 3
    locked = weights.copy()
    locked.flags.writeable = False
    texts = list(subject.train_set.x)
    proba = subject.fit_weighted(subject.train_set, weights).predict_proba(subject.texts)
    expect(
        bool((weights == locked).all()) and subject.train_set.x == texts,
        seen="other weights or texts than before fit",
        expected="the arguments of fit as they were",
    )
    try:
        again = subject.fit_weighted(subject.train_set[:], locked).predict_proba(subject.texts[:])
    except ValueError as error:
        raise BrokenRuleError(f"{type(error).__name__}: {error}", "read-only arrays to be taken") from error
    expect(
        same_bits(again, proba), seen=f"other probabilities: {difference(again, proba)}", expected="the same bits"
    )
