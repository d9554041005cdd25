"""Texts that a bag of words can classify: three topics, and a multi-label variant of them."""

from __future__ import annotations

import pytest

import smalltext_core as st

TOPICS = {
    0: ["the striker scored a goal", "a late goal won the match", "the goalkeeper saved the match"],
    1: ["the bank raised its rates", "shares of the bank fell", "rates and shares rose at the bank"],
    2: ["the band played a new song", "a song from the new album", "the album of the band is out"],
}


@pytest.fixture
def topics() -> st.TextDataset:
    texts = [f"{text} {copy}" for copy in range(4) for number in TOPICS for text in TOPICS[number]]
    labels = [number for _ in range(4) for number in TOPICS for _ in TOPICS[number]]
    return st.TextDataset(texts, labels, label_names=["sport", "money", "music"])


@pytest.fixture
def tagged(topics: st.TextDataset) -> st.TextDataset:
    """Class 3 occurs together with class 0; class 4 applies to no text, class 5 to all texts."""
    rows = [[label, 3, 5] if label == 0 else [label, 5] for label in topics.y.tolist()]
    return st.TextDataset(topics.x, st.list_to_csr(rows, num_classes=6))
