"""Kim (2014), Table 2, on movie reviews: ten-fold cross-validation, compared with the paper's figure.

The settings are the same for all folds. They were chosen only on the training part of the first fold, divided
into texts for training, for selecting the epoch, and for comparing settings.

Unlike the paper, GloVe vectors with 50 dimensions replace word2vec's with 300 (CNN-non-static: 81.5). They are
scaled to the variance of random vectors, so that the same learning rate suits both.
"""

from __future__ import annotations

from harness import Benchmark, Variant

PREPARE = """
from pathlib import Path
import corpora
from downloads import fetch_vectors
corpora.fetch(Path(), "reviews")
fetch_vectors(Path())
"""

SETUP = """
import sys
from pathlib import Path
import numpy as np
import torch
from smalltext_core import TextDataset
from smalltext_kimcnn import KimCNNClassifier, Vectors, read_vectors
import corpora
torch.set_num_threads(1)

FOLDS = 10
SETTINGS = dict(num_epochs=3, mini_batch_size=50, lr=0.004, min_frequency=2, verbosity=0)

reviews = corpora.read(Path(), "reviews")
texts, labels = reviews.texts, reviews.labels
fold_of = np.empty(len(texts), dtype=int)
shuffled = np.random.default_rng(99).permutation(len(texts))
fold_of[shuffled] = np.minimum(np.arange(len(texts)) // (len(texts) // FOLDS), FOLDS - 1)

def triangle(steps):
    # The learning rate rises for a tenth of the steps and falls to nothing over the others.
    return lambda step: max(0, min((step + 1) / (0.1 * steps), 1 - step / steps))

def accuracy(fold, **more):
    dataset = TextDataset(texts, labels)
    train_set, test_set = dataset[fold_of != fold], dataset[fold_of == fold]
    classifier = KimCNNClassifier(2, seed=fold, **SETTINGS, **more)
    trained = round(len(train_set) * (1 - classifier.validation_set_size))
    steps = -(-trained // classifier.mini_batch_size) * classifier.num_epochs
    classifier.fit(
        train_set,
        optimizer=lambda network: torch.optim.Adam(network.parameters(), lr=classifier.lr, fused=True),
        scheduler=lambda optimizer: torch.optim.lr_scheduler.LambdaLR(optimizer, triangle(steps)),
    )
    correct = float((classifier.predict(test_set) == test_set.y).mean())
    print(f"    fold {fold}: {correct:.4f}", file=sys.stderr, flush=True)
    return correct

def cross_validate(**more):
    return [accuracy(fold, **more) for fold in range(FOLDS)]
"""

RANDOM = "accuracies = cross_validate(embedding_dim=100)"

PRETRAINED = """
glove = read_vectors("glove.npy")
scale = np.float32(0.25 / np.sqrt(3) / glove.matrix.std())
accuracies = cross_validate(embeddings=Vectors(glove.words, glove.matrix * scale))
"""


def _figures(paper: str, at_least: float) -> str:
    return f"""
mean = 100 * float(np.mean(accuracies))
figures["accuracy"] = round(mean, 2)
figures["Kim (2014)"] = {paper!r}
figures["at least {at_least}"] = "met" if mean >= {at_least} else "MISSED"
figures["folds"] = [round(100 * one, 1) for one in accuracies]
"""


BENCHMARKS = (
    Benchmark(
        name="kimcnn-mr",
        rounds=1,
        prepare=PREPARE,
        variants=(
            Variant("CNN-rand", RANDOM, SETUP, _figures("76.1", 76.1)),
            Variant("GloVe 50d, non-static", PRETRAINED, SETUP, _figures("81.5 with word2vec 300d", 77.5)),
        ),
        libraries=("numpy", "torch", "tokenizers", "smalltext-core", "smalltext-torch", "smalltext-kimcnn"),
    ),
)
