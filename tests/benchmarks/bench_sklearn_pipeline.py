"""Fit and predict with 100,000 texts: the classifier `sklearn` relative to a plain scikit-learn pipeline."""

from __future__ import annotations

from harness import Benchmark, Target, Variant

PREPARE = """
from pathlib import Path
from corpus import write_corpus
write_corpus(Path(), count=100_000, num_classes=4)
"""

SETUP = """
from pathlib import Path
import smalltext_core as s
from sklearn.pipeline import make_pipeline
import smalltext_sklearn.classifier
from smalltext_sklearn._estimators import default_estimator
from smalltext_sklearn.word_char_tfidf import WordCharTfidfVectorizer
from corpus import read_corpus
texts, labels = read_corpus(Path())
"""

CHECK = "figures['accuracy on training texts'] = round(float((predicted == labels).mean()), 4)"

BARE = """
pipeline = make_pipeline(WordCharTfidfVectorizer(), default_estimator())
predicted = pipeline.fit(texts, labels).predict(texts)
"""

OURS = """
classifier = s.create_classifier("sklearn", num_classes=4)
predicted = classifier.fit(s.TextDataset(texts, labels)).predict(s.TextDataset(texts))
"""

BENCHMARKS = (
    Benchmark(
        name="sklearn-pipeline",
        rounds=4,
        prepare=PREPARE,
        variants=(
            Variant("scikit-learn pipeline", BARE, SETUP, CHECK),
            Variant("smalltext sklearn", OURS, SETUP, CHECK),
        ),
        targets=(
            Target("smalltext sklearn", "seconds", 1.05),
            Target("smalltext sklearn", "peak_mib", 1.3),
        ),
        libraries=("numpy", "scipy", "scikit-learn", "smalltext-core", "smalltext-sklearn"),
    ),
)
