"""KimCNN against a usual implementation, on 1,000 movie reviews and with the same weights."""

from __future__ import annotations

from harness import Benchmark, Target, Variant

NAIVE, OURS = "naive loop", "smalltext kimcnn"
LIBRARIES = ("numpy", "torch", "tokenizers", "smalltext-core", "smalltext-torch", "smalltext-kimcnn")

SETUP = """
from pathlib import Path
import numpy as np
import torch
torch.set_num_threads(1)
import naive_kimcnn as naive
import corpora
from smalltext_kimcnn import KimCNN, KimCNNClassifier, PytorchTextClassificationDataset
def read():
    reviews = corpora.read(Path(), "reviews")
    chosen = np.random.default_rng(0).permutation(len(reviews.texts))[:1000]
    texts = [reviews.texts[row] for row in chosen]
    return PytorchTextClassificationDataset.from_texts(texts, reviews.labels[chosen])
"""

PREPARE = f"""{SETUP}
corpora.fetch(Path(), "reviews")
KimCNNClassifier(2, num_epochs=1, seed=1, verbosity=0).fit(read()).save("model")
"""

# The first call of a kernel takes longer than later calls, so each variant has a warm-up call.
NAIVE_NETWORK = f"""{SETUP}
reviews = read()
instances = naive.instances(reviews)
model = naive.NaiveKimCNN(KimCNN(torch.empty(len(reviews.vocabulary), 300).uniform_(-0.25, 0.25), 2))
naive.train(model, instances[:50], num_epochs=1)
"""

OUR_CLASSIFIER = f"""{SETUP}
reviews = read()
train = dict(early_stopping="none", model_selection="none")
KimCNNClassifier(2, num_epochs=1, seed=1, verbosity=0).fit(reviews[:50], **train)
"""

NAIVE_TRAINED = f"""{SETUP}
reviews = read()
classifier = KimCNNClassifier.load("model")
instances = naive.instances(reviews)
model = naive.NaiveKimCNN(classifier.model)
naive.predict(model, instances[:50])
"""

OURS_TRAINED = f"""{SETUP}
reviews = read()
classifier = KimCNNClassifier.load("model")
classifier.predict_proba(reviews[:50], dropout_sampling=2)
"""

COMPARE = """
reference = naive.predict(naive.NaiveKimCNN(classifier.model), naive.instances(reviews))
figures["largest difference"] = f"{abs(proba - reference).max():.1e}"
"""

COMPARE_MEANS = """
reference = naive.predict(naive.NaiveKimCNN(classifier.model), naive.instances(reviews))
figures["mean difference of 20 samples' mean to no dropout"] = round(abs(proba.mean(axis=1) - reference).mean(), 4)
"""


def _benchmark(job: str, times: float, naive: Variant, ours: Variant) -> Benchmark:
    return Benchmark(
        name=f"kimcnn-{job}",
        rounds=5,
        prepare=PREPARE,
        variants=(naive, ours),
        targets=(Target(OURS, "seconds", 1 / times), Target(OURS, "peak_mib", 1.0)),
        libraries=LIBRARIES,
    )


BENCHMARKS = (
    _benchmark(
        "training",
        2.5,
        Variant(NAIVE, "naive.train(model, instances, num_epochs=3)", NAIVE_NETWORK),
        Variant(
            OURS,
            "KimCNNClassifier(2, num_epochs=3, seed=1, verbosity=0).fit(reviews, **train)",
            OUR_CLASSIFIER,
        ),
    ),
    _benchmark(
        "prediction",
        15,
        Variant(NAIVE, "proba = naive.predict(model, instances)", NAIVE_TRAINED, COMPARE),
        Variant(OURS, "proba = classifier.predict_proba(reviews)", OURS_TRAINED, COMPARE),
    ),
    _benchmark(
        "dropout-sampling",
        25,
        Variant(
            NAIVE, "proba = naive.predict(model, instances, dropout_sampling=20)", NAIVE_TRAINED, COMPARE_MEANS
        ),
        Variant(
            OURS, "proba = classifier.predict_proba(reviews, dropout_sampling=20)", OURS_TRAINED, COMPARE_MEANS
        ),
    ),
)
