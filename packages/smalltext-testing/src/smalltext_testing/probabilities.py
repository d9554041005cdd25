"""Rules 1 and 4: what probabilities look like, and what they mean."""

from __future__ import annotations

from typing import Any

import numpy as np

from smalltext_core.dataset import TextDataset
from smalltext_core.errors import SmallTextError
from smalltext_core.labels import csr_to_list, is_multi_label, list_to_csr
from smalltext_testing.check import expect, not_applicable, rule
from smalltext_testing.subject import Subject
from smalltext_testing.texts import repeated_text


def describe(proba: Any) -> str:
    """Say what a classifier returned as probabilities."""
    if isinstance(proba, np.ndarray):
        return f"an ndarray of {proba.dtype}, shape {proba.shape}"
    return f"a {type(proba).__module__}.{type(proba).__name__}"


def expect_probabilities(proba: Any, count: int, num_classes: int, where: str) -> None:
    """Expect the type and the shape of probabilities, and numbers in [0, 1]."""
    sound = isinstance(proba, np.ndarray) and proba.dtype == np.float32 and proba.shape == (count, num_classes)
    expect(
        sound,
        seen=f"{where} gave {describe(proba)}",
        expected=f"a dense ndarray of float32, shape ({count}, {num_classes}): a row a text, a column a class",
    )
    outside = ~(np.isfinite(proba) & (proba >= 0) & (proba <= 1))
    expect(
        not outside.any(),
        seen=f"{where} gave {proba[outside][:3].tolist()} among the probabilities",
        expected="finite numbers from 0 to 1",
    )


@rule(1)
def check_probabilities_are_dense_float32(subject: Subject) -> None:
    """Probabilities are a dense numpy array of float32, with a row for each text and a column for each class.

    Callers index columns, subtract arrays and stack them; with one backend that returns sparse matrices, float64
    or a list, code that was written for another breaks, or quietly doubles its memory.

    What to do: end predict_proba with `np.asarray(proba, dtype=np.float32)`, after placing the columns with
    smalltext_core.probabilities.place_columns.
    """
    shape = (len(subject.texts), subject.num_classes)
    expect(
        isinstance(subject.proba, np.ndarray)
        and subject.proba.dtype == np.float32
        and subject.proba.shape == shape,
        seen=f"predict_proba gave {describe(subject.proba)}",
        expected=f"a dense ndarray of float32, shape {shape}",
    )


@rule(1)
def check_probabilities_lie_between_zero_and_one(subject: Subject) -> None:
    """Probabilities are finite and lie in [0, 1].

    A logit, a distance or a NaN in their place goes unnoticed until entropies and thresholds computed from it
    choose the wrong texts.

    What to do: apply softmax or sigmoid to scores, in float32 or better, and look for a division by zero where a
    NaN comes out.
    """
    proba = np.asarray(subject.proba)
    outside = ~(np.isfinite(proba) & (proba >= 0) & (proba <= 1))
    expect(
        not outside.any(),
        seen=f"{int(outside.sum())} of {proba.size} numbers are not, such as {proba[outside][:3].tolist()}",
        expected="finite numbers from 0 to 1",
    )


@rule(1)
def check_single_label_rows_sum_to_one(subject: Subject) -> None:
    """In a single-label problem the probabilities of a text sum to 1.

    Exactly one class applies, so the probabilities share out 1 between them. Uncertainty measures (entropy,
    margin) assume it.

    What to do: use softmax over the classes, or divide each row by its sum.
    """
    if subject.multi_label:
        raise not_applicable("rows of multi-label probabilities do not sum to 1")
    sums = np.asarray(subject.proba, dtype=np.float64).sum(axis=1)
    worst = int(np.abs(sums - 1).argmax())
    expect(
        abs(sums[worst] - 1) < 1e-3,
        seen=f"the row of the text {subject.texts.x[worst][:40]!r} sums to {sums[worst]:.4f}",
        expected="1, within 0.001",
    )


