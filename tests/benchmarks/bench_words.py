"""The default vectorizer of `sklearn`, and that of the first version, on English texts.

Accuracy and CPU seconds, measured in one process in which both alternate; see `words_before`.
"""

from __future__ import annotations

from harness import Benchmark, Target, Variant

NOW = "before and now"

# The number of texts for accuracies, and for CPU seconds; five fits of all of 20 Newsgroups take very long.
# Tokens are compared for all texts of a corpus.
SIZES = {"news": (3_000, 500), "reviews": (11_000, 5_000), "r8": (3_000, 700), "newsgroups": (1_000, 60)}

SETUP = """
import warnings
from pathlib import Path
warnings.simplefilter("ignore")
import words_before
"""


def _benchmark(corpus: str, accuracy_on: int, timed_on: int) -> Benchmark:
    statement = f"found = words_before.compare(Path(), {corpus!r}, {accuracy_on}, {timed_on})"
    return Benchmark(
        name=f"words-{corpus}",
        rounds=1,
        prepare=f"from pathlib import Path\nimport corpora\ncorpora.fetch(Path(), {corpus!r})\n",
        variants=(Variant(NOW, statement, SETUP, "figures.update(found)"),),
        targets=(
            Target(NOW, "accuracy lost", 0.002),
            *(Target(NOW, f"{step} ratio", 1.2) for step in ("transform", "fit", "predict")),
        ),
        libraries=("numpy", "scipy", "scikit-learn", "smalltext-core", "smalltext-sklearn"),
    )


BENCHMARKS = tuple(_benchmark(corpus, *sizes) for corpus, sizes in SIZES.items())
