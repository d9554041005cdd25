"""The automatic limit on the number of tokens of long texts in training."""

from __future__ import annotations

import logging

import numpy as np
import pytest

from smalltext_torch.batching import Lengths
from smalltext_torch.training_set import MIN_TRAINING_LENGTH, TRAINING_TOKENS, tokens_read, training_length


def lengths(*tokens: int) -> Lengths:
    return np.array(tokens, dtype=np.int64)


def test_texts_up_to_the_least_length_are_never_cut() -> None:
    for passes in (1, 1_000, 10**9):
        assert training_length(lengths(5, MIN_TRAINING_LENGTH), passes, 512) >= MIN_TRAINING_LENGTH
        assert training_length(lengths(5, 300), passes, 64) == 64


def test_long_texts_are_read_whole_if_training_reads_them_a_few_times() -> None:
    assert training_length(lengths(400, 500), 2, 512) == 512


@pytest.mark.parametrize("passes", [650, 800, 1_100])
def test_otherwise_training_reads_up_to_the_limit(passes: int) -> None:
    texts = lengths(60, 130, 300, 900)
    length = training_length(texts, passes, 512)
    assert MIN_TRAINING_LENGTH <= length < 512
    assert tokens_read(texts, passes, length) <= TRAINING_TOKENS < tokens_read(texts, passes, length + 1)


def test_many_passes_read_the_least_length() -> None:
    assert training_length(lengths(400), 10**6, 512) == MIN_TRAINING_LENGTH


def test_the_number_of_truncated_texts_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        training_length(lengths(100, 400), 2, 512)
        assert not caplog.records
        training_length(lengths(100, 400), 10**6, 512)
    assert "the first 128 tokens of 1 of 2 texts" in caplog.text