@rule(1)
def check_multi_label_probabilities_are_not_thresholded(subject: Subject) -> None:
    """In a multi-label problem a probability below the threshold is reported as it is, never as 0.

    Whoever ranks texts by uncertainty, moves the threshold or draws a calibration curve needs the probabilities
    of the classes that were not chosen.

    What to do: apply the threshold to the labels alone (smalltext_core.probabilities.to_labels does).
    """
    if not subject.multi_label:
        raise not_applicable("the threshold is a thing of multi-label problems")
    for name, proba in (
        ("predict_proba", subject.proba),
        ("predict with return_proba=True", subject.fitted.predict(subject.texts, return_proba=True)[1]),
    ):
        dense = np.asarray(proba.toarray() if hasattr(proba, "toarray") else proba)
        low = dense[dense <= subject.threshold]
        expect(
            low.size == 0 or (low > 0).any(),
            seen=f"all {low.size} probabilities of {name} up to the threshold {subject.threshold} are exactly 0",
            expected="the probabilities that the model computed",
        )


@rule(1)
def check_multi_label_columns_are_independent(subject: Subject) -> None:
    """In a multi-label problem each class has a probability of its own: several may be high, or none.

    Probabilities that compete for a sum of 1 can never say that two classes apply, or that no class does.

    What to do: use a sigmoid for each class, not a softmax over all of them.
    """
    if not subject.multi_label or subject.num_classes == 1:
        raise not_applicable("only multi-label problems with several classes have columns that can depend")
    sums = np.asarray(subject.proba, dtype=np.float64).sum(axis=1)
    expect(
        (np.abs(sums - 1) > 1e-3).any(),
        seen=f"all {len(sums)} rows sum to 1, those of texts with no class and with several included",
        expected="rows that sum to what their texts are about",
    )


@rule(1)
def check_column_k_is_class_k(subject: Subject) -> None:
    """Column k is class k: of the training texts, those of class k get the higher probabilities in column k.

    Nothing raises when columns are in another order, reversed say, or sorted by name or frequency: every answer is
    simply that of another class.

    What to do: compare the order in which the model has its classes (`classes_` in scikit-learn) with the class
    numbers, and put its columns in their places with smalltext_core.probabilities.place_columns.
    """
    y = subject.train_set.y
    applies = y.toarray() > 0 if is_multi_label(y) else np.eye(subject.num_classes, dtype=bool)[y]
    proba = np.asarray(subject.fitted.predict_proba(TextDataset(subject.train_set.x)), dtype=np.float64)
    if proba.shape != applies.shape:
        raise not_applicable("the shape is wrong, see check_probabilities_are_dense_float32")
    # By how much texts of a class (a row) get more than the others in each column.
    more = np.stack([proba[rows].mean(axis=0) - proba[~rows].mean(axis=0) for rows in applies.T])
    lacking = more.max(axis=1) - more.diagonal()
    worst = int(lacking.argmax())
    column = int(more[worst].argmax())
    expect(
        lacking[worst] <= _NOTICEABLE,
        seen=f"in column {column}, texts of class {worst} get {more[worst, column]:+.2f} compared with others; "
        f"in column {worst}, {more[worst, worst]:+.2f}",
        expected=f"the most in column {worst}",
    )


_NOTICEABLE = 0.05


@rule(1)
def check_absent_class_keeps_its_column(subject: Subject) -> None:
    """A class that the training set lacks keeps its column, and predictions are class numbers, not column numbers.

    Early in active learning classes are missing all the time. A model that numbers the classes it has seen 0, 1,
    2 answers with the wrong class and nobody notices; one that divides by their count answers NaN.

    What to do: keep the class numbers that the model was trained on, and put its columns in their places with
    smalltext_core.probabilities.place_columns.
    """
    if subject.multi_label:
        _check_absent_label(subject)
    else:
        _check_absent_class(subject)


