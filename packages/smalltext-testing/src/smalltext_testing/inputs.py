"""Rule 3: no texts, one text, and texts as they occur in the wild."""

from __future__ import annotations

import numpy as np

from smalltext_core.dataset import TextDataset
from smalltext_testing.check import rule
from smalltext_testing.labels import expect_labels
from smalltext_testing.probabilities import expect_probabilities
from smalltext_testing.subject import Subject
from smalltext_testing.texts import joined, unusual_texts


@rule(3)
def check_no_texts_give_empty_results(subject: Subject) -> None:
    """Labelling no texts gives empty results of the usual shapes and types.

    A filter that finds nothing, or the last batch of a pool, is no error. Code that stacks results needs
    (0, num_classes), not (0,).

    What to do: return smalltext_core.probabilities.empty_probabilities(num_classes) for an empty dataset, and
    compute the labels from it as always.
    """
    nothing = TextDataset([])
    expect_probabilities(
        subject.fitted.predict_proba(nothing), 0, subject.num_classes, "predict_proba of no texts"
    )
    expect_labels(subject.fitted.predict(nothing), 0, subject, "predict of no texts")
    labels, proba = subject.fitted.predict(nothing, return_proba=True)
    expect_labels(labels, 0, subject, "predict of no texts with return_proba=True")
    expect_probabilities(proba, 0, subject.num_classes, "predict of no texts with return_proba=True")


@rule(3)
def check_one_text_works(subject: Subject) -> None:
    """Labelling a single text gives one row.

    A squeezed dimension turns the answer for one text into a scalar, and the caller's loop ends there.

    What to do: look for squeeze(), for indexing that drops a dimension, and for batch statistics of one row.
    """
    one = TextDataset(subject.train_set.x[:1])
    expect_probabilities(subject.fitted.predict_proba(one), 1, subject.num_classes, "predict_proba of one text")
    expect_labels(subject.fitted.predict(one), 1, subject, "predict of one text")


@rule(3)
def check_unusual_texts_can_be_labelled(subject: Subject) -> None:
    """Empty, blank, very long and never-seen texts, emoji, any script and control characters can be labelled.

    One such text among a million must not cost the million. What the answer is does not matter, as long as it
    consists of probabilities.

    What to do: cut long texts to what the model reads, and give a text without any known word a row of zeros, or
    the padding token.
    """
    texts = unusual_texts()
    expect_probabilities(
        subject.fitted.predict_proba(texts), len(texts), subject.num_classes, "predict_proba of unusual texts"
    )
    expect_labels(subject.fitted.predict(texts), len(texts), subject, "predict of unusual texts")


@rule(3)
def check_unusual_texts_can_be_trained_on(subject: Subject) -> None:
    """A training set may hold empty, blank, very long and foreign texts beside plain ones.

    Labelled data comes with them, and one of them must not end a training that ran for an hour.

    What to do: as for labelling; look also for a division by the length of a text.
    """
    plain, unusual = subject.train_set, unusual_texts()
    rows = np.arange(len(unusual)) % len(plain)
    train_set = TextDataset(plain.x + unusual.x, joined(plain.y, plain.y[rows]))
    proba = subject.new().fit(train_set).predict_proba(subject.texts)
    expect_probabilities(proba, len(subject.texts), subject.num_classes, "predict_proba after training on them")
