"""Rule 2: what predictions look like, and that they say the same as the probabilities."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse import csr_matrix

from smalltext_testing.check import expect, not_applicable, rule
from smalltext_testing.subject import Subject, difference, same_bits


def describe_labels(labels: Any) -> str:
    """Say what a classifier returned as labels."""
    dtype, shape = getattr(labels, "dtype", None), getattr(labels, "shape", None)
    return f"a {type(labels).__name__} of {dtype}, shape {shape}"


def expect_labels(labels: Any, count: int, subject: Subject, where: str) -> None:
    """Expect the type and the shape of predictions."""
    if subject.multi_label:
        expect(
            isinstance(labels, csr_matrix)
            and labels.dtype == np.int32
            and labels.shape == (count, subject.num_classes),
            seen=f"{where} gave {describe_labels(labels)}",
            expected=f"a scipy.sparse.csr_matrix of int32, shape ({count}, {subject.num_classes})",
        )
    else:
        expect(
            isinstance(labels, np.ndarray) and labels.dtype == np.int32 and labels.shape == (count,),
            seen=f"{where} gave {describe_labels(labels)}",
            expected=f"an ndarray of int32, shape ({count},)",
        )


@rule(2)
def check_single_label_predictions_are_int32(subject: Subject) -> None:
    """Single-label predictions are a numpy array of int32 of shape (n,), class numbers from 0 to num_classes - 1.

    Labels of one backend are compared with, and written into, datasets that came from another; a column vector
    or floats turn such a comparison into a matrix or into nothing but misses.

    What to do: end predict with `smalltext_core.probabilities.to_labels(proba, multi_label=False)`.
    """
    if subject.multi_label:
        raise not_applicable("the problem is multi-label")
    labels = subject.fitted.predict(subject.texts)
    expect_labels(labels, len(subject.texts), subject, "predict")
    outside = labels[(labels < 0) | (labels >= subject.num_classes)]
    expect(
        outside.size == 0,
        seen=f"the labels {outside[:3].tolist()}",
        expected=f"class numbers from 0 to {subject.num_classes - 1}",
    )


@rule(2)
def check_multi_label_predictions_are_csr(subject: Subject) -> None:
    """Multi-label predictions are a csr_matrix of int32, shape (n, num_classes), that holds ones only.

    With a hundred classes nearly every entry is 0. Code that reads `indices` of the matrix takes a stored 0, or a
    2, for a label.

    What to do: end predict with `smalltext_core.probabilities.to_labels(proba, multi_label=True)`.
    """
    if not subject.multi_label:
        raise not_applicable("the problem is single-label")
    labels = subject.fitted.predict(subject.texts)
    expect_labels(labels, len(subject.texts), subject, "predict")
    expect(
        (labels.data == 1).all(),
        seen=f"stored entries {np.unique(labels.data).tolist()}",
        expected="ones alone; a class that does not apply has no entry",
    )


@rule(2)
def check_predictions_follow_from_probabilities(subject: Subject) -> None:
    """Labels are the most probable class or, in multi-label problems, every class above the threshold.

    If the two disagree, one of them is wrong, and a report of probabilities does not explain the labels beside
    it. "Above" is strict: `proba > threshold`, with the attribute multi_label_threshold, 0.5 unless there is one.

    What to do: compute labels from the very probabilities, with smalltext_core.probabilities.to_labels.
    """
    labels, proba = subject.fitted.predict(subject.texts), np.asarray(subject.proba)
    if subject.multi_label:
        dense = labels.toarray() if hasattr(labels, "toarray") else np.asarray(labels)
        wrong = (dense > 0) != (proba > subject.threshold)
        expect(
            not wrong.any(),
            seen=f"{int(wrong.sum())} labels differ, such as {dense[wrong][:1].tolist()} for a probability of "
            f"{proba[wrong][:1].tolist()}",
            expected=f"1 exactly where the probability is greater than {subject.threshold}",
        )
        return
    flat = np.asarray(labels).reshape(-1).astype(np.intp)
    chosen = proba[np.arange(len(proba)), np.clip(flat, 0, subject.num_classes - 1)]
    wrong = chosen < proba.max(axis=1)
    row = int(wrong.argmax())
    expect(
        not wrong.any(),
        seen=f"{int(wrong.sum())} of {len(proba)} labels differ: {flat[row]} for {proba[row].tolist()}",
        expected="the number of the most probable class",
    )


@rule(2)
def check_return_proba_gives_the_same(subject: Subject) -> None:
    """predict(..., return_proba=True) gives the labels of predict and the probabilities of predict_proba.

    It is there to save a second pass over the texts, and nobody who uses it expects other numbers or another type.

    What to do: compute the probabilities once, the labels from them, and return both.
    """
    both = subject.fitted.predict(subject.texts, return_proba=True)
    expect(
        isinstance(both, tuple) and len(both) == 2,
        seen=f"a {type(both).__name__}",
        expected="a tuple (labels, proba)",
    )
    labels, proba = both
    expect_labels(labels, len(subject.texts), subject, "predict with return_proba=True")
    expect(
        isinstance(proba, np.ndarray) and same_bits(proba, subject.proba),
        seen=f"other probabilities: {difference(proba, subject.proba)}"
        if isinstance(proba, np.ndarray)
        else f"probabilities as a {type(proba).__name__}",
        expected="what predict_proba gives",
    )
    alone = subject.fitted.predict(subject.texts)
    same = (labels != alone).nnz == 0 if subject.multi_label else np.array_equal(labels, alone)
    expect(same, seen="labels that differ from those of predict without return_proba", expected="the same ones")