def _check_absent_class(subject: Subject) -> None:
    y = np.asarray(subject.train_set.y)
    absent = 0 if subject.num_classes == 2 else 1
    kept = np.flatnonzero(y != absent)
    classifier = subject.new()
    try:
        classifier.fit(subject.train_set[kept])
    except SmallTextError as error:
        if subject.num_classes > 2:
            raise
        raise not_applicable(f"training on one class alone is refused, in so many words: {error}") from error
    trained = TextDataset(subject.train_set[kept].x)
    proba = classifier.predict_proba(trained)
    expect_probabilities(proba, len(trained), subject.num_classes, f"after training without class {absent}, it")
    labels = np.asarray(classifier.predict(trained))
    last = y[kept] == subject.num_classes - 1
    expect(
        (labels[last] == absent).mean() <= 0.5 and proba[last, absent].mean() <= proba[last, -1].mean(),
        seen=f"trained on the classes {np.unique(y[kept]).tolist()}, it predicts class {absent} for "
        f"{int((labels[last] == absent).sum())} of {int(last.sum())} training texts of class "
        f"{subject.num_classes - 1}, with a mean probability of {proba[last, absent].mean():.2f}",
        expected=f"class {absent}, which it has never seen, hardly ever",
    )


def _check_absent_label(subject: Subject) -> None:
    rows = csr_to_list(subject.train_set.y)
    absent = 1 if subject.num_classes > 2 else 0
    y = list_to_csr(
        [[k for k in row if k != absent] if isinstance(row, list) else [] for row in rows], subject.num_classes
    )
    classifier = subject.new().fit(TextDataset(subject.train_set.x, y))
    proba = classifier.predict_proba(subject.texts)
    where = f"after training without class {absent}, it"
    expect_probabilities(proba, len(subject.texts), subject.num_classes, where)
    labels = classifier.predict(subject.texts)
    expect(
        is_multi_label(labels) and labels.shape == proba.shape,
        seen=f"{where} predicted {type(labels).__name__} of shape {getattr(labels, 'shape', None)}",
        expected=f"a csr_matrix of shape {proba.shape}",
    )
    wrong = np.asarray(proba[:, absent]).mean()
    expect(
        wrong <= 0.6,
        seen=f"{where} gives that class a mean probability of {wrong:.2f}",
        expected="a low one: no text had it",
    )


@rule(4)
def check_probability_is_what_the_loss_trained(subject: Subject) -> None:
    """One and the same text, labelled class 0 in 80 of 100 cases, is class 0 with a probability near 0.8.

    A probability says how often the classifier is right. Trained with one function and read with another, it does
    not: two outputs that were trained with binary cross-entropy say 0.94 here if softmax reads them, and active
    learning by uncertainty then passes over the very texts that it should ask about.

    What to do: train and predict with the same pair: cross-entropy with softmax, binary cross-entropy with
    sigmoid. Scores of a model without such a loss have to be calibrated.
    """
    dataset = repeated_text(subject.num_classes, subject.multi_label)
    proba = subject.new().fit(dataset).predict_proba(TextDataset(dataset.x[:1]))[0].astype(np.float64)
    high, low = proba[0], (proba[1] if subject.num_classes > 1 else None)
    expect(
        high <= 0.9,
        seen=f"a probability of {high:.3f} for class 0",
        expected="about 0.8, and at most 0.9: it was right in 80 of 100 cases",
    )
    share = high if subject.multi_label or low is None else high / max(high + low, 1e-12)
    expect(
        share >= 0.4,
        seen=f"class 0 has {share:.3f}, of the two classes that this text was given",
        expected="about 0.8 (about 0.5 if classes are balanced by weights), and at least 0.4",
    )
    if subject.multi_label and low is not None:
        expect(
            0.1 <= low <= 0.6,
            seen=f"a probability of {low:.3f} for class 1, which applied in 20 of 100 cases",
            expected="about 0.2 (about 0.5 if classes are balanced by weights), from 0.1 to 0.6",
        )
