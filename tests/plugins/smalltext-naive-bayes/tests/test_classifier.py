"""The special feature of this classifier: calibrated confidence."""

import numpy as np
import pytest
from smalltext_core import TextDataset, create_classifier
from smalltext_core.errors import InvalidInputError


def of_two_kinds(count: int, share: float) -> TextDataset:
    """Return long texts of two classes, a share of which have the correct label."""
    random = np.random.default_rng(0)
    y = random.integers(2, size=count)
    words = [
        random.choice([f"word{2 * number + label}" for number in range(10)], 60)
        for label in y
    ]
    wrong = random.random(count) > share
    return TextDataset([" ".join(row) for row in words], np.where(wrong, 1 - y, y))


def test_the_probability_is_how_often_it_is_right_however_long_the_texts() -> None:
    classifier = create_classifier("naive-bayes", num_classes=2).fit(
        of_two_kinds(400, share=0.75)
    )
    proba = classifier.predict_proba(of_two_kinds(100, share=1.0))
    assert 0.7 < proba.max(axis=1).mean() < 0.8


def test_words_in_other_cases_are_the_same() -> None:
    train_set = TextDataset(["a fine film", "a dull film"], [1, 0])
    classifier = create_classifier("naive-bayes", num_classes=2).fit(train_set)
    assert classifier.predict(TextDataset(["FINE!", "Dull?"])).tolist() == [1, 0]


def test_smoothing_has_to_be_above_zero() -> None:
    with pytest.raises(InvalidInputError, match="smoothing"):
        create_classifier("naive-bayes", num_classes=2, smoothing=0.0)
