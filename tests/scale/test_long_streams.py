"""A worker that labels a million texts uses no more memory than after ten thousand texts."""

from __future__ import annotations

import pytest

from smalltext_scale import BatchScorer

TEXTS, FIRST = 1_000_000, 20_000
SLACK = 16 * 2**20
"""In bytes; the memory that allocators keep varies by some megabytes."""


@pytest.mark.nightly
def test_memory_is_flat_over_a_million_texts(model, record_property):
    psutil = pytest.importorskip("psutil")
    texts = (f"{('good', 'bad')[number % 2]} film number {number}" for number in range(TEXTS))
    process = psutil.Process()
    sizes = []
    for number, _ in enumerate(BatchScorer(model, proba=True).predict_iter(texts), start=1):
        if number % FIRST == 0:
            sizes.append(process.memory_info().rss)
    assert number == TEXTS
    record_property("memory after 20,000 texts, MiB", sizes[0] >> 20)
    record_property("greatest memory, MiB", max(sizes) >> 20)
    assert max(sizes) < sizes[0] + SLACK
